"""A WebSocket server by somebody else's library, scripted by tests, and what they ask of feeds."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from interlaced.connectors.websocket.config import Config
from interlaced.connectors.websocket.connector import build
from interlaced.core.failure import Failure, NotConnected
from interlaced.core.model import Delivery, Gap
from interlaced.core.ports import Connector, Reader, Tools
from interlaced.testing.fakes import make_tools

Script = Callable[[ServerConnection], Awaitable[None]]

ALLOWED = ["127.0.0.1/32"]

# Connections that tests cut are errors to the library; they are what the tests are about.
logging.getLogger("websockets").setLevel(logging.CRITICAL)


class ScriptedServer:
    """Runs a script per connection and remembers what every client sent."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.open = 0
        self.headers: list[Mapping[str, str]] = []
        self.url = ""
        self.port = 0

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self.open += 1
        assert socket.request is not None
        self.headers.append(socket.request.headers)
        try:
            await self.script(socket)
        finally:
            self.open -= 1


@asynccontextmanager
async def scripted(script: Script, **options: Any) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(script)
    async with serve(
        server.handle, "127.0.0.1", 0, max_size=2**26, close_timeout=0.2, **options
    ) as listener:
        host, port = next(iter(listener.sockets)).getsockname()[:2]
        server.port = port
        server.url = f"ws://{host}:{port}/feed"
        yield server


def tick(symbol: str, number: int) -> str:
    return json.dumps({"op": "tick", "symbol": symbol, "seq": number})


TICKS: dict[str, object] = {"match": {"$.op": "tick"}, "key": "$.symbol", "sequence": "$.seq"}


def config(url: str, *, feeds: Mapping[str, object] | None = None, **upstream: object) -> Config:
    return Config.model_validate(
        {
            "upstream": {
                "websocket": url,
                "allow_private": ALLOWED,
                "pace": "10ms",
                "reconnect": "10ms..100ms",
                **upstream,
            },
            "feeds": feeds or {"Ticks": TICKS},
        }
    )


@asynccontextmanager
async def connector_to(
    url: str,
    tools: Tools | None = None,
    *,
    feeds: Mapping[str, object] | None = None,
    **upstream: object,
) -> AsyncIterator[Connector]:
    connector = build("market", config(url, feeds=feeds, **upstream), tools or make_tools())
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


async def read_until(reader: Reader, count: int) -> list[Delivery | Gap]:
    """Reads at least so many items, within five seconds."""
    items: list[Delivery | Gap] = []
    async with asyncio.timeout(5):
        while len(items) < count:
            items += await reader.read()
    return items


async def read_to_the_end(reader: Reader) -> tuple[list[Delivery | Gap], Failure]:
    """Reads until the connection is lost, within five seconds; returns what came, and why."""
    items: list[Delivery | Gap] = []
    async with asyncio.timeout(5):
        while True:
            try:
                items += await reader.read()
            except NotConnected as error:
                return items, error.failure


async def lost(reader: Reader) -> Failure:
    """Reads until the connection is lost, and returns why."""
    return (await read_to_the_end(reader))[1]


def brief(items: list[Delivery | Gap]) -> list[str]:
    """Writes items so that tests can be read: `A-1`, `gap 2..3`."""
    return [
        f"gap {item.first}..{item.last}" if isinstance(item, Gap) else item.event.id
        for item in items
    ]


async def eventually(holds: Callable[[], bool]) -> None:
    """Waits, for five seconds at most, until something that nobody announces has happened."""
    async with asyncio.timeout(5):
        while not holds():  # the far side has no event to wait for
            await asyncio.sleep(0.005)
