"""From a connector's document to its Manifest, with everything noted that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from interlaced.connectors.registry import KINDS, Kind, MissingLibrary, load_kind
from interlaced.manifest.codes import Code
from interlaced.manifest.digest import private_digest
from interlaced.manifest.draft import Draft
from interlaced.manifest.manifests import Manifest
from interlaced.manifest.policies import DEFAULT, EffectivePolicy, PolicyBook, PolicyUse
from interlaced.manifest.propose import propose_name
from interlaced.manifest.schema import WITH_POLICY, connector_schema, header_schema
from interlaced.manifest.shape import Shape
from interlaced.manifest.validation import Keys, translate
from interlaced.schema.fields import Strict

__all__ = ["read_connector"]

_HEADER = ("interlace", "connector", "description", "policy")


def read_connector(draft: Draft, book: PolicyBook) -> Manifest | None:
    """Returns the Manifest, or None after noting in the draft's file why there is none."""
    kind = _kind(draft)
    draft.has_shape(lambda: _shape(kind))
    name = draft.data["connector"]
    has_name = draft.is_broken(("connector",)) or draft.check_name(name, ("connector",))
    description = _description(draft)
    config = _config(draft, kind) if kind else None
    policy = _lay(draft, book, DEFAULT, ("policy",), f"connector {name}")
    policies = _own_policies(draft, book, policy)
    if kind is None or config is None or not has_name:
        return None
    layers = [each.layers for each in (policy, *policies.values())]
    values = [[layer.values for layer in each] for each in layers]
    return Manifest(
        name=name,
        kind=kind.name,
        description=description,
        config=config,
        build=kind.build,
        policy=policy,
        policies=policies,
        digest=private_digest([draft.data, values]),
        file=draft.file,
        document=draft.node,
    )


def _shape(kind: Kind | None) -> Shape:
    return Shape.of(connector_schema(kind.name) if kind else header_schema())


def _description(draft: Draft) -> str:
    description = draft.data.get("description")
    if isinstance(description, str | None):
        return description or ""
    draft.note_value(("description",), Code.BAD_VALUE, "description: expected a text")
    return ""


def _kind(draft: Draft) -> Kind | None:
    """Finds the kind by the one key of `upstream` that names one."""
    if "upstream" not in draft.data:
        draft.note((), Code.MISSING_KEY, "the key 'upstream' is missing")
        return None
    upstream = draft.data["upstream"]
    named = [key for key in upstream if key in KINDS] if isinstance(upstream, dict) else []
    if len(named) != 1:
        _note_kind(draft, upstream, named)
        return None
    try:
        return load_kind(named[0])
    except MissingLibrary as error:
        message = f"the library of the kind {named[0]!r} is not installed"
        draft.note(("upstream", named[0]), Code.MISSING_LIBRARY, message, error.hint)
        return None


def _note_kind(draft: Draft, upstream: object, named: list[str]) -> None:
    if len(named) > 1:
        message = f"upstream has more than one kind: {', '.join(named)}"
        draft.note(("upstream", named[1]), Code.UNKNOWN_KIND, message, "one connector each")
        return
    message = f"upstream names no kind of connector; there is {', '.join(KINDS)}"
    for key in upstream if isinstance(upstream, dict) else ():
        hint = propose_name(key, KINDS)
        if hint.startswith("did"):
            draft.note(("upstream", key), Code.UNKNOWN_KIND, message, hint)
            return
    draft.note(("upstream",), Code.UNKNOWN_KIND, message)


def _config(draft: Draft, kind: Kind) -> Strict | None:
    """Validates the kind's own part: all but the header, and without its members' policies."""
    own = {key: value for key, value in draft.data.items() if key not in _HEADER}
    for section in WITH_POLICY:
        members = own.get(section)
        if isinstance(members, dict):
            own[section] = {name: _without_policy(member) for name, member in members.items()}
    try:
        return kind.config.model_validate(own)
    except ValidationError as error:
        broken = draft.resolved.broken
        draft.file.findings += translate(error, draft.node, _shape(kind), broken=broken)
        return None


def _without_policy(member: object) -> object:
    if not isinstance(member, dict):
        return member
    return {key: value for key, value in member.items() if key != "policy"}


def _lay(
    draft: Draft, book: PolicyBook, base: EffectivePolicy, keys: Keys, origin: str
) -> EffectivePolicy:
    """Lays the `policy` key of a place, if it has one, over a policy."""
    value: Any = draft.data
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    use = PolicyUse(draft.node, keys, value, origin, draft.resolved.broken, len(keys) == 1)
    policy, findings = book.lay(base, use)
    draft.file.findings += findings
    return policy


def _own_policies(
    draft: Draft, book: PolicyBook, base: EffectivePolicy
) -> dict[str, EffectivePolicy]:
    policies: dict[str, EffectivePolicy] = {}
    for section in WITH_POLICY:
        members = draft.data.get(section)
        for name, member in members.items() if isinstance(members, dict) else ():
            if isinstance(member, dict) and "policy" in member:
                keys = (section, name, "policy")
                origin = f"{section.removesuffix('s')} {name}"
                policies[f"{section}.{name}"] = _lay(draft, book, base, keys, origin)
    return policies
