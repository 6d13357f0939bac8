"""The transport port on llhttp: the lean one, for what is hot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from yarl import URL

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.ports import Clock, Resolve
from interlaced.transport.decoding import ACCEPT_ENCODING
from interlaced.transport.egress import EgressGuard, is_host_name, resolve
from interlaced.transport.headers import check_header, is_name, is_target
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, Prepared
from interlaced.transport.http_dial import Dialer
from interlaced.transport.http_pool import Pool
from interlaced.transport.http_stream import LeanStream
from interlaced.transport.http_wire import Answered, Receive, Wire
from interlaced.transport.tls import client_context
from interlaced.transport.wire_errors import lost_failure, unsendable

__all__ = ["LeanTransport"]

_AT_ONCE: Final = 256 * 1024
"""A body up to this size, in bytes, leaves in one piece with its head; a longer one in such."""
_NOT_SENT: Final = Reached.NOT_SENT
_WITHOUT_CONTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_MOST_NAMES: Final = 1024


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request's head, but for its target and what changes from call to call."""

    method: str
    before: str = field(repr=False)
    """The method and a blank."""
    behind: str = field(repr=False)
    """The rest of the request line and the lasting headers."""
    is_head: bool
    empty: str
    """What says that there is no body, for methods that have one."""
    alone: str = field(repr=False)
    """All that stands behind the target of a request that has neither headers of its own nor a
    body."""


class _First(NamedTuple):
    """What leaves of a request at once, and the body that follows piece by piece."""

    data: bytes
    is_head: bool
    rest: bytes | None


class LeanTransport:
    """One origin over connections of our own. Build it at load, use it on one loop, close it there.

    `lookup` resolves names (the system's resolver by default). OSError and ValueError come from
    settings that cannot work, such as a CA file that is missing.
    """

    def __init__(self, settings: HttpSettings, clock: Clock, *, lookup: Resolve = resolve) -> None:
        origin = URL(settings.origin)
        host = origin.raw_host or ""
        is_whole = origin.scheme in {"http", "https"} and (":" in host or is_host_name(host))
        if not is_whole or origin != origin.origin() or origin.port is None:
            raise ValueError("the origin is http://HOST[:PORT] or https://HOST[:PORT]")
        self._limit = settings.max_body
        self._authority = origin.host_port_subcomponent or host
        self._dialer = Dialer(
            host,
            origin.port,
            guard=EgressGuard(settings.allow),
            lookup=lookup,
            clock=clock,
            timeout=settings.connect_timeout,
            tls=client_context(settings.tls) if origin.scheme == "https" else None,
        )
        self._pool = Pool(clock, settings.idle)
        self._wires: set[Wire] = set()
        self._names: set[str] = set()
        self._emptied: asyncio.Future[None] | None = None
        self._is_closed = False

    def prepare(self, method: str, headers: Sequence[tuple[str, str]]) -> Prepared:
        for name, value in headers:
            check_header(name, value)
        method = method.upper()
        if not is_name(method) or method == "CONNECT":
            raise ValueError("not a method that can be sent")
        lasting = [("Host", self._authority), ("Accept-Encoding", ACCEPT_ENCODING), *headers]
        if not any(name.lower() == "user-agent" for name, _ in headers):
            lasting.append(("User-Agent", "interlace"))
        lines = "".join([f"{name}: {value}\r\n" for name, value in lasting])
        empty = "" if method in _WITHOUT_CONTENT else "Content-Length: 0\r\n"
        behind = f" HTTP/1.1\r\n{lines}"
        return _Prepared(
            method=method,
            before=f"{method} ",
            behind=behind,
            is_head=method == "HEAD",
            empty=empty,
            alone=f"{behind}{empty}\r\n",
        )

    async def send(self, request: HttpRequest) -> HttpResponse:
        effort = request.effort
        effort.reached = _NOT_SENT
        first = self._first(request)
        wire = self._pool.take()
        is_new = wire is None
        if wire is None:
            wire = await self._connect()
        waiter = wire.ask(first.data, effort, is_head=first.is_head, is_whole=first.rest is None)
        try:
            answer = await (waiter if first.rest is None else _upload(wire, first.rest, waiter))
        except BaseException:
            if not waiter.done() or waiter.cancelled():
                wire.drop()  # nobody knows where in the answer it stands
            raise
        if is_new:
            self._dialer.learn(wire)
        if isinstance(answer, Failure):
            raise answer
        return answer

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[LeanStream]:
        effort = request.effort
        effort.reached = _NOT_SENT
        first = self._first(request)
        wire = self._pool.take()
        is_new = wire is None
        if wire is None:
            wire = await self._connect()
        answer = LeanStream(wire, asyncio.get_running_loop())
        is_whole = first.rest is None
        wire.stream(first.data, effort, answer, is_head=first.is_head, is_whole=is_whole)
        upload = None
        if first.rest is not None:
            # On its own, since the far side may wait for us to read what it answers meanwhile.
            upload = asyncio.create_task(_upload(wire, first.rest, answer.over))
        try:
            await answer.headed
            if is_new:
                self._dialer.learn(wire)
            answer.check()
            yield answer
        finally:
            if not answer.over.done():
                wire.drop()
            if upload is not None:
                upload.cancel()
                await asyncio.wait({upload})

    def begin(self, request: HttpRequest, receive: Receive) -> Wire | None:
        """Sends a request at once and calls `receive` with its answer; returns the connection that
        it is on. It does nothing and returns None where no connection is idle, for a body that
        takes more than one piece, and for HEAD. Raises INVALID_REQUEST as `send` does."""
        prepared, body = request.prepared, request.body
        assert isinstance(prepared, _Prepared)  # noqa: S101  # made by this very object
        if prepared.is_head or (body is not None and len(body) > _AT_ONCE):
            return None
        head = self._head(prepared, request)
        wire = self._pool.take()
        if wire is not None:
            wire.begin(head + body if body else head, request.effort, receive)
        return wire

    async def close(self) -> None:
        self._is_closed = True
        self._pool.close()
        for wire in tuple(self._wires):
            wire.drop()
        if self._wires:
            self._emptied = self._emptied or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    def _first(self, request: HttpRequest) -> _First:
        """Writes what leaves at once."""
        prepared, body = request.prepared, request.body
        assert isinstance(prepared, _Prepared)  # noqa: S101  # made by this very object
        head = self._head(prepared, request)
        if body is None or len(body) <= _AT_ONCE:
            return _First(head + body if body else head, prepared.is_head, None)
        return _First(head, prepared.is_head, body)

    def _head(self, prepared: _Prepared, request: HttpRequest) -> bytes:
        """Writes a head, and lets nothing through that would make it two."""
        target, body = request.target, request.body
        if is_target(target) is None:
            raise unsendable()
        if body is None and not request.headers:
            return f"{prepared.before}{target}{prepared.alone}".encode("ascii")
        lines = ""
        try:
            for name, value in request.headers:
                if name not in self._names or not (value.isascii() and value.isprintable()):
                    self._check(name, value)
                lines = f"{lines}{name}: {value}\r\n"
        except ValueError as error:
            raise unsendable() from error
        length = prepared.empty if body is None else f"Content-Length: {len(body)}\r\n"
        return f"{prepared.before}{target}{prepared.behind}{lines}{length}\r\n".encode("ascii")

    def _check(self, name: str, value: str) -> None:
        check_header(name, value)
        if len(self._names) < _MOST_NAMES:
            self._names.add(name)

    async def _connect(self) -> Wire:
        if self._is_closed:
            raise Failure(Reason.DRAINING, "The connector is closed.")
        wire = await self._dialer.dial(self._new_wire)
        if not wire.is_open:  # lost before anybody could write
            raise lost_failure(wire.error, Reached.NOT_SENT) from wire.error
        self._wires.add(wire)
        if self._is_closed:
            wire.drop()
            raise Failure(Reason.DRAINING, "The connector is closed.")
        return wire

    def _new_wire(self) -> Wire:
        loop = asyncio.get_running_loop()
        return Wire(loop, self._limit, self._lost, self._pool.put)

    def _lost(self, wire: Wire) -> None:
        self._wires.discard(wire)
        if not self._wires and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


async def _upload(wire: Wire, body: bytes, waiter: asyncio.Future[Answered]) -> Answered:
    """Writes a long body piece by piece, as fast as the far side takes it, and reads the answer,
    which may come before the end: then nobody needs the rest."""
    view = memoryview(body)
    for start in range(0, len(view), _AT_ONCE):
        blocked = wire.more(view[start : start + _AT_ONCE])
        if blocked is not None:
            await blocked
        if waiter.done():
            return waiter.result()
    wire.is_sent = True
    return await waiter
