"""A fake WebSocket ticker that misbehaves on request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import TracebackType
from typing import Self

from aiohttp import WSMsgType, web

from interlaced.core.ports import Clock
from interlaced.dev.chaos import Chaos

__all__ = ["SYMBOLS", "Ticker", "TickerSettings"]

NAME = "ticker"
SYMBOLS: Sequence[str] = ("ACME", "BOLT", "CORK", "DUNE", "ECHO")
"""What can be subscribed to."""

_QUEUE = 1000
_HISTORY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerSettings:
    """How fast the ticker goes, in seconds: `interval` between ticks of a symbol, `heartbeat`
    between its own signs of life."""

    interval: float = 0.1
    heartbeat: float = 1.0


@dataclass(slots=True, eq=False)
class _Client:
    """A connection: what it wants, and what waits to be written to it."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    symbols: set[str] = field(default_factory=set)
    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(_QUEUE))

    def push(self, text: str) -> None:
        """Queues a message; a client that does not read is cut off, not waited for."""
        try:
            self.queue.put_nowait(text)
        except asyncio.QueueFull:
            self.abort()

    def abort(self) -> None:
        """Cuts the connection without a close frame."""
        if self.transport is not None:
            self.transport.abort()


class Ticker:
    """A WebSocket server on a port of 127.0.0.1 that the system picks; `url` is known once entered.

    It takes `{"op": "subscribe", "symbols": [...]}`, answers `{"op": "subscribed"}` and sends ticks
    whose `seq` grows by one per symbol, whoever listens. With `"since": {"ACME": 17}` it first
    repeats what it still has after that. `{"op": "ping"}` gets `{"op": "pong"}`.

    `connections` counts all that were ever made, `subscriptions` keeps the last subscribe frames,
    and `last` the last number of every symbol: what really happened, whatever a client believes.
    """

    def __init__(
        self,
        chaos: Chaos,
        clock: Clock,
        random: Random,
        *,
        settings: TickerSettings | None = None,
    ) -> None:
        self.url = ""
        self.connections = 0
        self.subscriptions: deque[Mapping[str, object]] = deque(maxlen=1000)
        self.last = dict.fromkeys(SYMBOLS, 0)
        self._settings = settings or TickerSettings()
        self._chaos = chaos
        self._clock = clock
        self._random = random
        self._cents = dict.fromkeys(SYMBOLS, 10_000)
        self._history: dict[str, deque[tuple[int, str]]] = {
            symbol: deque(maxlen=_HISTORY) for symbol in SYMBOLS
        }
        self._held: dict[str, str] = {}
        self._silent_until = 0.0
        self._clients: set[_Client] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.5)
        chaos.on_change(NAME, self._changed)

    def _app(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.get("/feed", self._serve)])
        return app

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"ws://{host}:{port}/feed"
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._beat())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.cut()
        await self._runner.cleanup()

    @property
    def open_connections(self) -> int:
        """How many connections stand now."""
        return len(self._clients)

    def cut(self) -> None:
        """Cuts every connection without a close frame."""
        for client in self._clients:
            client.abort()

    def _changed(self) -> None:
        fault = self._chaos.fault(NAME)
        if fault.disconnect:
            self.cut()
        self._silent_until = self._clock.now() + fault.stall

    @property
    def _is_silent(self) -> bool:
        return self._clock.now() < self._silent_until

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = self._chaos.fault(NAME)
        await self._clock.sleep(fault.latency)
        if fault.reset:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if self._chaos.draws_failure(NAME):
            headers = (
                {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:.0f}"}
            )
            return web.Response(status=fault.status, headers=headers)
        # Pings are answered by hand, since a silent server answers none.
        websocket = web.WebSocketResponse(autoping=False, timeout=0.5)
        await websocket.prepare(request)
        await self._attend(_Client(websocket, request.transport))
        return websocket

    async def _attend(self, client: _Client) -> None:
        self.connections += 1
        self._clients.add(client)
        writer = asyncio.create_task(self._write(client))
        try:
            async for message in client.socket:
                if message.type is WSMsgType.TEXT:
                    self._received(client, message.data)
                elif message.type is WSMsgType.PING and not self._is_silent:
                    await client.socket.pong(message.data)
        finally:
            self._clients.discard(client)
            writer.cancel()
            await asyncio.wait([writer])

    async def _write(self, client: _Client) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await client.socket.send_str(await client.queue.get())

    def _received(self, client: _Client, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            frame = None
        if not isinstance(frame, dict) or frame.get("op") not in ("subscribe", "ping"):
            client.push(json.dumps({"op": "error", "message": "expected subscribe or ping"}))
        elif frame["op"] == "subscribe":
            self._subscribe(client, frame)
        elif not self._is_silent:
            client.push(json.dumps({"op": "pong"}))

    def _subscribe(self, client: _Client, frame: Mapping[str, object]) -> None:
        self.subscriptions.append(frame)
        asked = frame.get("symbols", list(SYMBOLS))
        if not isinstance(asked, list) or not all(symbol in SYMBOLS for symbol in asked):
            client.push(json.dumps({"op": "error", "message": "there is no such symbol"}))
            return
        client.push(json.dumps({"op": "subscribed", "symbols": asked}))
        since = frame.get("since")
        for symbol in asked:
            if isinstance(since, dict) and type(since.get(symbol)) is int:
                for number, text in self._history[symbol]:
                    if number > since[symbol]:
                        client.push(text)
        client.symbols |= set(asked)

    async def _beat(self) -> None:
        while True:
            await self._clock.sleep(self._settings.heartbeat)
            if not self._is_silent:
                for client in self._clients:
                    client.push(json.dumps({"op": "heartbeat"}))

    async def _tick(self) -> None:
        while True:
            await self._clock.sleep(self._settings.interval)
            if not self._is_silent:
                for symbol in SYMBOLS:
                    self.tick(symbol)

    def tick(self, symbol: str) -> None:
        """Makes one tick of a symbol and sends it as the chaos wants it."""
        text = self._make(symbol)
        for message in self._distort(symbol, text):
            for client in self._clients:
                if symbol in client.symbols:
                    client.push(message)

    def _make(self, symbol: str) -> str:
        self.last[symbol] += 1
        self._cents[symbol] = max(1, self._cents[symbol] + self._random.randint(-25, 25))
        moment = datetime.fromtimestamp(self._clock.wall(), UTC)
        text = json.dumps(
            {
                "op": "tick",
                "symbol": symbol,
                "seq": self.last[symbol],
                "price": f"{self._cents[symbol] / 100:.2f}",
                "time": moment.isoformat(timespec="milliseconds"),
            }
        )
        self._history[symbol].append((self.last[symbol], text))
        return text

    def _distort(self, symbol: str, text: str) -> Iterator[str]:
        """Drops a message, sends it twice, or holds it back until the symbol's next one is out."""
        if self._chaos.take(NAME, "drop"):
            return
        if symbol not in self._held and self._chaos.take(NAME, "reorder"):
            self._held[symbol] = text
            return
        yield text
        if self._chaos.take(NAME, "duplicate"):
            yield text
        if symbol in self._held:
            yield self._held.pop(symbol)
