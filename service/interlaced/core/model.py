"""The core nouns: call, reply, event, delivery, and what a call has taken so far."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from interlaced.core.failure import Failure, Reached

if TYPE_CHECKING:
    from interlaced.core.clock import Alarm

__all__ = [
    "Argument",
    "Call",
    "Confirmation",
    "Delivery",
    "Effect",
    "Effort",
    "Event",
    "Gap",
    "GapWhy",
    "Handler",
    "Payload",
    "Publication",
    "Reply",
    "ReplySource",
    "Request",
    "Settle",
    "Settlement",
    "Step",
    "Verdict",
]

Argument: TypeAlias = str | int | float | bool | tuple[str, ...]
"""The value of a call's parameter."""


class Effect(enum.StrEnum):
    """Whether an operation may be repeated."""

    SAFE = "safe"
    IDEMPOTENT = "idempotent"
    UNSAFE = "unsafe"


class ReplySource(enum.StrEnum):
    """Where a reply came from."""

    UPSTREAM = "upstream"
    CACHE = "cache"
    COALESCED = "coalesced"


@dataclass(slots=True)
class Payload:
    """A body as it travels: bytes with their media type."""

    media_type: str
    data: bytes


@dataclass(slots=True, frozen=True)
class Step:
    """One entry of a call's ledger: an attempt, or a wait and its cause. Times in seconds,
    `start` counted from the start of the call."""

    step: str
    start: float
    duration: float
    reason: str = ""
    upstream_status: str = ""
    breaker: str = ""
    bytes_received: int = 0


@dataclass(slots=True)
class Effort:
    """What a call has taken so far; every policy and the transport write into it.

    `reached` is about the current attempt. `ledger` is None unless the caller asked for it.
    """

    started: float
    attempts: int = 0
    reached: Reached = Reached.NOT_SENT
    is_attempting: bool = False
    source: ReplySource = ReplySource.UPSTREAM
    breaker: str = ""
    ledger: list[Step] | None = None

    def note(self, step: Step) -> None:
        """Adds a step if the caller asked for a ledger."""
        if self.ledger is not None:
            self.ledger.append(step)


@dataclass(slots=True, kw_only=True)
class Request:
    """What every policy sees: until when, what it took, and whether it is safe to repeat.

    `deadline` is a time of the Clock, in seconds; policies may only move it closer.
    """

    deadline: float
    effort: Effort
    idempotency_key: str = ""
    alarm: Alarm | None = field(default=None, repr=False, compare=False)
    """What ends the work on it in time, while there is some."""
    tried: Exception | None = field(default=None, repr=False, compare=False)
    """What its first attempt came to, where that was made in flight and went wrong."""


@dataclass(slots=True, kw_only=True)
class Call(Request):
    """One operation of one connector."""

    connector: str
    operation: str
    parameters: Mapping[str, Argument] = field(default_factory=dict)
    payload: Payload | None = None
    accept: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def begin(self, now: float, deadline: float) -> None:
        """Begins this call at `now`, by a deadline that may only be closer."""
        self.effort.started = now
        own = self.deadline  # `min` would cost as much as the rest of a branch's begin
        self.deadline = deadline if deadline < own else own


@dataclass(slots=True)
class Reply:
    """The answer to a Call; its effort is the call's own."""

    payload: Payload
    status: str = ""


@dataclass(slots=True, frozen=True, kw_only=True)
class Event:
    """Something that happened, with the attributes of CloudEvents 1.0.

    `time` is in seconds since 1970 or None; `position` is the place in the feed's history.
    """

    id: str
    source: str
    type: str
    data: bytes
    media_type: str = "application/json"
    subject: str = ""
    time: float | None = None
    key: str = ""
    position: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)


class GapWhy(enum.StrEnum):
    """Why events are missing."""

    EXPIRED = "expired"
    NEW_HISTORY = "new_history"
    UPSTREAM_SEQUENCE = "upstream_sequence"
    RECONNECTED = "reconnected"


@dataclass(slots=True, frozen=True)
class Gap:
    """Events that are missing, or may be; `first` and `last` are texts of the upstream's own,
    empty where it has none."""

    why: GapWhy
    first: str = ""
    last: str = ""


class Verdict(enum.StrEnum):
    """What a consumer decided about a delivery."""

    ACK = "ack"
    NACK = "nack"
    REJECT = "reject"


@dataclass(slots=True, frozen=True)
class Settlement:
    """A verdict. `delay` (seconds) belongs to NACK, None means the feed's own back-off; `cause`
    belongs to REJECT."""

    verdict: Verdict
    delay: float | None = None
    cause: str = ""


Settle: TypeAlias = Callable[[Settlement], Awaitable[None]]
"""Settles one delivery. Calling it again does nothing; a Failure says that the broker did not take
it, and that the delivery may come again."""


@dataclass(slots=True, frozen=True)
class Delivery:
    """An event and the function that settles it. `attempt` counts deliveries from 1, as the
    broker counts them."""

    event: Event
    settle: Settle
    attempt: int = 1


@dataclass(slots=True, kw_only=True)
class Publication(Request):
    """Events on their way to a sink."""

    sink: str
    events: Sequence[Event]


@dataclass(slots=True, frozen=True)
class Confirmation:
    """What became of one published event: confirmed if `failure` is None."""

    failure: Failure | None = None
    position: bytes = b""
    is_duplicate: bool = False


RequestT = TypeVar("RequestT", bound=Request)
ResultT = TypeVar("ResultT")

Handler: TypeAlias = Callable[[RequestT], Awaitable[ResultT]]
"""Takes a request to its result or raises a Failure. A policy takes a Handler and returns one."""
