"""The ports: what one room may ask of another without knowing it. Contracts in full sentences."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeAlias

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure
from interlaced.core.model import (
    Call,
    Confirmation,
    Delivery,
    Effect,
    Gap,
    GapWhy,
    Handler,
    Publication,
    Reply,
)

__all__ = [
    "Capability",
    "Clock",
    "Connector",
    "ConnectorObserver",
    "Durability",
    "Exchange",
    "Feed",
    "FeedBinding",
    "FeedObserver",
    "Observer",
    "Operation",
    "OperationObserver",
    "Order",
    "Parameter",
    "ParameterType",
    "QuickAttempt",
    "Reader",
    "Resolve",
    "RpcObserver",
    "Sink",
    "Start",
    "StartKind",
    "TimerHandle",
    "Tools",
]


class TimerHandle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Calls the timer off; doing it twice, or too late, does nothing."""
        ...


class Clock(Protocol):
    """Time, in seconds. Every timer of the house uses it, so that tests run in virtual time."""

    def now(self) -> float:
        """Returns a time that only moves forward."""
        ...

    def wall(self) -> float:
        """Returns the time of day in seconds since 1970; it may jump."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits; cancelling it is always safe."""
        ...

    def call_at(self, when: float, callback: Callable[[], object], /) -> TimerHandle:
        """Calls `callback` once `now()` has reached `when`."""
        ...


class Durability(enum.StrEnum):
    """What an acknowledged write rests on."""

    FSYNC = "fsync"
    REPLICATED = "replicated"
    REPLICATED_LAZY = "replicated_lazy"
    MEMORY = "memory"
    NONE = "none"


class Order(enum.StrEnum):
    """What order is kept."""

    NONE = "none"
    KEY = "key"
    TOTAL = "total"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What a feed or a sink promises; conformance suites select their clauses by it."""

    durability: Durability
    order: Order
    ack: bool = False
    replay: bool = False
    delay: bool = False
    request_reply: bool = False


class ParameterType(enum.StrEnum):
    """The type of an operation's parameter."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that an operation declares."""

    name: str
    type: ParameterType = ParameterType.STRING
    is_required: bool = False
    description: str = ""


class Exchange(Protocol):
    """A request that is under way."""

    def drop(self) -> None:
        """Ends it at once, whatever that does to its connection; doing it twice does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class QuickAttempt:
    """An attempt in two halves without a task between them.

    `ask(call, receive)` sends, and returns what is under way, or None where it would have to wait
    or finds anything unusual: then nothing has happened, and an ordinary attempt finds out what it
    is. `receive` is called with what came, once, never before `ask` returns; after a `drop` it may
    still be. `read(answer, call)` makes the reply of it, or raises the Failure that it is.
    """

    ask: Callable[[Call, Callable[[Any], None]], Exchange | None]
    read: Callable[[Any, Call], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A request/response action of a connector, compiled at load.

    `attempt` makes exactly one attempt and never retries; `quick` makes the same one where nothing
    holds it up. `takes_key` says that it forwards the
    idempotency key upstream, which makes an unsafe operation repeatable. `creates` turns an
    upstream conflict into ALREADY_EXISTS.
    """

    name: str
    effect: Effect
    attempt: Handler[Call, Reply]
    quick: QuickAttempt | None = None
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    takes_key: bool = False
    creates: bool = False


class StartKind(enum.StrEnum):
    """Where a Reader starts."""

    NOW = "now"
    OLDEST = "oldest"
    AFTER = "after"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Start:
    """Where a Reader starts: `position` belongs to AFTER (exclusive), `time` (seconds since 1970)
    to TIME."""

    kind: StartKind = StartKind.NOW
    position: bytes = b""
    time: float = 0.0


class Reader(Protocol):
    """An open place in a feed. Exactly one task reads it; whoever opened it closes it."""

    @property
    def epoch(self) -> int:
        """Identifies the history (0 to 2**32 - 1), not the connection: equal after a reconnect
        unless the upstream's history was rebuilt. Feeds without replay return 0."""
        ...

    async def read(self) -> Sequence[Delivery | Gap]:
        """Waits for what comes next: one or more deliveries or gaps, in order.

        Raises NotConnected when the connection is lost (reopen with back-off) and EndOfFeed when
        the feed is over for good. A first item of Gap(EXPIRED) says that the start asked for is no
        longer kept. Cancelling it loses nothing: what was not returned is returned next time or,
        after a close, delivered again.
        """
        ...

    async def close(self) -> None:
        """Frees the connection and gives back what is unsettled; doing it twice does nothing."""
        ...


class Feed(Protocol):
    """Something to listen to. It holds no connection of its own; each Reader does."""

    @property
    def name(self) -> str:
        """The feed's name within its connector."""
        ...

    @property
    def description(self) -> str:
        """What it tells."""
        ...

    @property
    def capability(self) -> Capability:
        """What it promises."""
        ...

    async def open(self, start: Start) -> Reader:
        """Connects and starts to read for broadcast: nothing is settled for others.

        Feeds with `replay` honour every Start and stamp `Event.position`; others start NOW
        whatever is asked and leave the position empty for the pump to stamp. Raises NotConnected.
        """
        ...

    async def join(self, group: str) -> Reader:
        """Joins the competing consumers of `group`; its deliveries must be settled.

        Only feeds with `ack` have it; others raise Failure NOT_ACKABLE. A delivery that stays
        unsettled comes again, to any member. Raises NotConnected.
        """
        ...


class Sink(Protocol):
    """Something to publish to."""

    @property
    def name(self) -> str:
        """The sink's name within its connector."""
        ...

    @property
    def description(self) -> str:
        """What it takes."""
        ...

    @property
    def capability(self) -> Capability:
        """What it promises."""
        ...

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        """Hands events over and returns one Confirmation per event, in order.

        An event is confirmed only when the broker said so; one whose confirmation was lost carries
        OUTCOME_UNKNOWN. Raises a Failure only when none of the events can have been stored.
        """
        ...


class Connector(Protocol):
    """One configured external system. Built at load, opened once, closed once."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """What can be asked, by name."""
        ...

    @property
    def feeds(self) -> Mapping[str, Feed]:
        """What can be listened to, by name."""
        ...

    @property
    def sinks(self) -> Mapping[str, Sink]:
        """What can be told, by name."""
        ...

    async def open(self) -> None:
        """Makes ready to serve. It must not fail because the upstream is away."""
        ...

    async def close(self) -> None:
        """Frees every connection; doing it twice does nothing."""
        ...


class OperationObserver(Protocol):
    """Is told what happens to the calls of one operation; pre-bound, cheap, never raises."""

    def attempted(self, seconds: float, failure: Failure | None) -> None:
        """An attempt ended."""
        ...

    def retry_scheduled(self, wait: float, failure: Failure) -> None:
        """Another attempt follows after `wait` seconds."""
        ...

    def waited(self, policy: str, seconds: float) -> None:
        """A policy (`limiter`, `bulkhead`, `admission`) made the call wait."""
        ...

    def rejected(self, policy: str, failure: Failure) -> None:
        """A policy refused the call."""
        ...


class ConnectorObserver(Protocol):
    """Is told what happens to one connector."""

    def breaker_changed(self, state: str, cause: str) -> None:
        """The circuit breaker is now `closed`, `open` or `half_open`."""
        ...

    def watch_bulkhead(self, in_flight: Callable[[], int], queued: Callable[[], int]) -> None:
        """These say how many attempts are in flight and how many wait, whenever they are asked:
        both change with every attempt, and are looked at twice a minute."""
        ...

    def budget_changed(self, tokens: float) -> None:
        """So many retries are in the budget."""
        ...


class FeedObserver(Protocol):
    """Is told what happens to one feed."""

    def connected(self) -> None:
        """The upstream connection stands."""
        ...

    def disconnected(self, failure: Failure | None, retry_in: float) -> None:
        """The upstream connection is lost; the next try is in `retry_in` seconds."""
        ...

    def received(self, events: int) -> None:
        """So many events came in."""
        ...

    def gap(self, why: GapWhy) -> None:
        """Events are missing."""
        ...

    def subscribers_changed(self, subscribers: int) -> None:
        """So many subscribers listen."""
        ...

    def dropped(self, policy: str, events: int) -> None:
        """So many events were dropped for a subscriber."""
        ...

    def settled(self, verdict: str) -> None:
        """A member of a group settled a delivery, or it went to the dead letters."""
        ...


class RpcObserver(Protocol):
    """Is told what happens to RPCs; `method` is a fully qualified name that this server serves, or
    `_OTHER`."""

    def started(self, method: str) -> None:
        """An RPC has begun."""
        ...

    def finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        """An RPC has ended with a gRPC status name such as `OK`, and a reason if it failed."""
        ...


class Observer(Protocol):
    """Hands out observers; observers are told, never asked."""

    def operation(self, connector: str, operation: str) -> OperationObserver:
        """Returns the observer of one operation or sink."""
        ...

    def connector(self, connector: str) -> ConnectorObserver:
        """Returns the observer of one connector."""
        ...

    def feed(self, connector: str, feed: str) -> FeedObserver:
        """Returns the observer of one feed."""
        ...


Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Resolves a host and port to IP addresses in text form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedBinding:
    """A feed as it is served: under its full name `CONNECTOR.FEED`, with the bounds of its ring.

    `retain` is how long ring and connection linger after the last subscriber (seconds). `digest`
    changes when the feed's own section of the configuration changed.
    """

    name: str
    feed: Feed
    connector: str
    digest: str
    retain: float = 60.0
    ring_events: int = 10_000
    ring_bytes: int = 16 * 1024 * 1024
    reconnect: Backoff = field(default_factory=lambda: Backoff(0.25, 30.0))


@dataclass(frozen=True, slots=True)
class Tools:
    """What a connector's `build` is given: time, chance, somebody to tell, and whatever the
    process shares by name (such as the embedded broker)."""

    clock: Clock
    random: Random
    observer: Observer
    shared: Mapping[str, object] = field(default_factory=dict)
