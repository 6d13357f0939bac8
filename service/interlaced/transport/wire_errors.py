"""What ssl and the operating system raise on a wire, as failures, for every library."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator

from interlaced.core.failure import Failure, Reached, Reason

__all__ = [
    "EgressRefusedError",
    "causes",
    "connect_failure",
    "denied_failure",
    "is_settled",
    "large_headers",
    "lost_failure",
    "malformed",
    "slow_connect",
    "tls_failure",
    "truncated",
    "unsendable",
]


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


def is_settled(status: int) -> bool:
    """Whether the status line alone says what the upstream did: it refused, or it failed.

    After 2xx and 3xx the answer still has to be read; 408, 502, 503 and 504 may come from someone
    on the way, while the request goes on.
    """
    return 400 <= status < 600 and status not in {408, 502, 503, 504}


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and what it comes from, at most ten deep."""
    current = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = getattr(current, "os_error", None) or current.__cause__ or current.__context__


def connect_failure(error: BaseException) -> Failure:
    """Returns the failure of a connect: refused, no route, no such name, no socket, not allowed."""
    for cause in causes(error):
        if isinstance(cause, EgressRefusedError):
            return denied_failure()
        if isinstance(cause, OSError) and cause.errno in _EXHAUSTED:
            return Failure(Reason.OVERLOADED, "There are no sockets left to connect with.")
    return Failure(Reason.UPSTREAM_CONNECT, "The upstream cannot be connected to.")


def denied_failure() -> Failure:
    """Returns the failure of an address that may not be connected to."""
    return Failure(Reason.EGRESS_DENIED, "The connector may not reach this address.")


def tls_failure() -> Failure:
    """Returns the failure of a handshake that came to nothing."""
    return Failure(Reason.UPSTREAM_TLS, "No trusted TLS connection to the upstream.")


def slow_connect() -> Failure:
    """Returns the failure of a connect that took too long."""
    return Failure(Reason.UPSTREAM_CONNECT, "Connecting to the upstream took too long.")


def lost_failure(error: BaseException | None, reached: Reached) -> Failure:
    """Returns the failure of a connection that ended under a request; `error` is None for an end
    in good order. An alert that refuses our certificate came before the request was read."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLError):
            is_ours = getattr(cause, "reason", "") in _CERTIFICATE_ALERTS
            return tls_failure().but(reached=Reached.NOT_SENT if is_ours else reached)
    return Failure(
        Reason.UPSTREAM_UNAVAILABLE, "The connection to the upstream was lost.", reached=reached
    )


def truncated(reached: Reached) -> Failure:
    """Returns the failure of an answer that ended before its end."""
    message = "The upstream's answer ended early."
    return Failure(Reason.UPSTREAM_TRUNCATED, message, reached=reached)


def malformed(reached: Reached = Reached.NOT_SENT) -> Failure:
    """Returns the failure of an answer that cannot be read, or could be read in two ways."""
    message = "The upstream's answer is not HTTP/1.1."
    return Failure(Reason.UPSTREAM_MALFORMED, message, reached=reached)


def large_headers(limit: str, reached: Reached = Reached.NOT_SENT) -> Failure:
    """Returns the failure of headers over a limit, such as `8190B`."""
    message = "The upstream's headers are over their size limit."
    return Failure(Reason.TOO_LARGE, message, reached=reached, limit=limit)


def unsendable() -> Failure:
    """Returns the failure of a request that would not be one request on the wire."""
    return Failure(Reason.INVALID_REQUEST, "The request's target or headers cannot be sent.")
