"""The memory kind: feeds, sinks and canned operations on the embedded broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import cast

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

__all__ = ["MemoryConnector", "MemoryFeed", "MemorySink", "build"]

_FEED = Capability(
    durability=Durability.MEMORY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
_SINK = Capability(durability=Durability.MEMORY, order=Order.TOTAL)
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


class _BroadcastReader:
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


class _GroupReader:
    """A member of a group."""

    def __init__(self, group: Group, tools: Tools, buried: Callable[[], None]) -> None:
        self._group = group
        self._tools = tools
        self._buried = buried
        self._room: int | None = None

    def allow(self, deliveries: int) -> None:
        """The next read may return at most so many deliveries."""
        self._room = max(1, deliveries)

    @property
    def epoch(self) -> int:
        return self._group.topic.epoch

    async def read(self) -> Sequence[Delivery | Gap]:
        clock = self._tools.clock
        while not (taken := self._group.take(self, clock.now(), limit=self._room)):
            await _wait(clock, self._group.topic, self._group.due())
        return [
            Delivery(record.event, self._settler(record.sequence, attempt), attempt)
            for record, attempt in taken
        ]

    async def close(self) -> None:
        self._group.give_back(self, self._tools.clock.now())

    def _settler(self, number: int, attempt: int) -> Callable[[Settlement], Awaitable[None]]:
        is_settled = False

        async def settle(settlement: Settlement) -> None:
            nonlocal is_settled
            if is_settled:
                return
            now, random = self._tools.clock.now(), self._tools.random
            is_dead = self._group.settle(number, attempt, settlement, now=now, random=random)
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
        self.capability = _FEED
        self._config = config
        self._topic = broker.topic(topic)
        self._broker = broker
        self._tools = tools
        self._observer = tools.observer.feed(connector, name)

    async def open(self, start: Start) -> Reader:
        return _BroadcastReader(self._topic, start, self._tools.clock)

    async def join(self, group: str) -> Reader:
        check_group(group)
        joined = self._broker.group(self._topic, group, self._config.ack, self._bury)
        return _GroupReader(joined, self._tools, lambda: self._observer.settled("dead_letter"))

    def _bury(self, letter: Event) -> None:
        clock = self._tools.clock
        self._broker.topic(f"{self._topic.name}.dead").append(letter, clock.now(), clock.wall())


class MemorySink:
    """A topic to publish to."""

    def __init__(self, name: str, description: str, *, topic: Topic, clock: Clock) -> None:
        self.name = name
        self.description = description
        self.capability = _SINK
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


class MemoryConnector:
    """A connector of the memory kind. Readers belong to whoever opened them, and outlive it."""

    def __init__(
        self,
        operations: Mapping[str, Operation],
        feeds: Mapping[str, Feed],
        sinks: Mapping[str, MemorySink],
    ) -> None:
        self.operations = operations
        self.feeds = feeds
        self._sinks = sinks
        self.sinks: Mapping[str, Sink] = sinks

    async def open(self) -> None:
        """Does nothing: the broker is there."""

    async def close(self) -> None:
        for sink in self._sinks.values():
            sink.is_closed = True


def _find_broker(config: UpstreamConfig, tools: Tools) -> Broker:
    """Returns the broker that the process shares under this name, or one of this connector's own
    where the process shares none."""
    limits = Limits(config.keep_events, config.keep_bytes, config.dedupe)
    broker = Broker(limits, tools.random)
    shared = tools.shared.get("brokers")
    if shared is None:
        return broker
    return cast("MutableMapping[str, Broker]", shared).setdefault(config.memory, broker)


def _feeds(config: Config, broker: Broker, tools: Tools, *, connector: str) -> Mapping[str, Feed]:
    feeds: dict[str, Feed] = {}
    for name, feed in config.feeds.items():
        dead = FeedConfig(description=f"The dead letters of {name}.", ack=feed.ack)
        topic = feed.topic or name
        for full, one, where in ((name, feed, topic), (f"{name}.dead", dead, f"{topic}.dead")):
            feeds[full] = MemoryFeed(
                full, one, where, broker=broker, tools=tools, connector=connector
            )
    return feeds


def build(name: str, config: Config, tools: Tools) -> Connector:
    """Builds a connector of the memory kind."""
    broker = _find_broker(config.upstream, tools)
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
        key: MemorySink(
            key, one.description, topic=broker.topic(one.topic or key), clock=tools.clock
        )
        for key, one in config.sinks.items()
    }
    return MemoryConnector(operations, _feeds(config, broker, tools, connector=name), sinks)
