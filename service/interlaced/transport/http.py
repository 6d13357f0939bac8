"""The transport port: one prepared request over HTTP/1.1 to one origin, and its answer, whole or
piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from interlaced.core.model import Effort
from interlaced.transport.tls import TlsSettings

__all__ = [
    "HttpRequest",
    "HttpResponse",
    "HttpSettings",
    "HttpStream",
    "HttpTransport",
    "Prepared",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """How one origin is reached.

    `origin` is `http://HOST[:PORT]` or `https://HOST[:PORT]` with nothing behind it. Times are in
    seconds, sizes in bytes. `max_body` bounds the decoded body. `allow` lists the addresses that
    are not public and may be connected to all the same (see `EgressGuard`).

    An idle connection is used again for at most `idle` seconds. Common servers close theirs after
    5 seconds (Node, uvicorn, Apache), and the answer to a race that is lost is a request whose
    fate is unknown: 4 leaves a second for both ways and the server's timer. Less where the server
    says so in `Keep-Alive`.
    """

    origin: str
    connect_timeout: float = 2.0
    idle: float = 4.0
    max_body: int = 16 * 1024 * 1024
    allow: tuple[str, ...] = ()
    tls: TlsSettings = field(default_factory=TlsSettings)


class Prepared(Protocol):
    """What a transport could work out at load: the method and the headers that never change."""

    @property
    def method(self) -> str:
        """The method, in capitals."""
        ...


@dataclass(slots=True)  # frozen would cost thrice as much to make
class HttpRequest:
    """One request. `target` is the encoded path with its query, and starts with `/`; `headers`
    are the ones of this call alone. `effort.reached` is written while it is sent. Its repr shows
    none of what may be secret."""

    prepared: Prepared = field(repr=False)
    target: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes | None = field(repr=False)
    effort: Effort


@dataclass(slots=True)
class HttpResponse:
    """The whole answer: names of headers in lower case, several of one name joined by `, `, the
    body decoded (no `content-encoding` is left in `headers`, which are nobody's to change)."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class HttpStream(Protocol):
    """An answer whose body is still to come. Iterating gives the decoded body in pieces of at least
    one byte, each once, and raises what `send` raises for what is wrong with it."""

    @property
    def status(self) -> int:
        """The status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """As those of an HttpResponse."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterates over what is left of the body."""
        ...


class HttpTransport(Protocol):
    """A wire to one origin with its own pool of idle connections.

    It sends a request once and never again by itself, follows no redirect, keeps no cookie, and
    reads no environment variable. It bounds neither time (but for the connect) nor concurrency:
    policies do.
    """

    def prepare(self, method: str, headers: Sequence[tuple[str, str]]) -> Prepared:
        """Works out at load what is the same in every request; ValueError if a header cannot be
        sent."""
        ...

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends the request and reads the whole answer, whatever its status.

        `request.effort.reached` is NOT_SENT until the first byte leaves, then MAYBE. It is REPLIED
        with the status line where that settles what the upstream did (4xx but 408, 500, 501), and
        otherwise with the last byte: half an answer of 200 does not say what was done.

        Raises UPSTREAM_CONNECT, UPSTREAM_TLS, EGRESS_DENIED (nothing was sent),
        UPSTREAM_UNAVAILABLE (the connection was lost), UPSTREAM_TRUNCATED (the body ended early),
        UPSTREAM_MALFORMED (not HTTP) or TOO_LARGE. Cancelling it closes the connection. After
        anything odd the connection is never used again.
        """
        ...

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Sends the request, and enters when the head of the answer is there.

        The body is taken from the wire as fast as it is iterated over: what is ahead of that is a
        few hundred kilobytes. `max_body` bounds it all the same, and so does the ratio of its
        coding. Leaving before its end closes the connection. Failures, `effort.reached` and
        cancelling are those of `send`; what came just before a failure may be lost with it.
        """
        ...

    async def close(self) -> None:
        """Closes every connection; doing it twice does nothing. Whoever built it closes it."""
        ...
