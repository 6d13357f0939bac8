"""A TCP proxy that misbehaves on request: what tests put between the house and a real server."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from interlaced.core.clock import LoopClock
from interlaced.core.ports import Clock

__all__ = ["FaultProxy", "Faults"]

_PIECE = 64 * 1024
_LINGER_ZERO = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What to do to a connection. The *answer* flows from the server to the client, the *request*
    the other way. Counts of bytes begin when the script reaches the connection.

    The order within one piece of the answer: latency, corruption, bandwidth and slices, then the
    ends (`limit_data`, `reset_after`, `half_close`) exactly at their byte.
    """

    latency: float = 0.0
    """Seconds before each piece of the answer."""
    jitter: float = 0.0
    """Up to so many seconds more, drawn from the proxy's seed."""
    bandwidth: int | None = None
    """Bytes of the answer per second."""
    slicer: int | None = None
    """Bytes per slice; each slice is sent alone."""
    limit_data: int | None = None
    """After so many bytes of the answer both sides are closed in an orderly way (FIN)."""
    reset_after: int | None = None
    """After so many bytes of the answer the client gets an RST; at 0 when the first would come."""
    reset_request_after: int | None = None
    """After so many bytes of the request both sides get an RST; at 0 with the first byte."""
    half_close: bool = False
    """The client is told the end of the answer (FIN) with its next byte, and may go on sending."""
    corrupt_at: int | None = None
    """The byte of the answer with this number, counted from 0, has all its bits flipped."""
    blackhole: bool = False
    """Nothing passes in either direction, and nothing closes: a peer that is gone without FIN."""
    refuse: bool = False
    """New connections are refused; open ones go on."""


class _Link:
    """One proxied connection."""

    def __init__(self, client: asyncio.StreamWriter, faults: Faults, *, pinned: bool) -> None:
        self.client = client
        self.server: asyncio.StreamWriter | None = None
        self.task = asyncio.current_task()
        self.faults = faults
        self.is_pinned = pinned
        self.changed = asyncio.Event()
        self.answered = 0
        self.requested = 0

    def script(self, faults: Faults) -> None:
        """Puts other faults into force and counts from here."""
        self.faults = faults
        self.answered = self.requested = 0
        self.changed.set()
        self.changed = asyncio.Event()

    def reset(self) -> None:
        """Sends an RST both ways, and ends whatever still waits to be passed on."""
        if self.task is not None and not self.task.cancelling():
            self.task.cancel()
        for writer in (self.client, self.server):
            if writer is None or writer.transport.is_closing():
                continue
            with contextlib.suppress(OSError):  # it may be gone already, which is what we want
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            writer.transport.abort()

    def close(self) -> None:
        """Closes both ways in an orderly manner."""
        for writer in (self.client, self.server):
            if writer is not None:
                writer.close()

    async def passage(self) -> None:
        """Waits until the connection is no black hole."""
        while self.faults.blackhole:
            await self.changed.wait()


class FaultProxy:
    """Listens on a loopback port of its own and passes bytes to HOST:PORT, under a script.

    `async with FaultProxy(host, port) as proxy:` then connect to `127.0.0.1:{proxy.port}`.
    `script` changes what all connections do, open ones included; `script_next` gives scripts of
    their own to the connections that come next, one each. Leaving the block closes everything.
    """

    def __init__(self, host: str, port: int, *, clock: Clock | None = None, seed: int = 1) -> None:
        self._target = (host, port)
        self._clock = clock or LoopClock()
        self._random = random.Random(seed)  # noqa: S311  # chance for tests, not for secrets
        self._faults = Faults()
        self._next: deque[Faults] = deque()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: socket.socket | None = None
        self._unserved: set[socket.socket] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self.accepted = 0
        """Connections accepted so far."""
        self.request_bytes = 0
        """Bytes that clients have sent so far, passed on or not."""

    async def __aenter__(self) -> Self:
        self._reserved = _socket(0)
        self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop_listening()
        self.cut()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sock in self._unserved:  # their tasks were cancelled before they began
            sock.close()
        self._reserved.close()

    @property
    def port(self) -> int:
        """The port to connect to; it stays ours while connections are refused."""
        port: int = self._reserved.getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    def script(self, faults: Faults) -> None:
        """Applies to open and future connections, but for those with a script of their own."""
        self._faults = faults
        for link in self._links:
            if not link.is_pinned:
                link.script(faults)
        if faults.refuse:
            self._stop_listening()
        elif self._listener is None:
            self._listen()

    def script_next(self, *faults: Faults) -> None:
        """Gives each of the next connections a script of its own, in this order."""
        self._next.extend(faults)

    def heal(self) -> None:
        """Takes every fault away, from every connection, and from the ones to come."""
        self._next.clear()
        for link in self._links:
            link.is_pinned = False
        self.script(Faults())

    def cut(self) -> None:
        """Sends an RST on every open connection, both ways."""
        for link in list(self._links):
            link.reset()

    async def idle(self) -> None:
        """Waits until no connection is open."""
        await self._is_idle.wait()

    def _listen(self) -> None:
        self._listener = _socket(self.port)
        self._listener.listen(512)
        # No task waits in `sock_accept`: cancelling it could lose what it has just accepted.
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            # Before the close, or the loop would later forget whoever has the number next.
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
        self._listener = None

    def _own(self, coroutine: object) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(coroutine)  # type: ignore[call-overload]  # a coroutine of ours
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):  # it left before we looked
            sock, _ = listener.accept()
            sock.setblocking(False)
            self.accepted += 1
            is_pinned = bool(self._next)
            faults = self._next.popleft() if is_pinned else self._faults
            self._unserved.add(sock)
            self._own(self._serve(sock, faults, is_pinned))

    async def _serve(self, sock: socket.socket, faults: Faults, is_pinned: bool) -> None:
        self._unserved.discard(sock)
        reader, writer = await asyncio.open_connection(sock=sock)
        link = _Link(writer, faults, pinned=is_pinned)
        self._links.add(link)
        self._is_idle.clear()
        try:
            await link.passage()
            answers, link.server = await asyncio.open_connection(*self._target)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._request(link, reader, link.server))
                group.create_task(self._answer(link, answers, writer))
        except* OSError:
            link.reset()  # one side is gone: the other side gets to know it the same way
        finally:
            link.close()
            self._links.discard(link)
            if not self._links:
                self._is_idle.set()

    async def _request(
        self, link: _Link, reader: asyncio.StreamReader, server: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(_PIECE):
            self.request_bytes += len(piece)
            limit = link.faults.reset_request_after
            if limit is not None and link.requested + len(piece) > limit:
                server.write(piece[: limit - link.requested])
                await server.drain()
                link.reset()
                return
            link.requested += len(piece)
            await link.passage()
            server.write(piece)
            await server.drain()
            if link.faults.half_close:
                _end(link.client)
        await link.passage()
        _end(server)

    async def _answer(
        self, link: _Link, reader: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        while piece := await reader.read(_PIECE):
            if not await self._pass(link, piece, client):
                return
        await link.passage()
        _end(client)

    async def _pass(self, link: _Link, piece: bytes, client: asyncio.StreamWriter) -> bool:
        """Passes one piece of the answer; returns False once the script has ended it."""
        faults = link.faults
        if wait := faults.latency + self._random.uniform(0.0, faults.jitter):
            await self._clock.sleep(wait)
        await link.passage()
        faults = link.faults
        piece = _corrupted(piece, faults.corrupt_at, link.answered)
        ends = [end for end in (faults.limit_data, faults.reset_after) if end is not None]
        allowed = min((end - link.answered for end in ends), default=len(piece))
        await self._write(faults, piece[: max(0, allowed)], client)
        link.answered += len(piece)
        if allowed > len(piece) or (allowed == len(piece) and not ends):
            return not faults.half_close
        if faults.reset_after is not None and min(ends) == faults.reset_after:
            link.reset()
        else:
            link.close()
        return False

    async def _write(self, faults: Faults, piece: bytes, client: asyncio.StreamWriter) -> None:
        rate = faults.bandwidth
        size = faults.slicer or (max(1, rate // 20) if rate else len(piece)) or 1
        for start in range(0, len(piece), size):
            part = piece[start : start + size]
            client.write(part)
            await client.drain()
            if rate:
                await self._clock.sleep(len(part) / rate)
            elif faults.slicer:
                await asyncio.sleep(0)  # lets the kernel send it before the next one


def _socket(port: int) -> socket.socket:
    """Binds a loopback port that a second socket of ours may share, so that it stays ours."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    sock.setblocking(False)
    return sock


def _end(writer: asyncio.StreamWriter) -> None:
    """Says that no more is coming (FIN)."""
    if writer.can_write_eof() and not writer.transport.is_closing():
        with contextlib.suppress(OSError):  # the other side may have closed meanwhile
            writer.write_eof()


def _corrupted(piece: bytes, at: int | None, start: int) -> bytes:
    """Flips the byte with the number `at`, if it lies in this piece, which begins at `start`."""
    if at is None or not start <= at < start + len(piece):
        return piece
    index = at - start
    return piece[:index] + bytes((piece[index] ^ 0xFF,)) + piece[index + 1 :]
