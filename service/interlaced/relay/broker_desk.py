"""A worker's way to the group's embedded brokers: feeds and sinks of the memory kind."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from interlaced.connectors.competing import check_group, never_settled
from interlaced.connectors.memory.config import FeedConfig, UpstreamConfig
from interlaced.connectors.memory.connector import FEED, SINK, Desk
from interlaced.connectors.memory.errors import failure
from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, NotConnected, Reached, Reason
from interlaced.core.model import Confirmation, Delivery, Event, Gap, Publication, Settlement
from interlaced.core.ports import Feed, FeedObserver, Reader, Sink, Start, Tools
from interlaced.core.tasks import end_tasks
from interlaced.relay.broker_host import VERSION, brokers_path
from interlaced.relay.records import (
    confirmation_from,
    decode,
    encode,
    event_from,
    failure_from,
    gap_from,
    pack_ack,
    pack_event,
    pack_settlement,
    pack_start,
    pack_upstream,
)
from interlaced.relay.wire import WireError, framed, read_message

__all__ = ["FarDesk", "desks"]

_MOST_WAITING = 1024


def desks(folder: Path) -> Callable[[UpstreamConfig, Tools], Desk]:
    """Returns what finds the group's brokers for connectors of the memory kind."""
    return partial(FarDesk, folder)


def _lost(reached: Reached) -> Failure:
    return Failure(Reason.UPSTREAM_CONNECT, "the group's broker cannot be reached", reached=reached)


class _Line:
    """A connection to a broker: requests under numbers, answers in any order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._task = asyncio.create_task(self._listen())

    @property
    def is_lost(self) -> bool:
        """Whether nothing will be answered any more."""
        return self._task.done()

    def send(self, wanted: str, *arguments: object) -> asyncio.Future[Any]:
        """Asks for something; the answer is a Failure, or what was wanted. Failure if it cannot
        be asked."""
        if self.is_lost:
            raise _lost(Reached.NOT_SENT)
        if len(self._waiting) >= _MOST_WAITING:
            raise Failure(Reason.OVERLOADED, "too many requests wait for the group's broker")
        number = next(self._numbers)
        try:
            message = framed(encode([number, wanted, list(arguments)]))
        except WireError as error:
            raise Failure(Reason.TOO_LARGE, "the request is too large") from error
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._waiting.pop(number, None))
        self._writer.write(message)
        return answer

    async def _listen(self) -> None:
        try:
            while True:
                self._take(decode(await read_message(self._reader)))
        except (OSError, EOFError, WireError):
            return
        finally:
            self._writer.close()
            for answer in tuple(self._waiting.values()):
                if not answer.done():
                    answer.set_exception(_lost(Reached.MAYBE))
                    answer.exception()  # whoever does not wait any more need not be told

    def _take(self, message: list[Any]) -> None:
        if len(message) != 3:
            raise WireError("the answer is malformed")
        number, refused, value = message
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return
        told = failure_from(refused)
        if told is None:
            answer.set_result(value)
        else:
            answer.set_exception(told)

    async def close(self) -> None:
        """Ends the connection; what a member held comes again."""
        self._writer.transport.abort()
        await end_tasks([self._task])


async def _connect(path: Path, upstream: UpstreamConfig) -> _Line:
    """Connects; raises Failure UPSTREAM_CONNECT."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise _lost(Reached.NOT_SENT) from error
    writer.write(framed(encode([VERSION, pack_upstream(upstream)])))
    return _Line(reader, writer)


class FarDesk:
    """A broker of the group, as a connector sees it. It connects when it is first needed."""

    def __init__(self, folder: Path, upstream: UpstreamConfig, tools: Tools) -> None:
        self._path = brokers_path(folder)
        self._upstream = upstream
        self._tools = tools
        self._line: _Line | None = None
        self._connecting = asyncio.Lock()
        self._is_closed = False

    def feed(self, name: str, config: FeedConfig, topic: str, *, connector: str) -> Feed:
        """Returns a feed of a topic."""
        return _FarFeed(
            name, config, topic,
            connect=self.connect, observer=self._tools.observer.feed(connector, name),
        )  # fmt: skip

    def sink(self, name: str, description: str, topic: str) -> Sink:
        """Returns a sink of a topic."""
        return _FarSink(name, description, topic, desk=self)

    async def connect(self) -> _Line:
        """Opens a connection of its own, as each reader has one; raises Failure."""
        return await _connect(self._path, self._upstream)

    async def publish(self, topic: str, publication: Publication) -> Sequence[Confirmation]:
        """Publishes; whatever was sent and not answered in time is unknown."""
        if self._is_closed:
            raise failure("closed")
        if not publication.events:
            return []
        clock = self._tools.clock
        try:
            with TimeLimit(clock, publication.deadline):
                line = await self._shared_line()
                answer = line.send("publish", topic, [pack_event(e) for e in publication.events])
                publication.effort.reached = Reached.MAYBE
                packed = await answer
        except (TimeoutError, Failure) as error:
            if isinstance(error, Failure) and error.reached is not Reached.MAYBE:
                raise
            return [_unknown(error, publication)] * len(publication.events)
        publication.effort.reached = Reached.REPLIED
        return [confirmation_from(each) for each in packed]

    async def _shared_line(self) -> _Line:
        async with self._connecting:
            if self._line is None or self._line.is_lost:
                self._line = await self.connect()
            return self._line

    async def close(self) -> None:
        """Closes the sinks; readers belong to whoever opened them."""
        self._is_closed = True
        line, self._line = self._line, None
        if line is not None:
            await line.close()


def _unknown(error: Exception, publication: Publication) -> Confirmation:
    reached = publication.effort.reached
    if reached is Reached.NOT_SENT:
        return Confirmation(_lost(Reached.NOT_SENT))
    unknown = Failure(
        Reason.OUTCOME_UNKNOWN, "the broker has not confirmed the event", reached=Reached.MAYBE
    )
    unknown.__cause__ = error
    return Confirmation(unknown)


class _FarSink:
    """A topic to publish to."""

    def __init__(self, name: str, description: str, topic: str, *, desk: FarDesk) -> None:
        self.name = name
        self.description = description
        self.capability = SINK
        self._topic = topic
        self._desk = desk

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        return await self._desk.publish(self._topic, publication)


class _FarFeed:
    """A topic to listen to."""

    def __init__(
        self,
        name: str,
        config: FeedConfig,
        topic: str,
        *,
        connect: Callable[[], Awaitable[_Line]],
        observer: FeedObserver,
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = FEED
        self._rule = config.ack
        self._topic = topic
        self._connect = connect
        self._observer = observer

    async def open(self, start: Start) -> Reader:
        return await self._ask("open", self._topic, pack_start(start))

    async def join(self, group: str) -> Reader:
        check_group(group)
        return await self._ask("join", self._topic, group, pack_ack(self._rule))

    async def _ask(self, wanted: str, *arguments: object) -> _FarReader:
        try:
            line = await self._connect()
        except Failure as lost:
            raise NotConnected(lost) from lost
        try:
            epoch = await line.send(wanted, *arguments)
        except Failure as refused:
            await line.close()
            if refused.reason is Reason.UPSTREAM_CONNECT:
                raise NotConnected(refused) from refused
            raise
        except BaseException:
            await line.close()
            raise
        return _FarReader(line, epoch, self._observer, is_member=wanted == "join")


class _FarReader:
    """A place in a topic, or a member of a group; its connection is its own."""

    def __init__(self, line: _Line, epoch: int, observer: FeedObserver, *, is_member: bool) -> None:
        self._line = line
        self.epoch = epoch
        self._observer = observer
        self._is_member = is_member
        self._room: int | None = None
        self._asked: asyncio.Future[Any] | None = None

    def allow(self, deliveries: int) -> None:
        """The next read may return at most so many deliveries."""
        self._room = max(1, deliveries)

    async def read(self) -> Sequence[Delivery | Gap]:
        try:
            if self._asked is None:
                self._asked = self._line.send("read", self._room)
            # a read that was cancelled leaves its answer to the next
            packed = await asyncio.shield(self._asked)
            self._asked = None
            return [self._item(*each) for each in packed]
        except Failure as lost:
            raise NotConnected(lost) from lost

    def _item(self, packed: Any, attempt: int) -> Delivery | Gap:
        if not attempt:
            return gap_from(packed)
        event = event_from(packed)
        settle = self._settler(event, attempt) if self._is_member else never_settled
        return Delivery(event, settle, attempt)

    def _settler(self, event: Event, attempt: int) -> Callable[[Settlement], Awaitable[None]]:
        is_settled = False

        async def settle(settlement: Settlement) -> None:
            nonlocal is_settled
            if is_settled:
                return
            packed = pack_settlement(settlement)
            is_dead = await self._line.send("settle", event.position, attempt, packed)
            is_settled = True
            if is_dead:
                self._observer.settled("dead_letter")

        return settle

    async def close(self) -> None:
        await self._line.close()
