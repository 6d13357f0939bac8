"""What can be set about feeds, and what one subscription keeps to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from interlaced.core.cursor import Origin, Place
from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.frame import Wishes
from interlaced.core.ports import Clock, Feed, StartKind

__all__ = [
    "FeedState",
    "HubSettings",
    "SubscriptionLimits",
    "check_range",
    "leave_at",
    "limits_of",
    "start_place",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Limits of all feeds; times in seconds, sizes in bytes.

    `max_age` is the age at which the server ends a connection (None: never): streams end before
    0.9 of it, and the server's grace for running RPCs must be as long again.
    """

    heartbeat: float = 15.0
    min_heartbeat: float = 1.0
    max_heartbeat: float = 300.0
    buffer: int = 1_000
    max_buffer: int = 10_000
    block_timeout: float = 30.0
    max_block_timeout: float = 300.0
    frame_bytes: int = 1024 * 1024
    max_event: int = 4 * 1024 * 1024 - 64 * 1024
    first_connect: float = 2.0
    stale_after: float = 10.0
    max_age: float | None = None
    reconnect_after: float = 1.0
    max_credit: int = 10_000
    settle_grace: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedState:
    """How a feed does: `state` is `live`, `connecting` or `idle`."""

    state: str
    subscribers: int
    is_progressing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionLimits:
    """What one subscription keeps to, in seconds and events. `leave_at` is a time of the Clock."""

    heartbeat: float
    buffer: int
    timeout: float
    first_connect: float
    leave_at: float
    reconnect_after: float


def limits_of(
    wishes: Wishes, settings: HubSettings, *, clock: Clock, random: Random
) -> SubscriptionLimits:
    """Returns what a subscription keeps to; raises Failure INVALID_REQUEST with the field."""
    overflow = wishes.overflow
    heartbeat = settings.heartbeat if wishes.heartbeat is None else wishes.heartbeat
    low, high = settings.min_heartbeat, settings.max_heartbeat
    check_range("heartbeat", heartbeat, low=low, high=high, unit=" s")
    buffer = settings.buffer if overflow.buffer is None else overflow.buffer
    check_range("overflow.buffer", buffer, low=1, high=settings.max_buffer)
    timeout = settings.block_timeout if overflow.timeout is None else overflow.timeout
    high = settings.max_block_timeout
    check_range("overflow.block.timeout", timeout, low=0.0, high=high, unit=" s")
    return SubscriptionLimits(
        heartbeat=heartbeat,
        buffer=buffer,
        timeout=timeout,
        first_connect=settings.first_connect,
        leave_at=leave_at(settings, clock, random),
        reconnect_after=settings.reconnect_after * random.uniform(0.0, 1.0),
    )


def leave_at(settings: HubSettings, clock: Clock, random: Random) -> float:
    """Draws when a stream that begins now has to end, as a time of the Clock."""
    if settings.max_age is None:
        return math.inf
    return clock.now() + settings.max_age * random.uniform(0.6, 0.85)


def start_place(wishes: Wishes, feed: Feed) -> Place | None:
    """Returns where a subscription without a cursor starts; None is now. Raises Failure
    INVALID_REQUEST for a time that the feed cannot replay from."""
    kind = wishes.start.kind
    if kind is StartKind.TIME and not feed.capability.replay:
        field = FieldViolation("start.time", "the feed cannot replay from a time")
        raise Failure(Reason.INVALID_REQUEST, "the feed cannot start at a time", fields=(field,))
    if kind is StartKind.TIME:
        return Place(origin=Origin.TIME, time=wishes.start.time)
    return Place(origin=Origin.OLDEST) if kind is StartKind.OLDEST else None


def check_range(field: str, value: float, *, low: float, high: float, unit: str = "") -> None:
    """Raises Failure INVALID_REQUEST unless the value is within its limits."""
    if not low <= value <= high:
        rule = f"must be from {low:g}{unit} to {high:g}{unit}"
        raise Failure(
            Reason.INVALID_REQUEST,
            "the subscription asks for what is not allowed",
            fields=(FieldViolation(field, rule),),
        )
