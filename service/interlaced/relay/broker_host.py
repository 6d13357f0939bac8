"""The embedded brokers of a group, hosted once and reached by every worker."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from interlaced.connectors.memory.connector import BroadcastReader, GroupReader
from interlaced.connectors.memory.recipe import Broker, Group, Limits, Topic, pack, unpack
from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure
from interlaced.core.model import Confirmation, Delivery, Event, Gap
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks
from interlaced.relay.records import (
    ack_from,
    decode,
    encode,
    event_from,
    event_size,
    pack_confirmation,
    pack_event,
    pack_failure,
    pack_gap,
    settlement_from,
    start_from,
    upstream_from,
)
from interlaced.relay.wire import Listener, WireError, framed, read_message

__all__ = ["VERSION", "BrokerHost", "brokers_path", "host_brokers"]

VERSION = 1
"""Of the protocol; a worker that speaks another one is turned away."""

_MOST_CONNECTIONS = 100_000
_ANSWER = 1024 * 1024  # bytes of events in an answer, about


def brokers_path(folder: Path) -> Path:
    """Returns where the group's brokers are reached."""
    return folder / "brokers.sock"


class BrokerHost:
    """Brokers by name, for whoever connects. They live as long as this object."""

    def __init__(self, *, clock: Clock, random: Random) -> None:
        self.clock = clock
        self.random = random
        self.brokers: dict[str, Broker] = {}
        self._listener = Listener(self._serve, most=_MOST_CONNECTIONS)

    async def start(self, path: Path) -> None:
        """Listens at `path`; raises OSError."""
        await self._listener.start(path)

    async def close(self) -> None:
        """Ends every connection; what members held comes again."""
        await self._listener.close()

    def broker(self, packed: Any) -> Broker:
        """Returns the broker that is meant; whoever names it first sets its bounds."""
        config = upstream_from(packed)
        limits = Limits(config.keep_events, config.keep_bytes, config.dedupe)
        return self.brokers.setdefault(config.memory, Broker(limits, self.random))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = decode(await read_message(reader))
        if len(hello) != 2 or hello[0] != VERSION:
            raise WireError("the worker speaks another version")
        client = _Client(self, self.broker(hello[1]), writer)
        try:
            while True:
                request = decode(await read_message(reader))
                await client.hear(request)
        finally:
            await client.leave()


class _Client:
    """One connection: any number of publications, and at most one reader."""

    def __init__(self, host: BrokerHost, broker: Broker, writer: asyncio.StreamWriter) -> None:
        self._host = host
        self._broker = broker
        self._writer = writer
        self._reader: BroadcastReader | GroupReader | None = None
        self._group: Group | None = None
        self._rest: deque[Delivery | Gap] = deque()
        self._reading: asyncio.Task[None] | None = None

    async def hear(self, request: list[Any]) -> None:
        """Takes a request: a number, what is wanted, and its arguments."""
        if len(request) != 3 or not isinstance(request[2], list):
            raise WireError("the request is malformed")
        number, wanted, arguments = request
        if wanted == "read":
            self._start_read(number, arguments)
            return
        try:
            answer, failure = self._obey(wanted, arguments), None
        except Failure as refused:
            answer, failure = None, refused
        self._answer(number, answer, failure)
        await self._writer.drain()

    async def leave(self) -> None:
        """Gives back what a member held."""
        if self._reading is not None:
            await end_tasks([self._reading])
        if self._reader is not None:
            await self._reader.close()

    def _answer(self, number: object, answer: object, failure: Failure | None) -> None:
        self._writer.write(framed(encode([number, pack_failure(failure), answer])))

    def _obey(self, wanted: object, arguments: list[Any]) -> object:
        try:
            match wanted:
                case "publish":
                    return self._publish(*arguments)
                case "open":
                    return self._open(*arguments)
                case "join":
                    return self._join(*arguments)
                case "settle":
                    return self._settle(*arguments)
        except (TypeError, ValueError, AttributeError) as error:
            raise WireError("the request has other arguments") from error
        raise WireError("the request is not known")

    def _publish(self, topic: str, events: list[Any]) -> list[Any]:
        found = self._broker.topic(topic)
        return [pack_confirmation(self._append(found, event_from(each))) for each in events]

    def _append(self, topic: Topic, event: Event) -> Confirmation:
        clock = self._host.clock
        try:
            number, is_duplicate = topic.append(event, clock.now(), clock.wall())
        except Failure as refused:
            return Confirmation(refused)
        return Confirmation(None, pack(number), is_duplicate)

    def _open(self, topic: str, start: Any) -> int:
        self._check_free()
        found = self._broker.topic(topic)
        self._reader = BroadcastReader(found, start_from(start), self._host.clock)
        return found.epoch

    def _join(self, topic: str, group: str, rule: Any) -> int:
        self._check_free()
        found, clock = self._broker.topic(topic), self._host.clock

        def bury(letter: Event) -> None:
            self._broker.topic(f"{topic}.dead").append(letter, clock.now(), clock.wall())

        self._group = self._broker.group(found, group, ack_from(rule), bury)
        self._reader = GroupReader(
            self._group, clock=clock, random=self._host.random, buried=lambda: None
        )
        return found.epoch

    def _check_free(self) -> None:
        if self._reader is not None:
            raise WireError("the connection has a reader already")

    def _settle(self, position: bytes, attempt: int, settlement: Any) -> bool:
        if self._group is None:
            raise WireError("there is nothing to settle")
        return self._group.settle(
            unpack(position),
            attempt,
            settlement_from(settlement),
            now=self._host.clock.now(),
            random=self._host.random,
        )

    # reading

    def _start_read(self, number: object, arguments: list[Any]) -> None:
        reader = self._reader
        if reader is None or (self._reading is not None and not self._reading.done()):
            raise WireError("there is nothing to read")
        if len(arguments) != 1 or not isinstance(arguments[0], int | None):
            raise WireError("the request has other arguments")
        if isinstance(reader, GroupReader) and arguments[0] is not None:
            reader.allow(arguments[0])
        self._reading = asyncio.create_task(self._read(number, reader))

    async def _read(self, number: object, reader: BroadcastReader | GroupReader) -> None:
        """Answers with what comes next, as much as fits an answer."""
        try:
            if not self._rest:
                self._rest.extend(await reader.read())
            self._answer(number, [_pack_item(item) for item in self._fitting()], None)
            await self._writer.drain()
        except OSError:
            return  # the worker is gone, which ends the connection
        except (Failure, WireError):
            self._writer.close()  # what cannot be told is given back

    def _fitting(self) -> Sequence[Delivery | Gap]:
        taken: list[Delivery | Gap] = []
        size = 0
        while self._rest and (not taken or size < _ANSWER):
            item = self._rest.popleft()
            size += event_size(item.event) if isinstance(item, Delivery) else 0
            taken.append(item)
        return taken


def _pack_item(item: Delivery | Gap) -> list[Any]:
    if isinstance(item, Gap):
        return [pack_gap(item), 0]
    return [pack_event(item.event), item.attempt]


@contextlib.asynccontextmanager
async def host_brokers(folder: Path) -> AsyncIterator[BrokerHost]:
    """Hosts the brokers of a group in its private folder, for as long as the group lives."""
    random = Random(secrets.randbits(64))  # noqa: S311  # jitter, not secrets
    host = BrokerHost(clock=LoopClock(), random=random)
    await host.start(brokers_path(folder))
    try:
        yield host
    finally:
        await host.close()
