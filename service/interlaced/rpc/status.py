"""The one table from reasons to gRPC codes, and the status that a failure becomes."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from interlaced.core.failure import Disposition, Failure, Reason

__all__ = ["CODES", "DOMAIN", "code_of", "pushback_ms", "to_status"]

DOMAIN = "interlace"
"""The domain of every ErrorInfo."""

_LONGEST_VALUE = 256
_MOST_VIOLATIONS = 32

_C = grpc.StatusCode

CODES: Mapping[Reason, grpc.StatusCode] = {
    Reason.INVALID_REQUEST: _C.INVALID_ARGUMENT,
    Reason.UNACCEPTABLE_MEDIA_TYPE: _C.INVALID_ARGUMENT,
    Reason.BAD_CURSOR: _C.INVALID_ARGUMENT,
    Reason.UPSTREAM_REJECTED: _C.INVALID_ARGUMENT,
    Reason.UNKNOWN_CONNECTOR: _C.NOT_FOUND,
    Reason.UNKNOWN_OPERATION: _C.NOT_FOUND,
    Reason.UNKNOWN_FEED: _C.NOT_FOUND,
    Reason.UPSTREAM_NOT_FOUND: _C.NOT_FOUND,
    Reason.CALLER_UNAUTHENTICATED: _C.UNAUTHENTICATED,
    Reason.CALLER_DENIED: _C.PERMISSION_DENIED,
    Reason.EGRESS_DENIED: _C.PERMISSION_DENIED,
    Reason.UPSTREAM_CREDENTIALS_REJECTED: _C.INTERNAL,
    Reason.UPSTREAM_MALFORMED: _C.INTERNAL,
    Reason.UPSTREAM_TRUNCATED: _C.INTERNAL,
    Reason.CONTRACT_DRIFT: _C.INTERNAL,
    Reason.UPSTREAM_FAILED: _C.UNKNOWN,
    Reason.UPSTREAM_UNAVAILABLE: _C.UNAVAILABLE,
    Reason.UPSTREAM_CONNECT: _C.UNAVAILABLE,
    Reason.UPSTREAM_TLS: _C.FAILED_PRECONDITION,
    Reason.UPSTREAM_TIMEOUT: _C.DEADLINE_EXCEEDED,
    Reason.DEADLINE_SPENT: _C.DEADLINE_EXCEEDED,
    Reason.OUTCOME_UNKNOWN: _C.UNKNOWN,
    Reason.UPSTREAM_RATE_LIMITED: _C.RESOURCE_EXHAUSTED,
    Reason.RATE_LIMITED: _C.RESOURCE_EXHAUSTED,
    Reason.BULKHEAD_FULL: _C.RESOURCE_EXHAUSTED,
    Reason.OVERLOADED: _C.RESOURCE_EXHAUSTED,
    Reason.TOO_LARGE: _C.RESOURCE_EXHAUSTED,
    Reason.SLOW_CONSUMER: _C.RESOURCE_EXHAUSTED,
    Reason.STORE_FULL: _C.RESOURCE_EXHAUSTED,
    Reason.BREAKER_OPEN: _C.UNAVAILABLE,
    Reason.DRAINING: _C.UNAVAILABLE,
    Reason.UPSTREAM_CONFLICT: _C.ABORTED,
    Reason.POLICY_NOT_MET: _C.ABORTED,
    Reason.UPSTREAM_PRECONDITION: _C.FAILED_PRECONDITION,
    Reason.CURSOR_MISMATCH: _C.FAILED_PRECONDITION,
    Reason.NOT_ACKABLE: _C.FAILED_PRECONDITION,
    Reason.DEPENDENCY_FAILED: _C.FAILED_PRECONDITION,
    Reason.PAGINATION_LOOP: _C.FAILED_PRECONDITION,
    Reason.CURSOR_EXPIRED: _C.OUT_OF_RANGE,
    Reason.UPSTREAM_UNSUPPORTED: _C.UNIMPLEMENTED,
    Reason.UNKNOWN_METHOD: _C.UNIMPLEMENTED,
    Reason.CALLER_CANCELLED: _C.CANCELLED,
    Reason.INTERNAL_ERROR: _C.INTERNAL,
}
"""The code of each reason, unless the failure's context says that it is special."""

_SPECIAL: Mapping[tuple[Reason, str, str], grpc.StatusCode] = {
    (Reason.UPSTREAM_CONFLICT, "creates", "true"): _C.ALREADY_EXISTS,
    (Reason.POLICY_NOT_MET, "decided_by", "deadline"): _C.DEADLINE_EXCEEDED,
}


def code_of(failure: Failure) -> grpc.StatusCode:
    """Returns the code of a failure, its context considered."""
    for (reason, name, value), code in _SPECIAL.items():
        if failure.reason is reason and failure.context.get(name) == value:
            return code
    return CODES[failure.reason]


def to_status(failure: Failure, *details: Message) -> status_pb2.Status:
    """Returns the status of a failure: exactly one ErrorInfo, RetryInfo and BadRequest where they
    apply, and `details` behind them. It holds fixed texts only."""
    code: int = code_of(failure).value[0]
    status = status_pb2.Status(code=code, message=failure.message)
    for detail in (_error_info(failure), *_hints(failure), *details):
        status.details.add().Pack(detail, deterministic=True)
    return status


def pushback_ms(failure: Failure) -> str | None:
    """Returns the value of `grpc-retry-pushback-ms`: the wait, or -1 once we have tried again
    ourselves in vain, or None where neither is known."""
    if failure.disposition is Disposition.PERSISTENT and _attempts(failure) > 1:
        return "-1"
    if failure.disposition is Disposition.PERMANENT or failure.retry_after is None:
        return None
    return str(max(0, round(failure.retry_after * 1000)))


def _attempts(failure: Failure) -> int:
    return int(failure.context.get("attempts", "0"))


def _error_info(failure: Failure) -> error_details_pb2.ErrorInfo:
    metadata = {name: value[:_LONGEST_VALUE] for name, value in failure.context.items()}
    metadata["reached"] = failure.reached.value
    metadata["disposition"] = failure.disposition.value
    metadata.setdefault("attempts", "0")
    connector, _, operation = failure.operation.partition(".")
    if connector:
        metadata["connector"] = connector[:_LONGEST_VALUE]
    if operation:
        metadata["operation"] = operation[:_LONGEST_VALUE]
    return error_details_pb2.ErrorInfo(
        reason=failure.reason.value, domain=DOMAIN, metadata=metadata
    )


def _hints(failure: Failure) -> list[Message]:
    """What the caller can do about it: when to come back, and which fields to mend."""
    hints: list[Message] = []
    if failure.retry_after is not None:
        delay = Duration()
        delay.FromMilliseconds(max(0, round(failure.retry_after * 1000)))
        hints.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if failure.fields:
        request = error_details_pb2.BadRequest()
        for violation in failure.fields[:_MOST_VIOLATIONS]:
            request.field_violations.add(field=violation.field, description=violation.description)
        hints.append(request)
    return hints
