"""What can go wrong, as exceptions sorted by what the caller does next.

Every error of the service carries a `reason` (the name of an `interlace.v1.ErrorReason`). An error
without one was made by gRPC or the network on the way.
"""

# ruff: noqa: N818 -- an error is named after what the caller does next, not after being one

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from interlace.effort import Effort, Ledger, read_effort, read_ledger
from interlace.v1 import gateway_service_pb2, outcome_pb2

__all__ = [
    "Cancelled",
    "ClientClosed",
    "Conflict",
    "CursorExpired",
    "CursorRejected",
    "DeadlineExceeded",
    "DeliveryLost",
    "ErrorFacts",
    "FieldViolation",
    "InterlaceError",
    "InvalidRequest",
    "NotFound",
    "OutcomeUnknown",
    "PermissionDenied",
    "PolicyNotMet",
    "PreconditionFailed",
    "Reached",
    "ResourceExhausted",
    "ServerError",
    "SessionLost",
    "SlowConsumer",
    "TooLarge",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "UpstreamFailed",
    "error_from_rpc",
    "error_from_status",
    "is_own_cancel",
]

_C = grpc.StatusCode

CODES: Mapping[str, grpc.StatusCode] = {
    "INVALID_REQUEST": _C.INVALID_ARGUMENT,
    "UNACCEPTABLE_MEDIA_TYPE": _C.INVALID_ARGUMENT,
    "BAD_CURSOR": _C.INVALID_ARGUMENT,
    "UPSTREAM_REJECTED": _C.INVALID_ARGUMENT,
    "UNKNOWN_CONNECTOR": _C.NOT_FOUND,
    "UNKNOWN_OPERATION": _C.NOT_FOUND,
    "UNKNOWN_FEED": _C.NOT_FOUND,
    "UPSTREAM_NOT_FOUND": _C.NOT_FOUND,
    "CALLER_UNAUTHENTICATED": _C.UNAUTHENTICATED,
    "CALLER_DENIED": _C.PERMISSION_DENIED,
    "EGRESS_DENIED": _C.PERMISSION_DENIED,
    "UPSTREAM_CREDENTIALS_REJECTED": _C.INTERNAL,
    "UPSTREAM_MALFORMED": _C.INTERNAL,
    "UPSTREAM_TRUNCATED": _C.INTERNAL,
    "CONTRACT_DRIFT": _C.INTERNAL,
    "UPSTREAM_FAILED": _C.UNKNOWN,
    "UPSTREAM_UNAVAILABLE": _C.UNAVAILABLE,
    "UPSTREAM_CONNECT": _C.UNAVAILABLE,
    "UPSTREAM_TLS": _C.FAILED_PRECONDITION,
    "UPSTREAM_TIMEOUT": _C.DEADLINE_EXCEEDED,
    "DEADLINE_SPENT": _C.DEADLINE_EXCEEDED,
    "OUTCOME_UNKNOWN": _C.UNKNOWN,
    "UPSTREAM_RATE_LIMITED": _C.RESOURCE_EXHAUSTED,
    "RATE_LIMITED": _C.RESOURCE_EXHAUSTED,
    "BULKHEAD_FULL": _C.RESOURCE_EXHAUSTED,
    "OVERLOADED": _C.RESOURCE_EXHAUSTED,
    "TOO_LARGE": _C.RESOURCE_EXHAUSTED,
    "SLOW_CONSUMER": _C.RESOURCE_EXHAUSTED,
    "STORE_FULL": _C.RESOURCE_EXHAUSTED,
    "BREAKER_OPEN": _C.UNAVAILABLE,
    "DRAINING": _C.UNAVAILABLE,
    "UPSTREAM_CONFLICT": _C.ABORTED,
    "POLICY_NOT_MET": _C.ABORTED,
    "UPSTREAM_PRECONDITION": _C.FAILED_PRECONDITION,
    "CURSOR_MISMATCH": _C.FAILED_PRECONDITION,
    "NOT_ACKABLE": _C.FAILED_PRECONDITION,
    "DEPENDENCY_FAILED": _C.FAILED_PRECONDITION,
    "PAGINATION_LOOP": _C.FAILED_PRECONDITION,
    "CURSOR_EXPIRED": _C.OUT_OF_RANGE,
    "UPSTREAM_UNSUPPORTED": _C.UNIMPLEMENTED,
    "UNKNOWN_METHOD": _C.UNIMPLEMENTED,
    "CALLER_CANCELLED": _C.CANCELLED,
    "INTERNAL_ERROR": _C.INTERNAL,
}
"""The usual code of each reason, as the service answers it."""

_LATER = {
    "UPSTREAM_RATE_LIMITED",
    "RATE_LIMITED",
    "BULKHEAD_FULL",
    "OVERLOADED",
    "SLOW_CONSUMER",
    "STORE_FULL",
    "BREAKER_OPEN",
    "DRAINING",
}
_IF_SAFE = {
    "UPSTREAM_FAILED",
    "UPSTREAM_UNAVAILABLE",
    "UPSTREAM_CONNECT",
    "UPSTREAM_TIMEOUT",
    "DEADLINE_SPENT",
}
_LOST = frozenset({_C.UNAVAILABLE, _C.CANCELLED, _C.INTERNAL, _C.UNKNOWN})


class Reached(enum.StrEnum):
    """How far the request got: could the far side have acted on it?"""

    NOT_SENT = "not_sent"
    MAYBE = "maybe"
    REPLIED = "replied"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is wrong."""

    field: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFacts:
    """Everything that is known about an error; times are in seconds."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    pushback: float | None = None
    fields: tuple[FieldViolation, ...] = ()
    ledger: Ledger | None = None
    effort: Effort | None = None


class InterlaceError(Exception):
    """Something did not work. Catch a subclass to say what to do about it."""

    def __init__(self, facts: ErrorFacts) -> None:
        super().__init__(facts)
        self.facts = facts

    def __str__(self) -> str:
        facts = self.facts
        text = f"{facts.reason or facts.code.name}: {facts.message}"
        for violation in facts.fields:
            text += f"; {violation.field}: {violation.description}"
        return text

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return self.facts.code

    @property
    def reason(self) -> str:
        """The stable reason, such as `UPSTREAM_TIMEOUT`; empty if the service did not answer."""
        return self.facts.reason

    @property
    def message(self) -> str:
        """The text for people; it may change."""
        return self.facts.message

    @property
    def metadata(self) -> Mapping[str, str]:
        """Further facts, such as `connector`, `operation`, `attempts` or `upstream_status`."""
        return self.facts.metadata

    @property
    def retry_after(self) -> float | None:
        """When coming back makes sense, in seconds from now, where the service knows it."""
        return self.facts.retry_after

    @property
    def pushback(self) -> float | None:
        """The service's own say about a repeat, in seconds; negative means do not."""
        return self.facts.pushback

    @property
    def fields(self) -> tuple[FieldViolation, ...]:
        """The fields of the request that are wrong."""
        return self.facts.fields

    @property
    def cursor(self) -> str:
        """Where to resume a subscription; empty if the error says nothing about it."""
        return self.facts.metadata.get("cursor", "")

    @property
    def ledger(self) -> Ledger | None:
        """What became of the branches of a fan-out whose policy was not met."""
        return self.facts.ledger

    @property
    def effort(self) -> Effort | None:
        """The attempt records, if they were asked for."""
        return self.facts.effort

    @property
    def reached(self) -> Reached:
        """Whether the upstream could have acted; MAYBE when nobody knows."""
        told = self.facts.metadata.get("reached", "")
        return Reached(told) if told in set(Reached) else Reached.MAYBE

    @property
    def is_from_network(self) -> bool:
        """Whether gRPC or the network made this error, and not the service."""
        return not self.facts.reason

    def can_retry(self, *, is_idempotent: bool = False) -> bool:
        """Whether asking again may help and does no harm, `retry_after` seconds from now."""
        if self.facts.pushback is not None and self.facts.pushback < 0:
            return False
        if self.facts.reason in _LATER:
            return True
        lost = self.is_from_network and self.code in _LOST | {_C.DEADLINE_EXCEEDED}
        if lost or self.facts.reason in _IF_SAFE:
            return is_idempotent or self.reached is Reached.NOT_SENT
        return False

    @property
    def can_reconnect(self) -> bool:
        """Whether a stream that ended with this error is worth opening again."""
        if self.is_from_network:
            return self.code in _LOST
        return self.code is _C.UNAVAILABLE or self.reason in {"OVERLOADED", "BULKHEAD_FULL"}


class InvalidRequest(InterlaceError):
    """The request is wrong: mend it (`fields` says where) and ask again."""


class CursorRejected(InvalidRequest):
    """The cursor is malformed, forged, or of another feed or filter: start without it."""


class CursorExpired(InterlaceError):
    """The cursor is older than what is kept: start from the oldest; there is a gap."""


class NotFound(InterlaceError):
    """No such connector, operation, feed or thing upstream."""


class Unauthenticated(InterlaceError):
    """The API key or certificate is missing or wrong."""


class PermissionDenied(InterlaceError):
    """The caller, or the address that the connector wants to reach, is not allowed."""


class Unavailable(InterlaceError):
    """Not now: come back after `retry_after`; look at `reached` before repeating a write."""


class SessionLost(Unavailable):
    """The session's stream is lost; `reached` says whether this call may have been performed."""


class DeliveryLost(Unavailable):
    """The stream that brought the delivery is lost: it comes again, to some member of the group."""


class DeadlineExceeded(InterlaceError):
    """The time is used up; look at `reached` before repeating a write."""


class ResourceExhausted(InterlaceError):
    """A rate, size or room is used up: slow down, and come back after `retry_after`."""


class TooLarge(ResourceExhausted):
    """A message is over its limit, which `metadata` names; asking again does not help."""


class SlowConsumer(ResourceExhausted):
    """The subscriber did not keep up and was disconnected: resume with `cursor`."""


class OutcomeUnknown(InterlaceError):
    """A write that must not be repeated may have happened: look before repeating it."""


class UpstreamFailed(InterlaceError):
    """The upstream broke: repeat only what is safe to repeat."""


class Conflict(InterlaceError):
    """The upstream's state conflicts with the request: read again, then decide."""


class PolicyNotMet(InterlaceError):
    """Too few branches succeeded in time; `ledger` says what became of each."""


class PreconditionFailed(InterlaceError):
    """Something else must change first."""


class Unsupported(InterlaceError):
    """The service or the upstream does not offer this."""


class Cancelled(InterlaceError):
    """The call was cancelled on request, such as a branch that a decided fan-out did not need."""


class ServerError(InterlaceError):
    """A fault of the service, its configuration or the upstream's contract: tell its operators."""


class ClientClosed(InterlaceError):
    """The client was closed while this was under way, or before it began."""

    def __init__(self, facts: ErrorFacts | None = None) -> None:
        super().__init__(facts or ErrorFacts(code=_C.CANCELLED, message="the client was closed"))

    @property
    def can_reconnect(self) -> bool:
        """Never."""
        return False

    def can_retry(self, *, is_idempotent: bool = False) -> bool:
        """Never."""
        del is_idempotent
        return False


_BY_REASON: Mapping[str, type[InterlaceError]] = {
    "BAD_CURSOR": CursorRejected,
    "CURSOR_MISMATCH": CursorRejected,
    "CURSOR_EXPIRED": CursorExpired,
    "OUTCOME_UNKNOWN": OutcomeUnknown,
    "POLICY_NOT_MET": PolicyNotMet,
    "SLOW_CONSUMER": SlowConsumer,
    "TOO_LARGE": TooLarge,
    "CALLER_CANCELLED": Cancelled,
}
_BY_CODE: Mapping[grpc.StatusCode, type[InterlaceError]] = {
    _C.INVALID_ARGUMENT: InvalidRequest,
    _C.NOT_FOUND: NotFound,
    _C.UNAUTHENTICATED: Unauthenticated,
    _C.PERMISSION_DENIED: PermissionDenied,
    _C.UNAVAILABLE: Unavailable,
    # Only the network says CANCELLED without a reason: calls that a stopping server had queued.
    _C.CANCELLED: Unavailable,
    _C.DEADLINE_EXCEEDED: DeadlineExceeded,
    _C.RESOURCE_EXHAUSTED: ResourceExhausted,
    _C.UNKNOWN: UpstreamFailed,
    _C.ABORTED: Conflict,
    _C.ALREADY_EXISTS: Conflict,
    _C.FAILED_PRECONDITION: PreconditionFailed,
    _C.OUT_OF_RANGE: InvalidRequest,
    _C.UNIMPLEMENTED: Unsupported,
}
_CODES_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def error_from_status(status: status_pb2.Status) -> InterlaceError:
    """Returns the error that a `google.rpc.Status` tells of."""
    return _error(_facts(status))


def error_from_rpc(error: grpc.aio.AioRpcError) -> InterlaceError:
    """Returns the error that a failed RPC tells of, from its status details and its trailers."""
    # A Metadata iterates over pairs, but has `keys`, so that dict() takes it for a mapping.
    trailers = dict(tuple(error.trailing_metadata() or ()))
    facts = _facts_of_trailers(error, trailers.get("grpc-status-details-bin"))
    return _error(
        replace(
            facts,
            pushback=_pushback(trailers.get("grpc-retry-pushback-ms")),
            effort=_effort(trailers.get("interlace-ledger-bin")),
        )
    )


def is_own_cancel() -> bool:
    """Whether the running task itself was cancelled. gRPC raises CancelledError from a call that
    was cancelled by somebody else too, such as a channel that is closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _error(facts: ErrorFacts) -> InterlaceError:
    kind = _BY_REASON.get(facts.reason) or _BY_CODE.get(facts.code, ServerError)
    return kind(facts)


def _facts_of_trailers(error: grpc.aio.AioRpcError, details: object) -> ErrorFacts:
    plain = ErrorFacts(code=error.code(), message=error.details() or "the call failed")
    if not isinstance(details, bytes):
        return plain
    try:
        status = status_pb2.Status.FromString(details)
    except DecodeError:
        return plain
    # What is on the wire as the call's status wins over the copy in its details.
    return replace(_facts(status), code=plain.code, message=status.message or plain.message)


def _facts(status: status_pb2.Status) -> ErrorFacts:
    facts = ErrorFacts(
        code=_CODES_BY_NUMBER.get(status.code, _C.UNKNOWN),
        message=status.message,
    )
    for detail in status.details:
        facts = replace(facts, **_read_detail(detail))
    return facts


def _read_detail(detail: Any) -> dict[str, Any]:
    """Reads one detail; one of an unknown type says nothing."""
    for kind, read in _DETAILS:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            facts: dict[str, Any] = read(message)
            return facts
    return {}


def _read_info(info: Any) -> dict[str, Any]:
    if info.domain != "interlace":
        return {}
    return {"reason": info.reason, "metadata": dict(info.metadata)}


def _read_retry(info: Any) -> dict[str, Any]:
    return {"retry_after": info.retry_delay.ToNanoseconds() / 1e9}


def _read_fields(request: Any) -> dict[str, Any]:
    violations = (FieldViolation(at.field, at.description) for at in request.field_violations)
    return {"fields": tuple(violations)}


def _read_fan_out(ledger: Any) -> dict[str, Any]:
    return {"ledger": read_ledger(ledger)}


_DETAILS: Sequence[tuple[Any, Any]] = (
    (error_details_pb2.ErrorInfo, _read_info),
    (error_details_pb2.RetryInfo, _read_retry),
    (error_details_pb2.BadRequest, _read_fields),
    (gateway_service_pb2.FanOutLedger, _read_fan_out),
)


def _pushback(value: object) -> float | None:
    """The wait in seconds; a text that is no number means do not, as gRPC itself has it."""
    if not isinstance(value, str):
        return None
    try:
        return int(value) / 1000
    except ValueError:
        return -1.0


def _effort(value: object) -> Effort | None:
    if not isinstance(value, bytes):
        return None
    try:
        return read_effort(outcome_pb2.Effort.FromString(value))
    except DecodeError:
        return None
