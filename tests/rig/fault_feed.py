"""A WebSocket upstream by somebody else's library that counts, behind the whole service, and
listeners that write down what they are told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Unpack

from fault_broker import QUICK
from fault_rig import POLICY, write_manifest
from served import Served, served
from websocket_rig import ScriptedServer, scripted
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from interlace import Client, Dropped, Event, Gap, InterlaceError
from interlace.feed import SubscribeOptions
from interlaced.testing.fault_proxy import FaultProxy

__all__ = ["Counting", "FeedBench", "Listener", "feed_bench", "listening"]


class Counting:
    """Numbers its messages from 1 over all connections, one every `interval` seconds, to whoever
    has subscribed last; what it was told to say goes before the next number."""

    def __init__(self, interval: float = 0.005) -> None:
        self.interval = interval
        self.last = 0
        self.subscribed = 0
        self.is_quiet = False
        self.will_skip = 0
        self.early: str | None = None
        self.sockets: set[ServerConnection] = set()
        self.newest: ServerConnection | None = None
        self._says: asyncio.Queue[object] = asyncio.Queue(100)

    def say(self, frame: object) -> None:
        """Sends this once: a text, bytes for a broken text frame, or fragments of a text."""
        self._says.put_nowait(frame)

    async def talk(self, socket: ServerConnection) -> None:
        """The script of one connection."""
        with contextlib.suppress(ConnectionClosed):
            if self.early is not None:
                await socket.send(self.early)
            await socket.recv()
            self.subscribed += 1
            await socket.send(json.dumps({"op": "subscribed"}))
            self.sockets.add(socket)
            self.newest = socket
            try:
                while socket.state is State.OPEN:
                    if socket is self.newest:
                        await self._once(socket)
                    await asyncio.sleep(self.interval)
            finally:
                self.sockets.discard(socket)

    async def _once(self, socket: ServerConnection) -> None:
        while not self._says.empty():
            frame = self._says.get_nowait()
            if isinstance(frame, bytes):
                await socket.send(frame, text=True)
            else:
                await socket.send(frame)  # type: ignore[arg-type]  # a text or its fragments
        if not self.is_quiet:
            self.last += 1 + self.will_skip
            self.will_skip = 0
            await socket.send(json.dumps({"op": "tick", "symbol": "A", "seq": self.last}))

    async def close(self, code: int) -> None:
        """Closes every connection with this code."""
        await asyncio.gather(*(socket.close(code) for socket in tuple(self.sockets)))

    def abort(self) -> None:
        """Drops every connection without a word (the client sees 1006)."""
        for socket in tuple(self.sockets):
            socket.transport.abort()


@dataclass
class Listener:
    """What one subscriber was told, in order: ids, and gaps and drops among them."""

    items: list[Event | Gap | Dropped] = field(default_factory=list)
    error: InterlaceError | None = None

    @property
    def names(self) -> Sequence[str]:
        """The ids of the events."""
        return [item.id for item in self.items if isinstance(item, Event)]

    @property
    def gaps(self) -> Sequence[str]:
        """Why events are missing, gap by gap."""
        return [item.why.value for item in self.items if isinstance(item, Gap)]

    @property
    def dropped(self) -> int:
        """How many were dropped, as the overflow policy asks."""
        return sum(item.count for item in self.items if isinstance(item, Dropped))

    def wrong(self) -> list[str]:
        """What breaks L5: a step in the numbers that is not one up, and no gap that says so."""
        found: list[str] = []
        before: int | None = None
        is_gap = False
        for item in self.items:
            if not isinstance(item, Event):
                is_gap = True
                continue
            number = int(item.id.rpartition("-")[2].lstrip("abcdefghijklmnopqrstuvwxyz") or 0)
            if before is not None and number <= before:
                found.append(f"{before} then {number}")
            elif before is not None and number != before + 1 and not is_gap:
                found.append(f"{before} then {number} without a gap")
            before, is_gap = number, False
        return found

    async def listen(self, client: Client, feed: str, **options: Unpack[SubscribeOptions]) -> None:
        """Listens until it is cancelled or cannot go on."""
        options.setdefault("reconnect", QUICK)
        async with client.subscribe(feed, **options) as items:
            try:
                async for item in items:
                    self.items.append(item)
            except InterlaceError as error:
                self.error = error


@contextlib.asynccontextmanager
async def listening(
    client: Client, feed: str, count: int = 1, **options: Unpack[SubscribeOptions]
) -> AsyncIterator[list[Listener]]:
    """So many subscribers of one feed."""
    listeners = [Listener() for _ in range(count)]
    tasks = [asyncio.ensure_future(each.listen(client, feed, **options)) for each in listeners]
    try:
        yield listeners
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class FeedBench:
    """What a test of a WebSocket feed holds."""

    upstream: Counting
    server: ScriptedServer
    proxy: FaultProxy
    service: Served
    client: Client


@contextlib.asynccontextmanager
async def feed_bench(
    folder: Path, *, upstream: Mapping[str, object] | None = None, interval: float = 0.005
) -> AsyncIterator[FeedBench]:
    """Serves the connector `market` with the feed `Ticks`."""
    counting = Counting(interval)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(scripted(counting.talk))
        proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port))
        document = {
            "upstream": {
                "websocket": f"ws://127.0.0.1:{proxy.port}/feed",
                "allow_private": ["127.0.0.1/32"],
                "on_open": {"op": "subscribe"},
                "ack": {"match": {"$.op": "subscribed"}, "within": "500ms"},
                "heartbeat": {"ping": "150ms"},
                "connect_timeout": "500ms",
                "reconnect": "10ms..100ms",
                "pace": "20ms",
                "max_frame": "64KiB",
                **(upstream or {}),
            },
            "policy": POLICY,
            "feeds": {"Ticks": {"match": {"$.op": "tick"}, "key": "$.symbol", "sequence": "$.seq"}},
        }
        write_manifest(folder, "market", document)
        service = await stack.enter_async_context(served(folder))
        client = await stack.enter_async_context(Client(service.address))
        yield FeedBench(counting, server, proxy, service, client)
