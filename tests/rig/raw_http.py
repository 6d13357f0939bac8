"""A scripted HTTP/1 server on raw sockets: it sends exactly the bytes it is told to, and logs every
byte that arrived."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import struct
from collections import deque
from dataclasses import dataclass
from typing import Self

__all__ = ["Answer", "RawServer", "Seen", "chunked", "ok"]


@dataclass(frozen=True)
class Answer:
    """Bytes to send for one request, and what to do then: `keep`, `close`, `reset` or `hang`.

    `before` is a wait in seconds before the bytes; `stray` comes a moment after them, on the idle
    connection.
    """

    data: bytes = b""
    then: str = "keep"
    before: float = 0.0
    stray: bytes = b""


@dataclass
class Seen:
    """One request as it arrived."""

    connection: int
    head: bytes
    body: bytes = b""

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def headers(self, name: str) -> list[str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = [line.partition(": ") for line in lines if line]
        return [value for key, _, value in pairs if key.lower() == name.lower()]


def ok(body: bytes = b"{}", *headers: str, status: str = "200 OK", **rest: object) -> Answer:
    """A proper answer with a length; JSON unless a Content-Type is given."""
    lines = list(headers)
    if not any(line.lower().startswith("content-type:") for line in lines):
        lines.append("Content-Type: application/json")
    head = "".join(f"{line}\r\n" for line in [*lines, f"Content-Length: {len(body)}"])
    return Answer(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body, **rest)  # type: ignore[arg-type]


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n", **rest: object) -> Answer:
    """An answer in chunks."""
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return Answer(head + body + end, **rest)  # type: ignore[arg-type]


class RawServer:
    """`async with RawServer(ok(b"1"), Answer(then="reset")) as server:` answers in that order, and
    then always with `default`. `idle` closes a connection after so many seconds without a request.
    """

    def __init__(
        self,
        *answers: Answer,
        default: Answer | None = None,
        idle: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answers = deque(answers)
        self.default = default or ok()
        self.idle = idle
        self.tls = tls
        self.requests: list[Seen] = []
        self.received: list[bytearray] = []
        self.open = 0
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.tls, limit=64 * 1024 * 1024
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def origin(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def hits(self) -> int:
        return len(self.requests)

    @property
    def connections(self) -> int:
        return len(self.received)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        number = len(self.received)
        self.received.append(bytearray())
        self.open += 1
        try:
            await self._talk(number, reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client went away, which is the client's test to judge
        except asyncio.CancelledError:
            pass  # the server is closing; start_server's own callback chokes on a cancelled task
        finally:
            self.open -= 1
            self.gone.set()
            writer.close()

    async def _talk(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            async with asyncio.timeout(self.idle):
                seen = await self._read(number, reader)
            if seen is None:
                return
            self.requests.append(seen)
            self.arrived.set()
            answer = self.answers.popleft() if self.answers else self.default
            if answer.before:
                await asyncio.sleep(answer.before)
            writer.write(answer.data)
            await writer.drain()
            if answer.stray:
                await asyncio.sleep(0.02)
                writer.write(answer.stray)
                await writer.drain()
            if not await self._then(answer.then, reader, writer):
                return

    async def _then(
        self, then: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if then == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif then == "hang":
            await reader.read(1)
        return then == "keep"

    async def _read(self, number: int, reader: asyncio.StreamReader) -> Seen | None:
        log = self.received[number]
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            log += error.partial
            return None
        log += head
        seen = Seen(number, head)
        match = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if match:
            seen.body = await reader.readexactly(int(match[1]))
            log += seen.body
        return seen
