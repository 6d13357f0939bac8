"""GET requests to the upstream itself, with nobody in between: what a call through us is held
against."""

from __future__ import annotations

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

from benchmarks.load.drained import DrainedLoad

__all__ = ["DirectLoop"]

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class DirectLoop(DrainedLoad):
    """Asks over one kept connection, one request after the other, each as soon as the last one was
    answered whole. An answer is right if it is 200 with exactly the body that is expected."""

    def __init__(self, url: str, body: bytes) -> None:
        super().__init__()
        where = urlsplit(url)
        self._address = (where.hostname or "", where.port or 0)
        self._request = f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n\r\n".encode()
        self._body = body
        self._since = 0.0
        self._exchange: _Exchange | None = None

    async def start(self) -> None:
        """Connect, unless that was done before, and send the first request."""
        self._is_on = True
        if self._exchange is None or self._exchange.is_lost:
            loop = asyncio.get_running_loop()
            _, self._exchange = await loop.create_connection(
                lambda: _Exchange(self), *self._address
            )
        self._issue(self._exchange)

    def close(self) -> None:
        """Close the connection."""
        if self._exchange is not None:
            self._exchange.close()

    def _issue(self, exchange: _Exchange) -> None:
        self._since = time.perf_counter()
        self._drained.begin()
        exchange.ask(self._request)

    def land(self, exchange: _Exchange, status: bytes, body: bytes) -> None:
        """An answer came whole; the next request follows it."""
        if status == b"200" and body == self._body:
            self._tally.done += 1
            self._tally.land(self._since)
        else:
            self._tally.fail("not the answer that was expected")
        self._drained.end()
        if self._is_on and self._tally.errors <= self._tally.done:
            self._issue(exchange)

    def lose(self) -> None:
        """The connection is gone, with a request under way or without one."""
        if self._drained.under_way:
            self._tally.fail("the connection was lost")
            self._drained.end()


class _Exchange(asyncio.Protocol):
    """The connection: one request, then its answer, by Content-Length."""

    def __init__(self, load: DirectLoop) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the load."""
        del error
        self.is_lost = True
        self._load.lose()

    def ask(self, request: bytes) -> None:
        """Send a request."""
        assert self._transport is not None  # noqa: S101  # it is connected
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take an answer once it is whole."""
        data = self._held + data
        end = data.find(_END)
        if end < 0:
            self._held = data
            return
        head = data[:end].lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        body = data[end + len(_END) :]
        if len(body) < length:
            self._held = data
            return
        self._held = b""
        self._load.land(self, head.split(b" ", 2)[1], body)
