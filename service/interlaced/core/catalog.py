"""What the catalog tells: a snapshot that is computed once per configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from interlaced.core.model import Effect
from interlaced.core.ports import Capability, Parameter

__all__ = ["CatalogSnapshot", "ConnectorEntry", "FeedEntry", "OperationEntry", "SinkEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEntry:
    """An operation with its effective policy, a line each, and its worst case."""

    name: str
    description: str
    effect: Effect
    parameters: tuple[Parameter, ...]
    policy: tuple[str, ...]
    worst_case_seconds: float
    worst_case_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """A feed; `dead_letters` is the full name of the feed of its dead letters, or empty."""

    name: str
    description: str
    capability: Capability
    dead_letters: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEntry:
    """A sink."""

    name: str
    description: str
    capability: Capability


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorEntry:
    """A connector and what it offers, each ordered by name."""

    name: str
    kind: str
    description: str
    operations: tuple[OperationEntry, ...] = ()
    feeds: tuple[FeedEntry, ...] = ()
    sinks: tuple[SinkEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogSnapshot:
    """All connectors by name, the hash of their configuration (hexadecimal), and when it was
    loaded (seconds since 1970)."""

    connectors: Mapping[str, ConnectorEntry]
    config_hash: str
    load_time: float
