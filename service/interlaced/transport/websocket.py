"""A WebSocket client connection: guarded, bounded, and killed rather than closed when in doubt."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, WSMsgType

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.ports import Clock, Resolve
from interlaced.core.retry_after import retry_after_seconds
from interlaced.transport.aiohttp_resolver import HouseResolver
from interlaced.transport.egress import EgressGuard, resolve, resolver_of
from interlaced.transport.http_errors import harmless

__all__ = [
    "CONNECTION_LOST",
    "Frame",
    "FrameKind",
    "WebSocketConnection",
    "WebSocketSettings",
    "connect",
]

CONNECTION_LOST: Final = 1006
"""The close code of a connection that ended without a close frame (RFC 6455, 7.1.5)."""

_POLITE = 0.5
"""Seconds that a planned close may take to say goodbye."""

_HANDSHAKE_STATUS: Mapping[int, tuple[Reason, str]] = {
    401: (Reason.UPSTREAM_CREDENTIALS_REJECTED, "The upstream refused the credentials."),
    403: (Reason.UPSTREAM_CREDENTIALS_REJECTED, "The upstream refused the credentials."),
    404: (Reason.UPSTREAM_NOT_FOUND, "The upstream has no WebSocket at this path."),
    410: (Reason.UPSTREAM_NOT_FOUND, "The upstream has no WebSocket at this path."),
    429: (Reason.UPSTREAM_RATE_LIMITED, "The upstream limits the rate of connections."),
    500: (Reason.UPSTREAM_FAILED, "The upstream failed at the WebSocket handshake."),
    501: (Reason.UPSTREAM_UNSUPPORTED, "The upstream does not support WebSockets."),
}


class FrameKind(enum.Enum):
    """What came in."""

    TEXT = "text"
    BINARY = "binary"
    CONTROL = "control"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole message (fragments are joined). `data` is not decoded: a TEXT that is not UTF-8 is
    the reader's to refuse. `code` belongs to CLOSED; CONTROL is a ping or pong, a sign of life."""

    kind: FrameKind
    data: bytes = b""
    code: int = 0


_ALIVE = Frame(FrameKind.CONTROL)
_LOST = Frame(FrameKind.CLOSED, code=CONNECTION_LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocketSettings:
    """Where to connect and what to bear. Times are in seconds, sizes in bytes.

    `max_frame` bounds one message after joining and inflating. `is_compressed` offers
    permessage-deflate. `headers` may hold secrets: they are never shown.
    """

    url: str
    guard: EgressGuard
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    protocols: tuple[str, ...] = ()
    connect_timeout: float = 2.0
    max_frame: int = 4 * 1024 * 1024
    is_compressed: bool = False
    tls: ssl.SSLContext | None = None
    resolve: Resolve = resolve


class WebSocketConnection:
    """An open connection. One task receives, any task sends; whoever got it ends it with `abort`
    or `close`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse[bool],
        transport: asyncio.Transport | None,
    ) -> None:
        self._session = session
        self._socket = socket
        self._transport = transport

    async def send(self, data: str | bytes) -> None:
        """Hands one message to the kernel, text or binary by its type; it waits while the peer
        reads nothing. UPSTREAM_UNAVAILABLE when the connection is lost."""
        if isinstance(data, str):
            await self._write(data.encode(), WSMsgType.TEXT)
        else:
            await self._write(data, WSMsgType.BINARY)

    async def ping(self) -> None:
        """Sends a protocol ping; the pong arrives as a CONTROL frame. Fails as `send` does."""
        await self._write(b"", WSMsgType.PING)

    async def _write(self, data: bytes, kind: WSMsgType) -> None:
        try:
            await self._socket.send_frame(data, kind)
        except (aiohttp.ClientError, OSError) as error:
            raise Failure(
                Reason.UPSTREAM_UNAVAILABLE,
                "The WebSocket connection was lost.",
                reached=Reached.MAYBE,
            ) from error

    async def receive(self) -> Frame:
        """Waits for the next frame; the last one is CLOSED. Pings are answered on the way.

        Cancelling it loses nothing. TOO_LARGE or UPSTREAM_MALFORMED when the peer breaks the
        limit or the protocol; the connection is of no use then.
        """
        message = await self._socket.receive()
        kind = message.type
        if kind is WSMsgType.TEXT:
            return Frame(FrameKind.TEXT, message.data)
        if kind is WSMsgType.BINARY:
            return Frame(FrameKind.BINARY, message.data)
        if kind is WSMsgType.PING:
            await self._write(message.data, WSMsgType.PONG)
            return _ALIVE
        if kind is WSMsgType.PONG:
            return _ALIVE
        if kind is WSMsgType.CLOSE:
            return Frame(FrameKind.CLOSED, code=int(message.data))
        if kind is WSMsgType.ERROR and isinstance(message.data, aiohttp.WebSocketError):
            raise _broken(message.data)
        # aiohttp tells a bare end of stream as CLOSED with the code 1000: no close frame came.
        return _LOST

    def abort(self) -> None:
        """Kills the TCP connection at once, with nothing flushed and nobody waited for; doing it
        twice does nothing. `receive` then returns CLOSED."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self, clock: Clock) -> None:
        """Says goodbye for at most half a second, then frees everything; never hangs."""
        try:
            with contextlib.suppress(TimeoutError), TimeLimit(clock, clock.now() + _POLITE):
                await self._socket.close(code=aiohttp.WSCloseCode.GOING_AWAY)
        finally:
            self.abort()
            await self._session.close()


async def connect(settings: WebSocketSettings, clock: Clock) -> WebSocketConnection:
    """Connects and shakes hands within the connect timeout.

    Every address is checked where its socket is made, so what is checked is what is connected to.
    Redirects, cookies and proxies of the environment are not followed. Raises EGRESS_DENIED,
    UPSTREAM_CONNECT, UPSTREAM_TLS, UPSTREAM_TIMEOUT, or a failure by the handshake's status.
    """
    catch = _Catch()
    session = _session(settings, catch)
    try:
        with TimeLimit(clock, clock.now() + settings.connect_timeout):
            websocket = await session.ws_connect(
                settings.url,
                protocols=settings.protocols,
                headers=list(settings.headers),
                autoclose=False,
                autoping=False,  # pings and pongs are signs of life, so we want to see them
                timeout=aiohttp.ClientWSTimeout(ws_close=_POLITE),
                compress=15 if settings.is_compressed else 0,
                # aiohttp refuses a message that is as large as the limit, not only larger ones.
                max_msg_size=settings.max_frame + 1,
                decode_text=False,
                ssl=settings.tls or True,
            )
    except BaseException as error:
        await session.close()
        failure = _translate(error, clock.wall())
        if failure is None:
            raise
        if failure is error:
            raise
        raise failure from _cause(error)
    return WebSocketConnection(session, websocket, catch.transport)


def _session(settings: WebSocketSettings, catch: _Catch) -> aiohttp.ClientSession:
    """Makes a session for one connection: nothing is pooled, so nothing stale is ever used."""

    host = urlsplit(settings.url).hostname or ""

    def guarded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
        # The last place before the packet, and the only one that numeric hosts pass.
        family, kind, protocol, _, place = address
        settings.guard.check(str(place[0]), host)
        return socket.socket(family, kind, protocol)

    connector = aiohttp.TCPConnector(
        force_close=True,
        use_dns_cache=False,
        resolver=HouseResolver(resolver_of(settings.guard, settings.resolve)),
        # One address after the other: a race would swallow what the guard raises.
        happy_eyeballs_delay=None,
        socket_factory=guarded_socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        middlewares=(catch,),
        trust_env=False,
    )


class _Catch:
    """Stops at a redirect before it is followed, and keeps the transport to be able to abort it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        response = await handler(request)
        if 300 <= response.status < 400:
            response.close()
            raise Failure(
                Reason.UPSTREAM_REJECTED,
                "The upstream answered the WebSocket handshake with a redirect.",
                reached=Reached.REPLIED,
                upstream_status=str(response.status),
            )
        if response.connection is not None:
            self.transport = response.connection.transport
        return response


def _translate(error: BaseException, wall: float) -> Failure | None:
    """Finds our word for what a connect raised; None for what is not about the connection."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return _refused(error, wall)
    for kinds, reason, message in _CONNECT_ERRORS:
        if isinstance(error, kinds):
            return Failure(reason, message)
    return None


_CONNECT_ERRORS: tuple[tuple[tuple[type[BaseException], ...], Reason, str], ...] = (
    (
        (aiohttp.ClientSSLError, ssl.SSLError),
        Reason.UPSTREAM_TLS,
        "The TLS handshake with the upstream failed.",
    ),
    (
        (TimeoutError,),
        Reason.UPSTREAM_TIMEOUT,
        "Connecting to the upstream took too long.",
    ),
    (
        (aiohttp.ClientConnectorError,),
        Reason.UPSTREAM_CONNECT,
        "The upstream cannot be connected to.",
    ),
    (
        (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError),
        Reason.UPSTREAM_UNAVAILABLE,
        "The upstream hung up during the WebSocket handshake.",
    ),
    (
        (OSError,),
        Reason.UPSTREAM_CONNECT,
        "The upstream cannot be connected to.",
    ),
    (
        # aiohttp refuses hosts such as 127.1 and 0x7f000001, which only serve to get past guards.
        (aiohttp.InvalidURL,),
        Reason.EGRESS_DENIED,
        "The connector may not reach this address.",
    ),
    (
        (aiohttp.ClientError, aiohttp.http.HttpProcessingError),
        Reason.UPSTREAM_MALFORMED,
        "The upstream's answer to the WebSocket handshake is unreadable.",
    ),
)
"""In this order, since some of these are subclasses of later ones."""


def _cause(error: BaseException) -> BaseException:
    """Returns what may stand in a log: neither the address nor the headers that were sent."""
    if isinstance(error, aiohttp.InvalidURL):
        return ValueError("not a host that can be connected to")
    return harmless(error)


def _refused(error: aiohttp.WSServerHandshakeError, wall: float) -> Failure:
    status = error.status
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if status in _HANDSHAKE_STATUS:
        reason, message = _HANDSHAKE_STATUS[status]
    elif status < 400:
        reason, message = Reason.UPSTREAM_MALFORMED, "The upstream did not switch to WebSocket."
    elif status < 500 and status not in (408, 425):
        reason, message = Reason.UPSTREAM_REJECTED, "The upstream refused the WebSocket handshake."
    else:
        reason, message = Reason.UPSTREAM_UNAVAILABLE, "The upstream takes no WebSocket now."
    return Failure(
        reason,
        message,
        reached=Reached.REPLIED,
        retry_after=retry_after_seconds(headers, wall),
        upstream_status=str(status),
    )


def _broken(error: aiohttp.WebSocketError) -> Failure:
    if error.code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        return Failure(
            Reason.TOO_LARGE,
            "A message of the upstream is larger than the limit.",
            reached=Reached.REPLIED,
        )
    return Failure(
        Reason.UPSTREAM_MALFORMED,
        "The upstream broke the WebSocket protocol.",
        reached=Reached.REPLIED,
    )
