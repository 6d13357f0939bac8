"""What aiohttp, ssl and the operating system raise, as failures: one table."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp import http_exceptions

from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Effort
from interlaced.transport.wire_errors import (
    causes,
    connect_failure,
    denied_failure,
    large_headers,
    lost_failure,
    malformed,
    slow_connect,
    tls_failure,
    truncated,
)

__all__ = ["harmless", "translate"]

_Make = Callable[[BaseException, Reached], Failure]


def _connect(error: BaseException, _: Reached) -> Failure:
    return connect_failure(error)


def _denied(_: BaseException, __: Reached) -> Failure:
    return denied_failure()


def _tls(_: BaseException, __: Reached) -> Failure:
    return tls_failure()


def _slow_connect(_: BaseException, __: Reached) -> Failure:
    return slow_connect()


def _short(_: BaseException, reached: Reached) -> Failure:
    return truncated(reached)


def _limit_of(error: BaseException) -> str:
    """Returns which limit of aiohttp's parser was met, or empty for none."""
    if isinstance(error, http_exceptions.LineTooLong):
        return "8190B"
    # It has no class of its own.
    is_many = isinstance(error, http_exceptions.BadHttpMessage) and "Too many" in error.message
    return "128 headers" if is_many else ""


def _nonsense(error: BaseException, reached: Reached) -> Failure:
    for cause in causes(error):
        limit = _limit_of(cause)
        if limit:
            return large_headers(limit, reached)
    return malformed(reached)


# From the special to the general: the first line that fits is taken.
_TABLE: tuple[tuple[type[BaseException], _Make], ...] = (
    (aiohttp.ClientConnectorCertificateError, _tls),
    (aiohttp.ClientConnectorSSLError, _tls),
    (aiohttp.ClientConnectorError, _connect),  # refused, no route, no such name
    (aiohttp.ConnectionTimeoutError, _slow_connect),
    # Spellings such as 127.1 and 2130706433, which aiohttp will not even look up.
    (aiohttp.InvalidURL, _denied),
    (aiohttp.ClientPayloadError, _short),
    (aiohttp.ClientConnectionError, lost_failure),  # reset, closed, broken pipe
    (aiohttp.ClientResponseError, _nonsense),
    (http_exceptions.HttpProcessingError, _nonsense),
    (aiohttp.ClientError, _nonsense),
    (OSError, lost_failure),
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
