"""Frames: what a subscriber is given, and the wishes it came with."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from interlaced.core.filter import Filter
from interlaced.core.model import Gap
from interlaced.core.ports import Start

__all__ = ["Frame", "FrameKind", "Overflow", "OverflowPolicy", "Wishes"]


class FrameKind(enum.Enum):
    """What a frame carries."""

    BATCH = enum.auto()
    CHECKPOINT = enum.auto()
    GAP = enum.auto()
    GOING_AWAY = enum.auto()


@dataclass(slots=True)
class Frame:
    """One frame; its cursor stands for every event up to its end.

    `body` is the joined events of a batch, each encoded once, and `events` their number. Frames
    are shared among subscribers: whoever encodes one leaves the result in `wire`.
    """

    kind: FrameKind
    cursor: str
    dropped: int = 0
    body: bytes = b""
    events: int = 0
    gap: Gap | None = None
    reconnect_after: float = 0.0
    wire: bytes = b""


class OverflowPolicy(enum.StrEnum):
    """What happens when a subscriber does not keep up."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CONFLATE = "conflate"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Overflow:
    """An overflow policy: `buffer` events may wait; `timeout` (seconds) belongs to BLOCK. None
    means the hub's default."""

    policy: OverflowPolicy = OverflowPolicy.BLOCK
    buffer: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a subscriber asks for. A `cursor` wins over `start`; `heartbeat` is in seconds, None
    means the hub's default."""

    start: Start = field(default_factory=Start)
    cursor: str = ""
    filter: Filter = field(default_factory=Filter)
    overflow: Overflow = Overflow()
    fails_on_expired: bool = False
    heartbeat: float | None = None
