"""What `interlace explain` prints: the policy in force, where it is from, and what can happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effect
from interlaced.core.ports import Operation
from interlaced.manifest.build import Built, Generation
from interlaced.manifest.policies import EffectivePolicy
from interlaced.manifest.propose import propose_name
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.worst_case import describe
from interlaced.telemetry.names import ALL

__all__ = ["explain", "possible_reasons"]

_SECTIONS = {
    "deadline": "deadline",
    "attempt timeout": "attempt_timeout",
    "retry": "retry",
    "breaker": "breaker",
    "bulkhead": "bulkhead",
    "limit": "limit",
}
_SHARED = (
    "bulkhead and limit hold for the whole server: each worker of `serve --workers` has a share"
)
_LABEL = 17
"""How wide the labels of `describe` are."""

_ALWAYS = (
    Reason.INVALID_REQUEST,
    Reason.OVERLOADED,
    Reason.DRAINING,
    Reason.DEADLINE_SPENT,
    Reason.CALLER_CANCELLED,
    Reason.TOO_LARGE,
    Reason.UPSTREAM_REJECTED,
    Reason.UPSTREAM_NOT_FOUND,
    Reason.UPSTREAM_CREDENTIALS_REJECTED,
    Reason.UPSTREAM_MALFORMED,
    Reason.UPSTREAM_TRUNCATED,
    Reason.UPSTREAM_FAILED,
    Reason.UPSTREAM_UNAVAILABLE,
    Reason.UPSTREAM_CONNECT,
    Reason.UPSTREAM_TLS,
    Reason.UPSTREAM_TIMEOUT,
    Reason.UPSTREAM_RATE_LIMITED,
    Reason.UPSTREAM_CONFLICT,
    Reason.UPSTREAM_PRECONDITION,
    Reason.UPSTREAM_UNSUPPORTED,
    Reason.EGRESS_DENIED,
    Reason.UNACCEPTABLE_MEDIA_TYPE,
    Reason.INTERNAL_ERROR,
)


def explain(generation: Generation, name: str) -> str:
    """Returns the explanation of `CONNECTOR.OPERATION`, or of every operation of `CONNECTOR`.

    Raises Failure UNKNOWN_CONNECTOR or UNKNOWN_OPERATION, whose context `hint` is a proposal.
    """
    connector, dot, operation = name.partition(".")
    built = generation.built.get(connector)
    if built is None:
        hint = propose_name(connector, generation.built)
        raise Failure(Reason.UNKNOWN_CONNECTOR, "there is no such connector", hint=hint)
    operations = built.connector.operations
    if not dot:
        return "\n\n".join(_explain(built, operations[each]) for each in sorted(operations))
    if operation not in operations:
        hint = propose_name(operation, operations)
        raise Failure(Reason.UNKNOWN_OPERATION, "there is no such operation", hint=hint)
    return _explain(built, operations[operation])


def possible_reasons(policy: PolicyConfig, effect: Effect, *, takes_key: bool) -> list[Reason]:
    """Lists the reasons that a call can fail with, in the order of the API's own list."""
    found = {*_ALWAYS}
    if policy.breaker is not None:
        found.add(Reason.BREAKER_OPEN)
    if policy.bulkhead is not None:
        found.add(Reason.BULKHEAD_FULL)
    if policy.limit is not None:
        found.add(Reason.RATE_LIMITED)
    if effect is Effect.UNSAFE:
        found.add(Reason.OUTCOME_UNKNOWN)
    if takes_key:
        found.add(Reason.UPSTREAM_CONFLICT)
    return [reason for reason in Reason if reason in found]


def _explain(built: Built, operation: Operation) -> str:
    policy = built.manifest.policy_of("operations", operation.name)
    effect, takes_key = operation.effect, operation.takes_key
    reasons = possible_reasons(policy.config, effect, takes_key=takes_key)
    metrics = [each.prometheus for each in ALL if "connector" in each.labels]
    metrics = [name for name in metrics if not name.startswith(("interlace_feed", "interlace_sub"))]
    return "\n".join(
        [
            f"{built.name}.{operation.name}  ({built.kind}, {effect})",
            *([f"  {operation.description}"] if operation.description else []),
            "",
            "policy, outermost first",
            *_policy_lines(policy, describe(policy.config, effect=effect, takes_key=takes_key)),
            *_wrapped([_SHARED] if policy.config.bulkhead or policy.config.limit else []),
            "",
            "can fail with",
            *_wrapped(reasons),
            "",
            "metrics",
            *_wrapped(metrics),
        ]
    )


def _policy_lines(policy: EffectivePolicy, lines: Iterable[str]) -> Iterator[str]:
    """Adds to each line where its values come from."""
    for line in lines:
        section = _SECTIONS.get(line[:_LABEL].rstrip())
        yield f"  {line}"
        if section is not None:
            yield f"  {'':{_LABEL}}from {_origins(policy, section)}"


def _origins(policy: EffectivePolicy, section: str) -> str:
    """Says where a section comes from: one place, or each place with the keys that it set."""
    value = getattr(policy.config, section)
    fields = type(value).model_fields if hasattr(value, "model_fields_set") else {}
    if not fields:
        return policy.origin(section)
    places: dict[str, list[str]] = {}
    for name in fields:
        places.setdefault(policy.origin(section, name), []).append(name)
    if len(places) == 1:
        return next(iter(places))
    default = places.pop("default", None)
    told = [f"{origin} ({', '.join(names)})" for origin, names in places.items()]
    return ", ".join([*told, *(["default (the rest)"] if default else [])])


def _wrapped(words: Iterable[str], width: int = 96) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) + 3 > width:
            yield f"  {line}"
            line = ""
        line = f"{line} · {word}" if line else str(word)
    if line:
        yield f"  {line}"
