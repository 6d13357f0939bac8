"""What nats-py and the server say, as failures of the house: one table for each."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

import nats.errors

from interlaced.core.failure import Failure, NotConnected, Reached, Reason
from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_pull import PullEnded

__all__ = [
    "API_CODES",
    "ENDS",
    "EXCEPTIONS",
    "FOREIGN",
    "check",
    "from_api",
    "from_exception",
    "from_fault",
]

EXCEPTIONS: tuple[tuple[type[BaseException], Reason, str], ...] = (
    (
        nats.errors.AuthorizationError,
        Reason.UPSTREAM_CREDENTIALS_REJECTED,
        "the broker rejects the connector's credentials",
    ),
    (
        nats.errors.InvalidUserCredentialsError,
        Reason.UPSTREAM_CREDENTIALS_REJECTED,
        "the broker rejects the connector's credentials",
    ),
    (ssl.CertificateError, Reason.UPSTREAM_TLS, "the broker's certificate is not valid"),
    (ssl.SSLError, Reason.UPSTREAM_TLS, "the broker's TLS handshake failed"),
    (
        nats.errors.SecureConnRequiredError,
        Reason.UPSTREAM_TLS,
        "the broker and the connector do not agree on TLS",
    ),
    (
        nats.errors.SecureConnWantedError,
        Reason.UPSTREAM_TLS,
        "the broker and the connector do not agree on TLS",
    ),
    (
        nats.errors.NoRespondersError,
        Reason.UPSTREAM_PRECONDITION,
        "the broker has no stream for it, or no JetStream at all",
    ),
    (nats.errors.MaxPayloadError, Reason.TOO_LARGE, "the event is larger than the broker takes"),
    (nats.errors.BadHeaderError, Reason.INVALID_REQUEST, "an attribute has no usable name"),
    (TimeoutError, Reason.UPSTREAM_TIMEOUT, "the broker did not answer in time"),
    (LinkLost, Reason.UPSTREAM_UNAVAILABLE, "the connection to the broker is lost"),
    (OSError, Reason.UPSTREAM_CONNECT, "the broker cannot be reached"),
    (nats.errors.NoServersError, Reason.UPSTREAM_CONNECT, "the broker cannot be reached"),
    (nats.errors.Error, Reason.UPSTREAM_UNAVAILABLE, "the broker's client gave up"),
)
"""The first entry that fits counts, so subclasses stand above."""

FOREIGN = (LinkLost, TimeoutError, OSError, nats.errors.Error)
"""What a link may raise."""

_ENDED = "the broker ended the consumer"
ENDS: Mapping[str, tuple[Reason, str]] = {
    "": (Reason.UPSTREAM_TIMEOUT, "the broker's consumer has fallen silent"),
    "503": (Reason.UPSTREAM_PRECONDITION, "the broker has no such consumer any more"),
}
"""The status with which a pull ended; empty for silence."""

API_CODES: Mapping[int, tuple[Reason, str]] = {
    10014: (Reason.UPSTREAM_PRECONDITION, "the broker has no such consumer"),
    10059: (Reason.UPSTREAM_PRECONDITION, "the broker has no such stream"),
    10060: (Reason.UPSTREAM_PRECONDITION, "another stream confirmed, not the one expected"),
    10012: (Reason.UPSTREAM_PRECONDITION, "the group exists and is set up differently"),
    10013: (Reason.UPSTREAM_PRECONDITION, "the group exists and is set up differently"),
    10148: (Reason.UPSTREAM_PRECONDITION, "the group exists and is set up differently"),
    10058: (Reason.UPSTREAM_PRECONDITION, "the stream exists and is set up differently"),
    10065: (Reason.UPSTREAM_PRECONDITION, "the stream's subjects belong to another stream"),
    10039: (Reason.UPSTREAM_PRECONDITION, "the account may not use JetStream"),
    10076: (Reason.UPSTREAM_PRECONDITION, "the server has no JetStream"),
    10054: (Reason.TOO_LARGE, "the event is larger than its stream takes"),
    10077: (Reason.STORE_FULL, "the stream is full"),
    10047: (Reason.STORE_FULL, "the broker's storage is full"),
    10028: (Reason.STORE_FULL, "the broker's memory is full"),
    10023: (Reason.STORE_FULL, "the broker has not enough resources"),
    10002: (Reason.STORE_FULL, "the account's resources are used up"),
}
"""The server's `err_code`; what it does not list is told apart by `code`."""

_SERVER_SIDE = 500


def from_exception(error: BaseException, *, reached: Reached = Reached.NOT_SENT) -> Failure:
    """Returns the failure for an exception; the caller raises it from that exception."""
    if isinstance(error, LinkLost) and isinstance(error.__cause__, nats.errors.AuthorizationError):
        error = error.__cause__
    for kind, reason, message in EXCEPTIONS:
        if isinstance(error, kind):
            return Failure(reason, message, reached=reached)
    return Failure(Reason.INTERNAL_ERROR, "the connector met an error that it does not know")


def from_fault(fault: LinkLost | PullEnded) -> Failure:
    """Returns the failure for the end of a reader, with what the client or the server said as its
    cause."""
    if isinstance(fault, LinkLost):
        failure = from_exception(fault)
    else:
        reason, message = ENDS.get(fault.status, (Reason.UPSTREAM_UNAVAILABLE, _ENDED))
        failure = Failure(reason, message, upstream_status=fault.status)
    failure.__cause__ = fault
    return failure


def check(failure: Failure | None, fault: LinkLost | PullEnded | None) -> None:
    """Raises NotConnected when nothing more will come, for either reason."""
    if failure is None and fault is not None:
        failure = from_fault(fault)
    if failure is not None:
        raise NotConnected(failure) from failure.__cause__


def from_api(error: Mapping[str, Any]) -> Failure:
    """Returns the failure for an error that JetStream answered with."""
    code = error.get("code", 0)
    if error.get("err_code") in API_CODES:
        reason, message = API_CODES[error["err_code"]]
    elif isinstance(code, int) and code >= _SERVER_SIDE:
        reason, message = Reason.UPSTREAM_UNAVAILABLE, "the broker cannot do it at the moment"
    else:
        reason, message = Reason.UPSTREAM_REJECTED, "the broker refused the request"
    return Failure(reason, message, reached=Reached.REPLIED, upstream_status=str(code))
