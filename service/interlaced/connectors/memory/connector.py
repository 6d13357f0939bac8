"""The memory kind: feeds, sinks and canned operations on the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from random import Random
from typing import Protocol, TypeAlias, cast

from interlaced.connectors.competing import check_group, never_settled
from interlaced.connectors.memory.config import Config, FeedConfig, OperationConfig, UpstreamConfig
from interlaced.connectors.memory.errors import failure
from interlaced.connectors.memory.recipe import (
    Broker,
    Group,
    Limits,
    Topic,
    answer,
    begin,
    expired,
    pack,
)
from interlaced.core.failure import Failure, Reached
from interlaced.core.model import (
    Call,
    Confirmation,
    Delivery,
    Event,
    Gap,
    Publication,
    Reply,
    Settlement,
)
from interlaced.core.ports import (
    Capability,
    Clock,
    Connector,
    Durability,
    Feed,
    Operation,
    Order,
    Reader,
    Sink,
    Start,
    Tools,
)

__all__ = [
    "FEED",
    "SINK",
    "BroadcastReader",
    "Desk",
    "GroupReader",
    "MemoryConnector",
    "MemoryFeed",
    "MemorySink",
    "OpenDesk",
    "build",
]

FEED = Capability(
    durability=Durability.MEMORY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
"""What every feed of a broker promises."""
SINK = Capability(durability=Durability.MEMORY, order=Order.TOTAL)
"""What every sink of a broker promises."""
_BATCH = 256
"""The most events that one read of a broadcast returns."""


async def _wait(clock: Clock, topic: Topic, until: float | None) -> None:
    """Waits for a change of the topic, or for a time of the clock."""
    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not changed.done():
            changed.set_result(None)

    timer = None if until is None else clock.call_at(until, wake)
    topic.watchers.add(wake)
    try:
        await changed
    finally:
        topic.watchers.discard(wake)
        if timer is not None:
            timer.cancel()


class BroadcastReader:
    """A place in a topic's log."""

    def __init__(self, topic: Topic, start: Start, clock: Clock) -> None:
        self._topic = topic
        self._clock = clock
        self._next, self._gaps = begin(topic, start)

    @property
    def epoch(self) -> int:
        return self._topic.epoch

    async def read(self) -> Sequence[Delivery | Gap]:
        while not (items := self._take()):
            await _wait(self._clock, self._topic, None)
        return items

    async def close(self) -> None:
        """Frees nothing: a place in a log costs nothing."""

    def _take(self) -> Sequence[Delivery | Gap]:
        items: list[Delivery | Gap] = list(self._gaps)
        self._gaps = []
        if self._next < self._topic.first:
            items.append(expired(self._next, self._topic.first))
            self._next = self._topic.first
        records = self._topic.since(self._next, _BATCH)
        self._next += len(records)
        items += [Delivery(record.event, never_settled) for record in records]
        return items


class GroupReader:
    """A member of a group."""

    def __init__(
        self, group: Group, *, clock: Clock, random: Random, buried: Callable[[], None]
    ) -> None:
        self._group = group
        self._clock = clock
        self._random = random
        self._buried = buried
        self._room: int | None = None

    def allow(self, deliveries: int) -> None:
        """The next read may return at most so many deliveries."""
        self._room = max(1, deliveries)

    @property
    def epoch(self) -> int:
        return self._group.topic.epoch

    async def read(self) -> Sequence[Delivery | Gap]:
        clock = self._clock
        while not (taken := self._group.take(self, clock.now(), limit=self._room)):
            await _wait(clock, self._group.topic, self._group.due())
        return [
            Delivery(record.event, self._settler(record.sequence, attempt), attempt)
            for record, attempt in taken
        ]

    async def close(self) -> None:
        self._group.give_back(self, self._clock.now())

    def _settler(self, number: int, attempt: int) -> Callable[[Settlement], Awaitable[None]]:
        is_settled = False

        async def settle(settlement: Settlement) -> None:
            nonlocal is_settled
            if is_settled:
                return
            now = self._clock.now()
            is_dead = self._group.settle(number, attempt, settlement, now=now, random=self._random)
            is_settled = True
            if is_dead:
                self._buried()

        return settle


class MemoryFeed:
    """A topic to listen to, and the topic of its dead letters."""

    def __init__(
        self,
        name: str,
        config: FeedConfig,
        topic: str,
        *,
        broker: Broker,
        tools: Tools,
        connector: str,
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = FEED
        self._config = config
        self._topic = broker.topic(topic)
        self._broker = broker
        self._tools = tools
        self._observer = tools.observer.feed(connector, name)

    async def open(self, start: Start) -> Reader:
        return BroadcastReader(self._topic, start, self._tools.clock)

    async def join(self, group: str) -> Reader:
        check_group(group)
        joined = self._broker.group(self._topic, group, self._config.ack, self._bury)
        return GroupReader(
            joined,
            clock=self._tools.clock,
            random=self._tools.random,
            buried=lambda: self._observer.settled("dead_letter"),
        )

    def _bury(self, letter: Event) -> None:
        clock = self._tools.clock
        self._broker.topic(f"{self._topic.name}.dead").append(letter, clock.now(), clock.wall())


class MemorySink:
    """A topic to publish to."""

    def __init__(self, name: str, description: str, *, topic: Topic, clock: Clock) -> None:
        self.name = name
        self.description = description
        self.capability = SINK
        self.is_closed = False
        self._topic = topic
        self._clock = clock

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        if self.is_closed:
            raise failure("closed")
        publication.effort.reached = Reached.REPLIED
        return [self._append(event) for event in publication.events]

    def _append(self, event: Event) -> Confirmation:
        try:
            number, is_duplicate = self._topic.append(event, self._clock.now(), self._clock.wall())
        except Failure as refused:
            return Confirmation(refused)
        return Confirmation(None, pack(number), is_duplicate)


def _attempt(config: OperationConfig, clock: Clock) -> Callable[[Call], Awaitable[Reply]]:
    """Makes the one attempt of an operation, with the failures that it has to play."""
    make, fail = answer(config), config.fail
    left = float("inf") if fail is None or fail.times is None else fail.times

    async def attempt(call: Call) -> Reply:
        nonlocal left
        if config.delay:
            call.effort.reached = Reached.MAYBE
            await clock.sleep(config.delay)
        if fail is not None and left > 0:
            left -= 1
            call.effort.reached = fail.reached
            raise Failure(
                fail.reason, "a failure that the connector was told to play",
                reached=fail.reached, retry_after=fail.retry_after,
            )  # fmt: skip
        call.effort.reached = Reached.REPLIED
        return Reply(make(call))

    return attempt


class Desk(Protocol):
    """Where a connector finds its broker: in its own process, or in another one."""

    def feed(self, name: str, config: FeedConfig, topic: str, *, connector: str) -> Feed:
        """Returns a feed of a topic."""
        ...

    def sink(self, name: str, description: str, topic: str) -> Sink:
        """Returns a sink of a topic."""
        ...

    async def close(self) -> None:
        """Closes its sinks; readers belong to whoever opened them."""
        ...


OpenDesk: TypeAlias = Callable[[UpstreamConfig, Tools], Desk]
"""Finds a broker that another process hosts; `Tools.shared["desks"]` where there is one."""


class _OwnDesk:
    """A broker of this process."""

    def __init__(self, broker: Broker, tools: Tools) -> None:
        self._broker = broker
        self._tools = tools
        self._sinks: list[MemorySink] = []

    def feed(self, name: str, config: FeedConfig, topic: str, *, connector: str) -> Feed:
        broker, tools = self._broker, self._tools
        return MemoryFeed(name, config, topic, broker=broker, tools=tools, connector=connector)

    def sink(self, name: str, description: str, topic: str) -> Sink:
        found = self._broker.topic(topic)
        sink = MemorySink(name, description, topic=found, clock=self._tools.clock)
        self._sinks.append(sink)
        return sink

    async def close(self) -> None:
        for sink in self._sinks:
            sink.is_closed = True


class MemoryConnector:
    """A connector of the memory kind. Readers belong to whoever opened them, and outlive it."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        feeds: Mapping[str, Feed],
        sinks: Mapping[str, Sink],
        *,
        desk: Desk,
    ) -> None:
        self.operations = operations
        self.feeds = feeds
        self.sinks = sinks
        self._desk = desk

    async def open(self) -> None:
        """Does nothing: the broker is there."""

    async def close(self) -> None:
        await self._desk.close()


def _find_desk(config: UpstreamConfig, tools: Tools) -> Desk:
    """Returns the broker of this name: that of the group of processes, that which this process
    shares, or one of this connector's own where nothing is shared."""
    open_desk = tools.shared.get("desks")
    if open_desk is not None:
        return cast("OpenDesk", open_desk)(config, tools)
    limits = Limits(config.keep_events, config.keep_bytes, config.dedupe)
    broker = Broker(limits, tools.random)
    shared = tools.shared.get("brokers")
    if shared is not None:
        broker = cast("MutableMapping[str, Broker]", shared).setdefault(config.memory, broker)
    return _OwnDesk(broker, tools)


def _feeds(config: Config, desk: Desk, *, connector: str) -> Mapping[str, Feed]:
    feeds: dict[str, Feed] = {}
    for name, feed in config.feeds.items():
        dead = FeedConfig(description=f"The dead letters of {name}.", ack=feed.ack)
        topic = feed.topic or name
        feeds[name] = desk.feed(name, feed, topic, connector=connector)
        feeds[f"{name}.dead"] = desk.feed(
            f"{name}.dead", dead, f"{topic}.dead", connector=connector
        )
    return feeds


def build(name: str, config: Config, tools: Tools) -> Connector:
    """Builds a connector of the memory kind."""
    desk = _find_desk(config.upstream, tools)
    operations = {
        key: Operation(
            name=key,
            effect=one.effect,
            attempt=_attempt(one, tools.clock),
            description=one.description,
            takes_key=one.takes_key,
            creates=one.creates,
        )
        for key, one in config.operations.items()
    }
    sinks = {
        key: desk.sink(key, one.description, one.topic or key) for key, one in config.sinks.items()
    }
    feeds = _feeds(config, desk, connector=name)
    return MemoryConnector(operations, feeds, sinks, desk=desk)
