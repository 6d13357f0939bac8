"""The far side of the transport suites: a raw loopback server, and what every clause stands on."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar

from interlaced.core.failure import Failure
from interlaced.core.model import Effort
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, HttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CLOSE", "HOLD", "LATER", "RESET", "Origin", "TransportRig", "answer"]

RESET = b"\x00reset"
CLOSE = b"\x00close"
HOLD = b"\x00hold"
LATER = b"\x00later"


class Origin:
    """A server that answers each request with the next of its scripted texts.

    A text that ends with RESET, CLOSE or HOLD does that after its bytes; what stands behind LATER
    is sent a moment after the rest. It counts what arrives. While `echoes` is set it answers with
    the value of X-Own instead, in two pieces; while `choose` is set, with the pieces that it
    returns for a request's head, of which CLOSE is one.
    """

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = list(answers)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.open = 0
        self.echoes = False
        self.choose: Callable[[bytes], Iterable[bytes]] | None = None
        self.arrived = asyncio.Event()
        self.left = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talks to one client until it leaves or the script ends."""
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._writers.append(writer)
        self.connections += 1
        self.open += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            return  # the client left, which is its right
        except asyncio.CancelledError:
            return  # the suite is done with this server
        finally:
            self.open -= 1
            self.left.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if length:
            await reader.readexactly(int(length[1]))
        self.heads.append(head)
        self.arrived.set()
        if self.echoes:
            return await self._echo(head, writer)
        if self.choose is not None:
            return await self._drip(self.choose(head), writer)
        text = self._answers.pop(0) if self._answers else answer(b"{}")
        order = next((each for each in (RESET, CLOSE, HOLD) if text.endswith(each)), b"")
        now, later, then = text.removesuffix(order).partition(LATER)
        writer.write(now)
        await writer.drain()
        if later:
            await asyncio.sleep(0.02)
            writer.write(then)
            await writer.drain()
        if order == RESET:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif order == HOLD:
            await reader.read(1)
        return not order

    async def _echo(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        own = re.search(rb"(?i)\r\nx-own: ([^\r]*)", head)
        text = answer(own[1] if own else b"")
        for piece in (text[:-1], text[-1:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # so that the two arrive apart
        return True

    async def _drip(self, pieces: Iterable[bytes], writer: asyncio.StreamWriter) -> bool:
        for piece in pieces:
            if piece == CLOSE:
                return False
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # so that they arrive apart
        return True

    async def stop(self) -> None:
        """Ends every conversation."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)  # lets the loop close them


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """Writes an answer with its length."""
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class TransportRig:
    """Builds the transport under test, and the origin that it talks to."""

    hang: ClassVar[float] = 10.0
    """No clause takes longer than this, in seconds: a limit on hanging, not a measurement."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        """Builds the transport under test."""
        raise TypeError("a suite needs a factory: override make()")

    @asynccontextmanager
    async def wire(
        self, *answers: bytes, **settings: object
    ) -> AsyncIterator[tuple[Origin, HttpTransport]]:
        """Yields a scripted origin and a transport to it, and closes both."""
        origin = Origin(answers)
        server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, limit=2**24)
        origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        chosen: dict[str, object] = {"origin": origin.url, "allow": ("127.0.0.1/32",), **settings}
        transport = self.make(HttpSettings(**chosen))  # type: ignore[arg-type]  # as the clause says
        try:
            async with asyncio.timeout(self.hang):
                yield origin, transport
        finally:
            server.close()
            try:
                await transport.close()
            finally:
                await origin.stop()

    async def ask(
        self,
        transport: HttpTransport,
        method: str = "GET",
        *,
        body: bytes | None = None,
        effort: Effort | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> HttpResponse:
        """Sends one request to `/a%2Fb?c=%20d`."""
        prepared = transport.prepare(method, [("X-Fixed", "1")])
        effort = effort or Effort(0.0)
        return await transport.send(HttpRequest(prepared, "/a%2Fb?c=%20d", headers, body, effort))

    async def refused(
        self, transport: HttpTransport, method: str = "GET", **options: object
    ) -> Failure:
        """Sends one request and returns the Failure that must come of it."""
        try:
            response = await self.ask(transport, method, **options)  # type: ignore[arg-type]  # ask's
        except Failure as failure:
            return failure
        raise AssertionError(f"answered with {response.status} instead of a Failure")
