"""The nats kind under test: a real server behind a fault proxy, a stream of its own per rig."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import urlsplit

from interlaced.connectors.nats import recipe
from interlaced.connectors.nats.config import Config
from interlaced.connectors.nats.connector import build
from interlaced.core.clock import LoopClock, TimeLimit
from interlaced.core.failure import NotConnected
from interlaced.core.model import Delivery, Effort, Event, Gap, Publication
from interlaced.core.ports import (
    Capability,
    Connector,
    Durability,
    Feed,
    Order,
    Reader,
    Start,
    StartKind,
)
from interlaced.testing.fakes import make_tools
from interlaced.testing.fault_proxy import FaultProxy, Faults
from interlaced.transport.nats_link import Link, LinkSettings

__all__ = ["CORE", "FEED", "SINK", "NatsCase", "NatsRig", "nats_rig", "publication", "take"]

FEED = Capability(
    durability=Durability.REPLICATED_LAZY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
SINK = Capability(durability=Durability.REPLICATED_LAZY, order=Order.TOTAL)
CORE = Capability(durability=Durability.NONE, order=Order.NONE)

_numbers = itertools.count(1)
_ACK = {"wait": "500ms", "hold": "400ms", "max_deliver": 3, "backoff": "20ms..100ms"}


def publication(events: Sequence[Event], seconds: float = 10.0) -> Publication:
    """Makes a publication with a deadline so many seconds from now."""
    now = LoopClock().now()
    return Publication(deadline=now + seconds, effort=Effort(now), sink="Orders", events=events)


async def take(reader: Reader, count: int, seconds: float = 20.0) -> list[Delivery]:
    """Reads so many deliveries; a gap is a failure."""
    clock, taken = LoopClock(), []
    with TimeLimit(clock, clock.now() + seconds):
        while len(taken) < count:
            for item in await reader.read():
                assert isinstance(item, Delivery), item
                taken.append(item)
    return taken


class NatsRig:
    """A connector behind a proxy, a direct way to its server, and what the suites ask for."""

    max_deliver = 3
    wait = 1.5
    limit = 1024 * 1024

    def __init__(
        self, direct: Link, proxy: FaultProxy, *, core: bool, ack: Mapping[str, Any]
    ) -> None:
        number = next(_numbers)
        self.clock = LoopClock()
        self.proxy = proxy
        self.direct = direct
        self.stream = f"S{number}x{id(self) % 100_000}"
        self.subject = f"{self.stream}.new"
        self._ack = {**_ACK, **ack}
        self._core = core
        self._log: list[Event] = []
        self.tools = make_tools(self.clock)
        self.connector: Connector = self.make()
        self.feed: Feed = self.connector.feeds["Orders"]
        self.dead = self.connector.feeds.get("Orders.dead", self.feed)
        self.sink = self.connector.sinks["Orders"]

    def document(self) -> dict[str, Any]:
        """Returns the manifest."""
        upstream = {"nats": f"nats://127.0.0.1:{self.proxy.port}", "heartbeat": "200ms"}
        upstream |= {"connect_timeout": "1s", "timeout": "2s"}
        if self._core:
            feed: dict[str, Any] = {"core": True, "subject": f"{self.stream}.>", "queue_limit": 100}
            sink: dict[str, Any] = {"core": True, "subject": self.subject}
            return {"upstream": upstream, "feeds": {"Orders": feed}, "sinks": {"Orders": sink}}
        feed = {"stream": self.stream, "subject": f"{self.stream}.>", "ack": self._ack}
        return {
            "upstream": upstream,
            "streams": {self.stream: {"subjects": [f"{self.stream}.>"]}},
            "feeds": {"Orders": feed},
            "sinks": {"Orders": {"subject": self.subject, "stream": self.stream}},
        }

    def make(self, document: Mapping[str, Any] | None = None) -> Connector:
        """Builds a connector."""
        return build("orders", Config.model_validate(document or self.document()), self.tools)

    async def api(self, what: str, request: object = None) -> Mapping[str, Any]:
        """Asks JetStream directly."""
        data = b"" if request is None else json.dumps(request).encode()
        return json.loads((await self.direct.ask(f"$JS.API.{what}", data, seconds=5)).data)

    async def prepare(self) -> None:
        """Creates the streams, or listens where there are none."""
        if self._core:
            await self.direct.listen(f"{self.stream}.>", self._note)
            await self.direct.flush(5)
            return
        reader = await self.feed.join("first")
        await reader.close()
        await self.api(f"CONSUMER.DELETE.{self.stream}.first")

    async def _note(self, message: Any) -> None:
        event = recipe.from_message(message, None, media_type="", otherwise="")
        self._log.append(event)

    async def publish(self, events: Sequence[Event]) -> None:
        """Publishes directly, not through the proxy."""
        for event in events:
            headers = recipe.to_headers(event)
            if self._core:
                await self.direct.send(self.subject, event.data, headers=headers)
            else:
                await self.direct.ask(self.subject, event.data, headers=headers, seconds=5)
        await self.direct.flush(5)

    async def stored(self, count: int) -> Sequence[Event]:
        """Returns what the broker has."""
        if self._core:
            while len(self._log) < count:
                await asyncio.sleep(0.01)
            return self._log
        reader = await self.feed.open(Start(StartKind.OLDEST))
        events = [delivery.event for delivery in await take(reader, count)]
        try:
            with TimeLimit(self.clock, self.clock.now() + 0.1):
                events += [one.event for one in await reader.read() if isinstance(one, Delivery)]
        except TimeoutError:
            pass
        await reader.close()
        return events

    async def expire(self) -> None:
        """Purges the stream."""
        await self.api(f"STREAM.PURGE.{self.stream}")

    async def rebuild(self) -> None:
        """Deletes the stream; the connector makes a new one of the same name."""
        await self.api(f"STREAM.DELETE.{self.stream}")

    async def cut(self) -> None:
        """Resets every connection."""
        self.proxy.cut()

    async def unreach(self) -> None:
        """Refuses connections and resets those that stand."""
        self.proxy.script(Faults(refuse=True))
        self.proxy.cut()

    async def freeze(self) -> None:
        """Lets nothing through."""
        self.proxy.script(Faults(blackhole=True))

    async def thaw(self) -> None:
        """Takes the faults away; what stood is cut, as a network would in the end."""
        self.proxy.heal()
        self.proxy.cut()

    async def reopen(
        self, opening: Callable[[], Awaitable[Reader]], seconds: float = 10.0
    ) -> Reader:
        """Opens a reader as the pump does: again until it stands."""
        until = self.clock.now() + seconds
        while True:
            try:
                return await opening()
            except NotConnected:
                assert self.clock.now() < until, "it does not come back"
                await asyncio.sleep(0.05)

    async def read_or_reopen(
        self, reader: Reader, opening: Callable[[], Awaitable[Reader]]
    ) -> tuple[Reader, Sequence[Delivery | Gap]]:
        """Reads as the pump does: a lost connection is opened again."""
        while True:
            try:
                return reader, await reader.read()
            except NotConnected:
                await reader.close()
                reader = await self.reopen(opening)


@asynccontextmanager
async def nats_rig(
    url: str, *, core: bool = False, ack: Mapping[str, Any] | None = None
) -> AsyncIterator[NatsRig]:
    """Makes a rig and takes it down."""
    address = urlsplit(url)
    direct = await Link.open(LinkSettings(servers=(url,)), LoopClock(), Random(1))
    async with FaultProxy(str(address.hostname), address.port or 4222) as proxy:
        rig = NatsRig(direct, proxy, core=core, ack=ack or {})
        await rig.prepare()
        try:
            yield rig
        finally:
            await rig.connector.close()
            if not core and direct.lost is None:
                await rig.api(f"STREAM.DELETE.{rig.stream}")
                await rig.api(f"STREAM.DELETE.{rig.stream}-dead")
            await direct.close()


class NatsCase:
    """Runs a clause against a real server."""

    def __init__(self, url: str, *, core: bool = False) -> None:
        self._url = url
        self._core = core

    def run(self, clause: Callable[[NatsRig], Awaitable[None]]) -> None:
        async def main() -> None:
            async with nats_rig(self._url, core=self._core) as rig:
                await clause(rig)

        asyncio.run(main())
