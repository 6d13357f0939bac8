"""What aiohttp, ssl and the operating system raise, as failures: one table."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Iterator

import aiohttp
from aiohttp import http_exceptions

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort

__all__ = ["EgressRefusedError", "harmless", "is_settled", "translate"]


class EgressRefusedError(OSError):
    """The guard refused the address that a socket was about to be made for. An OSError, since
    aiohttp passes nothing else through its race of addresses unharmed."""


_CERTIFICATE_ALERTS = frozenset(
    (
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_HANDSHAKE_FAILURE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
    )
)
"""Alerts that refuse our own certificate. In TLS 1.3 they come after our first bytes have left, but
from a server that has not read them."""

_EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS))

_Make = Callable[[BaseException, Reached], Failure]


def is_settled(status: int) -> bool:
    """Whether the status line alone says what the upstream did: it refused, or it failed.

    After 2xx and 3xx the answer still has to be read; 408, 502, 503 and 504 may come from someone
    on the way, while the request goes on.
    """
    return 400 <= status < 600 and status not in {408, 502, 503, 504}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error and what it comes from, at most ten deep."""
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = getattr(current, "os_error", None) or current.__cause__ or current.__context__


def _connect(error: BaseException, reached: Reached) -> Failure:
    for cause in _causes(error):
        if isinstance(cause, EgressRefusedError):
            return _denied(error, reached)
        if isinstance(cause, OSError) and cause.errno in _EXHAUSTED:
            return Failure(Reason.OVERLOADED, "There are no sockets left to connect with.")
    return Failure(Reason.UPSTREAM_CONNECT, "The upstream cannot be connected to.")


def _denied(_: BaseException, __: Reached) -> Failure:
    return Failure(Reason.EGRESS_DENIED, "The connector may not reach this address.")


def _tls(_: BaseException, __: Reached) -> Failure:
    return Failure(Reason.UPSTREAM_TLS, "No trusted TLS connection to the upstream.")


def _slow_connect(_: BaseException, __: Reached) -> Failure:
    return Failure(Reason.UPSTREAM_CONNECT, "Connecting to the upstream took too long.")


def _lost(error: BaseException, reached: Reached) -> Failure:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            is_ours = cause.reason in _CERTIFICATE_ALERTS
            return _tls(error, reached).but(reached=Reached.NOT_SENT if is_ours else reached)
    return Failure(
        Reason.UPSTREAM_UNAVAILABLE, "The connection to the upstream was lost.", reached=reached
    )


def _short(_: BaseException, reached: Reached) -> Failure:
    message = "The upstream's answer ended early."
    return Failure(Reason.UPSTREAM_TRUNCATED, message, reached=reached)


def _limit_of(error: BaseException) -> str:
    """Returns which limit of aiohttp's parser was met, or empty for none."""
    if isinstance(error, http_exceptions.LineTooLong):
        return "8190B"
    # It has no class of its own.
    is_many = isinstance(error, http_exceptions.BadHttpMessage) and "Too many" in error.message
    return "128 headers" if is_many else ""


def _nonsense(error: BaseException, reached: Reached) -> Failure:
    for cause in _causes(error):
        limit = _limit_of(cause)
        if limit:
            message = "The upstream's headers are over their size limit."
            return Failure(Reason.TOO_LARGE, message, reached=reached, limit=limit)
    message = "The upstream's answer is not HTTP/1.1."
    return Failure(Reason.UPSTREAM_MALFORMED, message, reached=reached)


# From the special to the general: the first line that fits is taken.
_TABLE: tuple[tuple[type[BaseException], _Make], ...] = (
    (aiohttp.ClientConnectorCertificateError, _tls),
    (aiohttp.ClientConnectorSSLError, _tls),
    (aiohttp.ClientConnectorError, _connect),  # refused, no route, no such name
    (aiohttp.ConnectionTimeoutError, _slow_connect),
    # Spellings such as 127.1 and 2130706433, which aiohttp will not even look up.
    (aiohttp.InvalidURL, _denied),
    (aiohttp.ClientPayloadError, _short),
    (aiohttp.ClientConnectionError, _lost),  # reset, closed, broken pipe
    (aiohttp.ClientResponseError, _nonsense),
    (http_exceptions.HttpProcessingError, _nonsense),
    (aiohttp.ClientError, _nonsense),
    (OSError, _lost),
)


def translate(error: BaseException, effort: Effort) -> Failure:
    """Returns the failure for an error of the wire, without raising it.

    TypeError if the error is none of the table's, which would be a bug of ours.
    """
    for kind, make in _TABLE:
        if isinstance(error, kind):
            return make(error, effort.reached)
    raise TypeError("not an error of the wire") from error


def harmless(error: BaseException) -> BaseException:
    """Returns what may stand as the cause of a failure, and so in a log.

    aiohttp's ClientResponseError prints the whole address with its query, and holds every header
    that was sent, credentials included; what it was raised from says the same without them. So
    does InvalidURL with the address.
    """
    if isinstance(error, aiohttp.ClientResponseError):
        return error.__cause__ or http_exceptions.HttpProcessingError(message="not HTTP")
    if isinstance(error, aiohttp.InvalidURL):
        return ValueError("not an address to connect to")
    return error
