"""From manifests to connectors that are ready to serve, without opening any of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from interlaced.core.catalog import (
    CatalogSnapshot,
    ConnectorEntry,
    FeedEntry,
    OperationEntry,
    SinkEntry,
)
from interlaced.core.failure import Failure
from interlaced.core.model import Call, Confirmation, Handler, Publication, Reply
from interlaced.core.ports import Connector, FeedBinding, Operation, Tools
from interlaced.core.seat import Seat
from interlaced.manifest.codes import Code
from interlaced.manifest.feeds import bind_feed
from interlaced.manifest.manifests import Manifest, Manifests
from interlaced.manifest.problem import ManifestError, Problem
from interlaced.manifest.semantics import check_connector, check_operation
from interlaced.resilience.admission import Admission
from interlaced.resilience.share import find_unshareable, share_policy
from interlaced.resilience.stack import ConnectorGuard, compose, compose_sink
from interlaced.resilience.worst_case import describe, worst_case

__all__ = ["Built", "Calls", "Generation", "Sinks", "build"]

Calls = Mapping[str, Handler[Call, Reply]]
Sinks = Mapping[str, Handler[Publication, Sequence[Confirmation]]]

_DEAD = ".dead"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Built:
    """A connector with every policy around its operations and sinks. Whoever serves it opens
    `connector`, and closes it once nothing uses it any more."""

    name: str
    kind: str
    connector: Connector
    calls: Calls
    sinks: Sinks
    feeds: Mapping[str, FeedBinding]
    entry: ConnectorEntry
    digest: str
    guard: ConnectorGuard
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Generation:
    """Everything that one configuration serves; it never changes. A later one shares each Built
    whose section has not changed."""

    built: Mapping[str, Built]
    catalog: CatalogSnapshot
    warnings: tuple[Problem, ...] = ()

    def routes(self) -> dict[tuple[str, str], Handler[Call, Reply]]:
        """Returns the handler of every operation by (connector, operation)."""
        return {
            (connector, operation): handler
            for connector, built in self.built.items()
            for operation, handler in built.calls.items()
        }

    def sinks(self) -> dict[str, Handler[Publication, Sequence[Confirmation]]]:
        """Returns the handler of every sink by `CONNECTOR.SINK`."""
        return {
            f"{connector}.{sink}": handler
            for connector, built in self.built.items()
            for sink, handler in built.sinks.items()
        }

    def feeds(self) -> dict[str, FeedBinding]:
        """Returns every feed by `CONNECTOR.FEED`."""
        bindings = (each for built in self.built.values() for each in built.feeds.values())
        return {binding.name: binding for binding in bindings}

    def is_same(self, other: Generation) -> bool:
        """Whether the other serves the very same connectors, secrets and policies included."""
        return len(self.built) == len(other.built) and all(
            other.built.get(name) is built for name, built in self.built.items()
        )


def build(
    manifests: Manifests,
    *,
    tools: Tools,
    admission: Admission,
    previous: Generation | None = None,
    seat: Seat | None = None,
) -> Generation:
    """Builds every connector, or takes it from `previous` if nothing about it changed.

    Every limit that a connector has as a whole becomes the share of `seat`, which is always the
    same one. Opens nothing and leaves `previous` as it is. Raises ManifestError with all that is
    wrong.
    """
    seat = seat or Seat()
    older = previous.built if previous else {}
    built: dict[str, Built] = {}
    problems = list(manifests.warnings)
    errors = False
    for name, manifest in manifests.connectors.items():
        known = older.get(name)
        if known is not None and known.digest == manifest.digest:
            built[name] = known
            problems += _warnings(manifest, known.connector, manifests)
            continue
        unshared = _unshareable(manifest, seat, manifests)
        problems += unshared
        errors = errors or bool(unshared)
        try:
            built[name] = fresh = _build_one(manifest, tools, admission, seat)
            problems += _warnings(manifest, fresh.connector, manifests)
        except (Failure, OSError, ValueError) as error:
            problems += _unbuildable(manifest, error, manifests)
            errors = True
    if errors:
        raise ManifestError(problems)
    catalog = CatalogSnapshot(
        connectors={name: each.entry for name, each in built.items()},
        config_hash=manifests.config_hash,
        load_time=tools.clock.wall(),
    )
    return Generation(built=built, catalog=catalog, warnings=tuple(problems))


def _unbuildable(
    manifest: Manifest, error: Failure | OSError | ValueError, manifests: Manifests
) -> list[Problem]:
    """Says why in our own words: what others say may quote addresses or secrets."""
    if isinstance(error, Failure):
        message = error.message
    elif isinstance(error, OSError):
        message = "a file that it names (such as those of `tls`) cannot be read or used"
    else:
        message = "its settings do not go together"
    found = manifest.finding(("upstream",), Code.UNBUILDABLE, f"{manifest.name}: {message}")
    return manifest.file.problems([found], manifests.secrets)


def _unshareable(manifest: Manifest, seat: Seat, manifests: Manifests) -> list[Problem]:
    """Refuses limits that are smaller than the group of workers that is to share them."""
    found = [
        manifest.finding(
            ("policy", *each.keys),
            Code.UNSHAREABLE,
            f"{manifest.name}: {'.'.join(each.keys)} is {each.limit}, which {seat.count} workers "
            "cannot share",
            f"raise it to {seat.count}, or start fewer workers",
        )
        for each in find_unshareable(manifest.policy.config, seat)
    ]
    return manifest.file.problems(found, manifests.secrets) if found else []


def _warnings(manifest: Manifest, connector: Connector, manifests: Manifests) -> list[Problem]:
    findings = [*check_connector(manifest)]
    for operation in connector.operations.values():
        findings += check_operation(manifest, operation)
    return manifest.file.problems(findings, manifests.secrets) if findings else []


def _build_one(manifest: Manifest, tools: Tools, admission: Admission, seat: Seat) -> Built:
    name = manifest.name
    connector = manifest.build(name, manifest.config, tools)
    guard = ConnectorGuard(name, share_policy(manifest.policy.config, seat), tools)
    calls: dict[str, Handler[Call, Reply]] = {
        each: compose(
            operation,
            policy=manifest.policy_of("operations", each).config,
            guard=guard,
            admission=admission,
            tools=tools,
            connector=name,
        )
        for each, operation in connector.operations.items()
    }
    sinks: dict[str, Handler[Publication, Sequence[Confirmation]]] = {
        each: compose_sink(
            sink,
            policy=manifest.policy_of("sinks", each).config,
            guard=guard,
            admission=admission,
            tools=tools,
            connector=name,
        )
        for each, sink in connector.sinks.items()
    }
    return Built(
        name=name,
        kind=manifest.kind,
        connector=connector,
        calls=calls,
        sinks=sinks,
        feeds={each: bind_feed(manifest, feed) for each, feed in connector.feeds.items()},
        entry=_entry(manifest, connector),
        digest=manifest.digest,
        guard=guard,
        manifest=manifest,
    )


def _entry(manifest: Manifest, connector: Connector) -> ConnectorEntry:
    feeds, sinks = connector.feeds, connector.sinks
    return ConnectorEntry(
        name=manifest.name,
        kind=manifest.kind,
        description=manifest.description,
        operations=tuple(
            _operation_entry(manifest, operation)
            for _, operation in sorted(connector.operations.items())
        ),
        feeds=tuple(
            FeedEntry(
                name=name,
                description=feed.description,
                capability=feed.capability,
                dead_letters=f"{manifest.name}.{name}{_DEAD}" if name + _DEAD in feeds else "",
            )
            for name, feed in sorted(feeds.items())
        ),
        sinks=tuple(
            SinkEntry(name=name, description=sink.description, capability=sink.capability)
            for name, sink in sorted(sinks.items())
        ),
    )


def _operation_entry(manifest: Manifest, operation: Operation) -> OperationEntry:
    policy = manifest.policy_of("operations", operation.name).config
    effect, takes_key = operation.effect, operation.takes_key
    worst = worst_case(policy, effect, takes_key)
    return OperationEntry(
        name=operation.name,
        description=operation.description,
        effect=effect,
        parameters=operation.parameters,
        policy=describe(policy, effect=effect, takes_key=takes_key),
        worst_case_seconds=worst.seconds,
        worst_case_attempts=worst.attempts,
    )
