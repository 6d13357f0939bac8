"""Policies: named once, laid over each other from the default to the operation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from interlaced.manifest.codes import Code
from interlaced.manifest.propose import propose_name
from interlaced.manifest.schema import policy_schema
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import Finding, Node, ScalarNode, Span
from interlaced.manifest.validation import Keys, find_key, find_value, translate
from interlaced.resilience.config import PolicyConfig

__all__ = [
    "DEFAULT",
    "SHARED",
    "EffectivePolicy",
    "Layer",
    "PolicyBook",
    "PolicyUse",
    "check_named",
    "policy_shape",
]

SHARED = (("limit",), ("breaker",), ("bulkhead",), ("retry", "budget"))
"""The parts of a policy that all operations of a connector share."""


def policy_shape() -> Shape:
    """Returns what may stand in a policy."""
    return Shape.of(policy_schema()).at("policies").at("name")


@dataclass(frozen=True, slots=True)
class Layer:
    """What one place says about a policy; `origin` names the place as `explain` prints it."""

    origin: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EffectivePolicy:
    """A policy as it is in force, and the layers that it came from, the last one winning."""

    config: PolicyConfig
    layers: tuple[Layer, ...] = ()

    def origin(self, *keys: str) -> str:
        """Says where a value came from: `default` or the place that set it last."""
        for layer in reversed(self.layers):
            if _has(layer.values, keys):
                return layer.origin
        return "default"

    def rank(self, *keys: str) -> int:
        """Returns the number of the layer that set a value, from 1, or 0 for a default."""
        ranks = (rank for rank, layer in enumerate(self.layers, 1) if _has(layer.values, keys))
        return max(ranks, default=0)


def _has(values: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    value: Any = values
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


DEFAULT = EffectivePolicy(PolicyConfig())
"""What holds where nothing is said."""


@dataclass(slots=True)
class _Named:
    """A policy of a policies document."""

    layer: Layer
    span: Span
    is_used: bool = False


@dataclass(frozen=True, slots=True)
class PolicyUse:
    """A `policy` key of a connector, an operation or a sink: where it stands and what it says."""

    document: Node
    keys: Keys
    value: object
    origin: str
    broken: set[int] = field(default_factory=set)
    is_shared: bool = True
    """Whether limit, breaker and bulkhead may stand here: they are the connector's own."""


class PolicyBook:
    """All named policies, and which of them were used."""

    def __init__(self) -> None:
        self._named: dict[str, _Named] = {}

    def add(self, name: str, values: Mapping[str, Any], *, file: str, span: Span) -> bool:
        """Adds a policy; False if there is one of that name."""
        if name in self._named:
            return False
        self._named[name] = _Named(Layer(f"{file} {name}", values), span)
        return True

    def unused(self) -> dict[str, Span]:
        """Returns the policies that nobody used."""
        return {name: each.span for name, each in self._named.items() if not each.is_used}

    def lay(self, base: EffectivePolicy, use: PolicyUse) -> tuple[EffectivePolicy, list[Finding]]:
        """Lays what a `policy` key says over `base`; also returns what is wrong with it."""
        if use.value is None:
            return base, []
        if isinstance(use.value, str):
            return self._lay_named(base, use, use.keys, use.value)
        if not isinstance(use.value, Mapping):
            message = "expected a policy's name, or a mapping of its keys"
            return base, [Finding(find_key(use.document, use.keys), Code.BAD_VALUE, message)]
        values = dict(use.value)
        name = values.pop("use", None)
        findings: list[Finding] = []
        if name is not None:
            base, findings = self._lay_named(base, use, (*use.keys, "use"), name)
        if not values:
            return base, findings
        laid, found = _lay(base, Layer(use.origin, values), use)
        return laid, [*findings, *found]

    def _lay_named(
        self, base: EffectivePolicy, use: PolicyUse, keys: Keys, name: object
    ) -> tuple[EffectivePolicy, list[Finding]]:
        node = find_value(use.document, keys)
        named = self._named.get(name) if isinstance(name, str) else None
        if named is not None:
            named.is_used = True
            part = PolicyUse(use.document, keys, name, use.origin, use.broken, use.is_shared)
            return _lay(base, named.layer, part, is_named=True)
        if node is None or id(node) in use.broken:
            return base, []
        span = node.span if isinstance(node, ScalarNode) else find_key(use.document, keys)
        hint = propose_name(str(name), self._named)
        return base, [Finding(span, Code.UNKNOWN_POLICY, f"no policy named {name!r}", hint)]


def check_named(use: PolicyUse) -> list[Finding]:
    """Checks a policy where it is named, over the defaults alone."""
    if isinstance(use.value, Mapping):
        return _lay(DEFAULT, Layer(use.origin, use.value), use)[1]
    span = find_key(use.document, use.keys)
    return [Finding(span, Code.BAD_VALUE, "expected a mapping of a policy's keys")]


def _lay(
    base: EffectivePolicy, layer: Layer, use: PolicyUse, *, is_named: bool = False
) -> tuple[EffectivePolicy, list[Finding]]:
    """Lays one layer over a policy; what is wrong is told at the layer, or where it is named."""
    findings = [] if use.is_shared else _shared(layer, use, is_named=is_named)
    try:
        config = base.config.overlaid(layer.values)
    except ValidationError as error:
        shape = Shape.of(_at(use.keys, policy_shape()))
        findings += translate(error, use.document, shape, below=use.keys, broken=use.broken)
        return base, findings
    return EffectivePolicy(config, (*base.layers, layer)), findings


def _shared(layer: Layer, use: PolicyUse, *, is_named: bool) -> list[Finding]:
    """Refuses what only a connector can have, where an operation or a sink asks for it."""
    return [
        Finding(
            find_key(use.document, use.keys if is_named else (*use.keys, *keys)),
            Code.SHARED_POLICY,
            f"{'.'.join(keys)} belongs to the connector, whose operations share it",
            "move it to the connector's policy",
        )
        for keys in SHARED
        if _has(layer.values, keys)
    ]


def _at(keys: Keys, shape: Shape) -> dict[str, Any]:
    """Returns a schema in which a policy stands at `keys`."""
    schema: dict[str, Any] = {"anyOf": list(shape.options)}
    for key in reversed(keys):
        schema = {"type": "object", "properties": {str(key): schema}}
    return {**schema, "$defs": shape.root.get("$defs", {})}
