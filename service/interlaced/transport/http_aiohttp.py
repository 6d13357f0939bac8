"""The transport port on aiohttp, with everything that aiohttp would do by itself switched off."""

from __future__ import annotations

import asyncio
import io
import math
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.core.ports import Clock, Resolve
from interlaced.transport.aiohttp_resolver import HouseResolver
from interlaced.transport.decoding import ACCEPT_ENCODING, Body, body_for, too_large
from interlaced.transport.egress import EgressGuard, is_host_name, resolve, resolver_of
from interlaced.transport.headers import check_header, check_target, is_name
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, Prepared
from interlaced.transport.http_errors import harmless, translate
from interlaced.transport.http_head import idle_limit
from interlaced.transport.tls import client_context
from interlaced.transport.wire_errors import EgressRefusedError, is_settled, unsendable

__all__ = ["AiohttpTransport"]

_LARGE = 1024 * 1024
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A request's method and its lasting headers."""

    method: str
    headers: CIMultiDict[str] = field(repr=False)


class _Request(aiohttp.ClientRequest):
    """A request that knows its connection. aiohttp forgets it as soon as the last byte is there,
    which is before anyone has looked at the answer."""

    wire: ResponseHandler | None = None


class _Connector(aiohttp.TCPConnector):
    """A pool that bounds the connect by the Clock, and looks at a connection before reusing it."""

    def __init__(self, clock: Clock, connect_timeout: float, **options: Any) -> None:
        super().__init__(**options)
        self._house_clock = clock
        self._connect_limit = connect_timeout
        self._limits: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()
        self._stale_at: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    def answered(self, wire: ResponseHandler, headers: Mapping[str, str]) -> None:
        """Is told of an answer. Where the server has said for how long it keeps the connection, it
        is not used again after that, however long others are kept."""
        if "keep-alive" in headers:
            self._limits[wire] = idle_limit(headers["keep-alive"])
        limit = self._limits.get(wire)
        if limit is not None:
            self._stale_at[wire] = self._house_clock.now() + limit

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> Any:
        clock = self._house_clock
        with TimeLimit(clock, clock.now() + self._connect_limit):
            while True:
                connection = await super().connect(req, traces, timeout)
                protocol = connection.protocol
                # aiohttp looks at this when a connection comes back, and not when it goes out
                # again: bytes that came while it was idle would be the next caller's answer.
                if protocol is not None and self._is_well(protocol):
                    if isinstance(req, _Request):
                        req.wire = protocol
                    return connection
                connection.close()

    def _is_well(self, wire: ResponseHandler) -> bool:
        stale_at = self._stale_at.get(wire, math.inf)
        return not wire.should_close and stale_at > self._house_clock.now()


class _Once:
    """The middleware of one request. An error leaves it as a Failure, which aiohttp does not know,
    and so cannot answer with a replay: there is no other public way to switch that off."""

    __slots__ = ("_effort", "wire")

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self.wire: ResponseHandler | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            response = await handler(request)
        except (aiohttp.ClientError, OSError) as error:
            raise translate(error, self._effort) from harmless(error)
        self.wire = request.wire if isinstance(request, _Request) else None
        return response

    def drop(self) -> None:
        """Closes the connection, even if aiohttp has put it back among the idle ones."""
        if self.wire is not None:
            self.wire.close()


async def _before_headers(_: object, context: SimpleNamespace, __: object) -> None:
    """Is told by aiohttp just before the head is written."""
    context.trace_request_ctx.reached = Reached.MAYBE


class _Stream:
    """An answer whose body is read as it is iterated over."""

    def __init__(self, response: aiohttp.ClientResponse, body: Body, effort: Effort) -> None:
        self.status = response.status
        self.headers = _headers(response)
        self.is_whole = False
        self._content = response.content
        self._body = body
        self._effort = effort
        self._failure: Failure | None = None

    def lose(self, _: object) -> None:
        """Is told that the connection is closed. Where a later piece of the body was not HTTP,
        aiohttp says so to nobody who reads it, and they would wait for ever."""
        if not (self._content.is_eof() or self._content.exception()):
            self._content.set_exception(aiohttp.http_exceptions.HttpProcessingError())

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._failure is None:
            try:
                return await self._read()
            except Failure as failure:
                self._failure = failure.but(reached=self._effort.reached)
                self._failure.__cause__ = failure.__cause__
            except (
                aiohttp.ClientError,
                aiohttp.http_exceptions.HttpProcessingError,
                OSError,
            ) as error:
                self._failure = translate(error, self._effort)
                self._failure.__cause__ = harmless(error)
        raise self._failure

    async def _read(self) -> bytes:
        """The next piece; StopAsyncIteration at the end."""
        taken = b""
        while not (taken or self.is_whole):
            piece = await self._content.readany()
            if piece:
                self._body.feed(piece)
                taken = self._body.take()
            else:
                taken = self._body.finish()
                self.is_whole = True
                self._effort.reached = Reached.REPLIED
        if not taken:
            raise StopAsyncIteration
        return taken


class AiohttpTransport:
    """One origin over aiohttp. Build it at load, use it on one loop, close it there.

    `lookup` resolves names (the system's resolver by default). OSError and ValueError come from
    settings that cannot work, such as a CA file that is missing.
    """

    def __init__(self, settings: HttpSettings, clock: Clock, *, lookup: Resolve = resolve) -> None:
        origin = URL(settings.origin)
        host = origin.raw_host or ""
        is_whole = origin.scheme in {"http", "https"} and (":" in host or is_host_name(host))
        if not is_whole or origin != origin.origin():
            raise ValueError("the origin is http://HOST[:PORT] or https://HOST[:PORT]")
        self._settings = settings
        self._clock = clock
        self._origin = str(origin).rstrip("/")
        self._host = host
        self._guard = EgressGuard(settings.allow)
        self._lookup = resolver_of(self._guard, lookup)
        self._tls = client_context(settings.tls) if origin.scheme == "https" else False
        self._session: aiohttp.ClientSession | None = None
        self._connector: _Connector | None = None
        self._is_closed = False

    def prepare(self, method: str, headers: Sequence[tuple[str, str]]) -> Prepared:
        for name, value in headers:
            check_header(name, value)
        ready = CIMultiDict(headers)
        ready["Accept-Encoding"] = ACCEPT_ENCODING
        ready.setdefault("User-Agent", "interlace")
        return _Prepared(method.upper(), ready)

    async def send(self, request: HttpRequest) -> HttpResponse:
        async with self.stream(request) as answer:
            body = b"".join([piece async for piece in answer])
        return HttpResponse(answer.status, answer.headers, body)

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[_Stream]:
        effort = request.effort
        effort.reached = Reached.NOT_SENT
        once = _Once(effort)
        response = await self._begin(request, once)
        is_whole = False
        try:
            answer = self._expect(response, effort)
            with _told_of_the_end(once.wire, answer.lose):
                yield answer
            is_whole = answer.is_whole
        finally:
            if not is_whole:
                response.close()
                once.drop()  # nobody knows where in the answer it stands
        if is_whole and once.wire is not None and self._connector is not None:
            self._connector.answered(once.wire, answer.headers)

    async def close(self) -> None:
        self._is_closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _begin(self, request: HttpRequest, once: _Once) -> aiohttp.ClientResponse:
        """Sends the request and waits for the status line and the headers."""
        prepared = request.prepared
        assert isinstance(prepared, _Prepared)  # noqa: S101  # made by this very object
        headers = prepared.headers
        _check_sendable(request)
        if request.headers:
            headers = headers.copy()
            headers.extend(request.headers)
        session = self._session or self._open()
        try:
            return await session.request(
                prepared.method,
                URL(self._origin + request.target, encoded=True),
                headers=headers,
                data=_data(request.body),
                allow_redirects=False,
                middlewares=(once,),
                trace_request_ctx=request.effort,
            )
        except (aiohttp.ClientError, OSError) as error:
            raise translate(error, request.effort) from harmless(error)

    def _expect(self, response: aiohttp.ClientResponse, effort: Effort) -> _Stream:
        """Looks at the head, and prepares for the body."""
        limit = self._settings.max_body
        if is_settled(response.status):
            effort.reached = Reached.REPLIED
        try:
            _check_strictly(response)
            coding = ", ".join(response.headers.getall("Content-Encoding", ()))
            body = body_for(coding, limit)
            if not coding and response.method != "HEAD" and (response.content_length or 0) > limit:
                raise too_large(limit)
        except Failure as failure:
            raise failure.but(reached=effort.reached) from failure.__cause__
        return _Stream(response, body, effort)

    def _open(self) -> aiohttp.ClientSession:
        """Opens the session, since it must be made on the loop that it runs on."""
        if self._is_closed:
            raise Failure(Reason.DRAINING, "The connector is closed.")
        settings = self._settings
        self._connector = connector = _Connector(
            self._clock,
            settings.connect_timeout,
            limit=0,  # the bulkhead bounds: aiohttp's own queue has hung before (P19)
            keepalive_timeout=settings.idle,
            use_dns_cache=False,  # one look-up per connection, pinned to it
            resolver=HouseResolver(self._lookup),
            socket_factory=self._socket,
            ssl=self._tls,
        )
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_before_headers)
        self._session = aiohttp.ClientSession(
            connector=connector,
            request_class=_Request,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            timeout=_NO_TIMEOUT,
            skip_auto_headers=_OWN_HEADERS,
            trace_configs=[trace],
        )
        return self._session

    def _socket(self, address: Any) -> socket.socket:
        """Makes the socket for one address, once the guard has seen it; the address is numeric and
        the one that is connected to, whatever spelling it came from."""
        family, kind, protocol, _, place = address
        if not self._guard.permits(str(place[0]), self._host):
            raise EgressRefusedError
        return socket.socket(family, kind, protocol)


@contextmanager
def _told_of_the_end(
    wire: ResponseHandler | None, tell: Callable[[object], None]
) -> Iterator[None]:
    """Has somebody told, within the block, that the connection is closed."""
    closed = wire.closed if wire is not None else None
    if closed is None:
        if wire is not None:  # it is closed already
            tell(None)
        yield
        return
    closed.remove_done_callback(_look)
    closed.add_done_callback(_look)  # once, however many answers come over one connection
    closed.add_done_callback(tell)
    try:
        yield
    finally:
        closed.remove_done_callback(tell)


def _look(closed: asyncio.Future[None]) -> None:
    """Looks at why a connection was closed: asyncio would log it as an error that nobody has."""
    if not closed.cancelled():
        closed.exception()


def _check_strictly(response: aiohttp.ClientResponse) -> None:
    """Refuses what aiohttp's parser lets pass and another one on the way would read otherwise."""
    version = response.version
    coding = response.headers.getall("Transfer-Encoding", ())
    is_odd = (
        response.status < 200
        or version is None
        or version.major != 1
        or (coding and ([each.lower() for each in coding] != ["chunked"] or version.minor < 1))
        or not all(is_name(name) for name in response.headers)
        or _CONTROL.search("".join(response.headers.values())) is not None
    )
    if is_odd:
        raise Failure(Reason.UPSTREAM_MALFORMED, "The upstream's answer is not HTTP/1.1.")


def _check_sendable(request: HttpRequest) -> None:
    """Refuses what aiohttp would send, or cut down and send."""
    try:
        check_target(request.target)
        for name, value in request.headers:
            check_header(name, value)
    except ValueError as error:
        raise unsendable() from error


def _data(body: bytes | None) -> bytes | io.BytesIO | None:
    """aiohttp writes up to 1 MiB at once and warns about more; a file it writes piece by piece."""
    return io.BytesIO(body) if body is not None and len(body) > _LARGE else body


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    headers.pop("content-encoding", None)
    return headers
