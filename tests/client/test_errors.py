"""Errors: one class per thing to do next, for every reason there is."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from google.rpc import status_pb2

from interlace import errors
from interlace.errors import (
    CODES,
    Cancelled,
    ClientClosed,
    Conflict,
    CursorExpired,
    CursorRejected,
    DeadlineExceeded,
    ErrorFacts,
    InterlaceError,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    PolicyNotMet,
    PreconditionFailed,
    Reached,
    ResourceExhausted,
    ServerError,
    SlowConsumer,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    UpstreamFailed,
    error_from_rpc,
    error_from_status,
    is_own_cancel,
)
from interlace.testing import Failed
from interlace.v1.error_reason_pb2 import ErrorReason
from interlaced.core.failure import Failure, Reason
from interlaced.rpc.guard import failure_trailers
from interlaced.rpc.status import CODES as SERVED
from interlaced.rpc.status import to_status

TABLE: dict[str, tuple[type[InterlaceError], str]] = {
    "INVALID_REQUEST": (InvalidRequest, "no"),
    "UNACCEPTABLE_MEDIA_TYPE": (InvalidRequest, "no"),
    "BAD_CURSOR": (CursorRejected, "no"),
    "UPSTREAM_REJECTED": (InvalidRequest, "no"),
    "UNKNOWN_CONNECTOR": (NotFound, "no"),
    "UNKNOWN_OPERATION": (NotFound, "no"),
    "UNKNOWN_FEED": (NotFound, "no"),
    "UPSTREAM_NOT_FOUND": (NotFound, "no"),
    "CALLER_UNAUTHENTICATED": (Unauthenticated, "no"),
    "CALLER_DENIED": (PermissionDenied, "no"),
    "EGRESS_DENIED": (PermissionDenied, "no"),
    "UPSTREAM_CREDENTIALS_REJECTED": (ServerError, "no"),
    "UPSTREAM_MALFORMED": (ServerError, "no"),
    "UPSTREAM_TRUNCATED": (ServerError, "no"),
    "CONTRACT_DRIFT": (ServerError, "no"),
    "UPSTREAM_FAILED": (UpstreamFailed, "if safe"),
    "UPSTREAM_UNAVAILABLE": (Unavailable, "if safe"),
    "UPSTREAM_CONNECT": (Unavailable, "if safe"),
    "UPSTREAM_TLS": (PreconditionFailed, "no"),
    "UPSTREAM_TIMEOUT": (DeadlineExceeded, "if safe"),
    "DEADLINE_SPENT": (DeadlineExceeded, "if safe"),
    "OUTCOME_UNKNOWN": (OutcomeUnknown, "no"),
    "UPSTREAM_RATE_LIMITED": (ResourceExhausted, "later"),
    "RATE_LIMITED": (ResourceExhausted, "later"),
    "BULKHEAD_FULL": (ResourceExhausted, "later"),
    "OVERLOADED": (ResourceExhausted, "later"),
    "TOO_LARGE": (TooLarge, "no"),
    "SLOW_CONSUMER": (SlowConsumer, "later"),
    "STORE_FULL": (ResourceExhausted, "later"),
    "BREAKER_OPEN": (Unavailable, "later"),
    "DRAINING": (Unavailable, "later"),
    "UPSTREAM_CONFLICT": (Conflict, "no"),
    "POLICY_NOT_MET": (PolicyNotMet, "no"),
    "UPSTREAM_PRECONDITION": (PreconditionFailed, "no"),
    "CURSOR_MISMATCH": (CursorRejected, "no"),
    "NOT_ACKABLE": (PreconditionFailed, "no"),
    "DEPENDENCY_FAILED": (PreconditionFailed, "no"),
    "PAGINATION_LOOP": (PreconditionFailed, "no"),
    "CURSOR_EXPIRED": (CursorExpired, "no"),
    "UPSTREAM_UNSUPPORTED": (Unsupported, "no"),
    "UNKNOWN_METHOD": (Unsupported, "no"),
    "CALLER_CANCELLED": (Cancelled, "no"),
    "INTERNAL_ERROR": (ServerError, "no"),
}


def test_the_table_knows_every_reason_of_the_protos_and_the_service() -> None:
    proto = {name.removeprefix("ERROR_REASON_") for name, _ in ErrorReason.items()} - {
        "UNSPECIFIED"
    }
    assert set(TABLE) == set(CODES) == proto
    assert {reason.value: code for reason, code in SERVED.items()} == dict(CODES)


@pytest.mark.parametrize("reason", sorted(TABLE))
def test_each_reason_has_a_class_and_says_whether_to_ask_again(reason: str) -> None:
    kind, retry = TABLE[reason]
    failure = Failure(Reason(reason), "a fixed text", reached=_reached("maybe"))
    error = error_from_status(to_status(failure.but(operation="shop.Get")))
    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (CODES[reason], reason, "a fixed text")
    assert error.metadata["connector"] == "shop"
    assert error.metadata["operation"] == "Get"
    assert error.reached is Reached.MAYBE
    assert not error.is_from_network
    assert error.can_retry() is (retry == "later")
    assert error.can_retry(is_idempotent=True) is (retry in {"later", "if safe"})
    unsent = error_from_status(to_status(Failure(Reason(reason), "a fixed text")))
    assert unsent.can_retry() is (retry in {"later", "if safe"})


def _reached(text: str):
    from interlaced.core.failure import Reached as Core

    return Core(text)


def test_a_failed_rpc_brings_its_details_hints_and_pushback() -> None:
    failure = Failure(Reason.BREAKER_OPEN, "open", retry_after=2.5).but(attempts="3")
    error = error_from_rpc(rpc_error(grpc.StatusCode.UNAVAILABLE, failure_trailers(failure)))
    assert type(error) is Unavailable
    assert error.retry_after == 2.5
    assert error.pushback == -0.001
    assert not error.can_retry(is_idempotent=True), "the service has spent the retries itself"


def test_fields_that_are_wrong_are_named() -> None:
    failed = Failed("INVALID_REQUEST", "wrong").with_fields(name="must not be empty")
    error = error_from_status(failed.status())
    assert [(at.field, at.description) for at in error.fields] == [("name", "must not be empty")]
    assert str(error) == "INVALID_REQUEST: wrong; name: must not be empty"


def test_an_error_of_the_network_has_no_reason_and_nobody_knows_what_was_reached() -> None:
    error = error_from_rpc(rpc_error(grpc.StatusCode.UNAVAILABLE, []))
    assert type(error) is Unavailable
    assert error.is_from_network
    assert error.reached is Reached.MAYBE
    assert error.can_reconnect
    assert not error.can_retry()
    assert error.can_retry(is_idempotent=True)
    assert str(error) == "UNAVAILABLE: what gRPC says"


@pytest.mark.parametrize("details", [b"\xff\xff", b"\x08"])
def test_details_that_are_no_status_do_no_harm(details: bytes) -> None:
    trailers = [("grpc-status-details-bin", details), ("grpc-retry-pushback-ms", "soon")]
    error = error_from_rpc(rpc_error(grpc.StatusCode.INTERNAL, trailers))
    assert type(error) is ServerError
    assert error.pushback == -1.0


def test_what_a_newer_service_says_is_kept() -> None:
    """A reason, a detail and a domain that this client does not know."""
    failed = Failed("SOMETHING_NEW", "new", code=grpc.StatusCode.ABORTED)
    error = error_from_status(failed.status())
    assert type(error) is Conflict
    assert error.reason == "SOMETHING_NEW"
    status = status_pb2.Status(code=99, message="?")
    status.details.add(type_url="type.googleapis.com/no.Such", value=b"x")
    assert error_from_status(status).code is grpc.StatusCode.UNKNOWN


def test_a_details_of_another_domain_gives_no_reason() -> None:
    from google.rpc import error_details_pb2

    status = status_pb2.Status(code=14, message="a proxy")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="X", domain="elsewhere"))
    assert error_from_status(status).is_from_network


def test_a_closed_client_is_never_worth_another_try() -> None:
    assert not ClientClosed().can_reconnect
    assert not ClientClosed().can_retry(is_idempotent=True)


def test_only_what_may_be_better_next_time_is_reconnected() -> None:
    again = {name for name in TABLE if error_from_status(Failed(name).status()).can_reconnect}
    assert again == {
        "UPSTREAM_UNAVAILABLE",
        "UPSTREAM_CONNECT",
        "BREAKER_OPEN",
        "DRAINING",
        "OVERLOADED",
        "BULKHEAD_FULL",
    }


async def test_a_cancel_of_ones_own_is_told_from_one_of_a_call() -> None:
    told: list[bool] = []

    async def wait() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            told.append(is_own_cancel())
            raise

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert told == [True]
    assert not is_own_cancel()


def test_every_error_has_a_name_at_the_front_door() -> None:
    import interlace

    missing = [
        name
        for name in errors.__all__
        if isinstance(getattr(errors, name), type)
        and issubclass(getattr(errors, name), InterlaceError)
        and not hasattr(interlace, name)
    ]
    assert missing == []
    assert isinstance(InterlaceError(ErrorFacts(code=grpc.StatusCode.UNKNOWN)), Exception)


def rpc_error(
    code: grpc.StatusCode, trailers: list[tuple[str, str | bytes]]
) -> grpc.aio.AioRpcError:
    metadata = grpc.aio.Metadata(*trailers)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details="what gRPC says")
