"""The one wrapper around every RPC: sizes, deadline, cancel, and errors that say why."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.ports import Clock, RpcObserver
from interlaced.core.units import format_size
from interlaced.rpc.settings import RpcSettings
from interlaced.rpc.status import code_of, pushback_ms, to_status
from interlaced.telemetry.log import bind, log

__all__ = [
    "Authenticate",
    "BidiFn",
    "Guard",
    "Scope",
    "StatusFailure",
    "StreamFn",
    "UnaryFn",
    "check_size",
    "failure_trailers",
    "parse",
]

RequestT = TypeVar("RequestT", bound=Message)

Context: TypeAlias = Any
"""grpc.aio's servicer context over bytes; its stubs know no identity serializers."""

Authenticate: TypeAlias = Callable[[Mapping[str, str], Mapping[str, Any]], str]
"""Takes an RPC's metadata and gRPC's authentication context (the peer's certificate) to the
caller's name, or raises Failure CALLER_UNAUTHENTICATED. It must not block."""

_LONGEST_ID = 128
_STREAM_GRACE = 1.0


class Scope(Generic[RequestT]):
    """What one RPC knows: its deadline, its metadata, its caller, and its stream.

    `deadline` is a time of the Clock, already a margin before the caller's own; it is infinite for
    endless streams without one. `metadata` holds the text entries, lower-case. `trailers` may be
    added to until the RPC ends.
    """

    __slots__ = (
        "_context",
        "_limit",
        "_request_class",
        "caller",
        "correlation_id",
        "deadline",
        "has_left",
        "metadata",
        "started",
        "trailers",
    )

    def __init__(self, context: Context, started: float, limit: int) -> None:
        self._context = context
        self._limit = limit
        self._request_class: type[RequestT] | None = None
        self.started = started
        self.has_left = False
        self.deadline = math.inf
        self.metadata = _text_metadata(context)
        self.correlation_id = _correlation_id(self.metadata)
        self.caller = ""
        self.trailers: list[tuple[str, str | bytes]] = [("x-request-id", self.correlation_id)]

    @property
    def wants_ledger(self) -> bool:
        """Whether the caller asked for attempt records."""
        return self.metadata.get("interlace-ledger") == "1"

    async def write(self, message: bytes) -> None:
        """Sends one encoded message and waits while the peer's window is full.

        Raises Failure TOO_LARGE for one over the limit, and CancelledError when the caller left.
        """
        check_size(len(message), self._limit, "the response")
        try:
            await self._context.write(message)
        except grpc.aio.BaseError as error:
            # A write that was blocked when the caller left fails before the task is cancelled.
            self.has_left = True
            raise asyncio.CancelledError from error

    async def read(self) -> RequestT | None:
        """Returns the next request of a bidirectional stream, or None at its half-close.

        Raises Failure INVALID_REQUEST or TOO_LARGE.
        """
        raw = await self._context.read()
        if raw is grpc.aio.EOF or self._request_class is None:
            return None
        return parse(self._request_class, raw, self._limit)


UnaryFn: TypeAlias = Callable[[RequestT, Scope[RequestT]], Awaitable[bytes]]
"""Takes a request to the encoded response."""
StreamFn: TypeAlias = Callable[[RequestT, Scope[RequestT]], Awaitable[None]]
"""Takes a request and writes encoded responses with `scope.write`."""
BidiFn: TypeAlias = Callable[[Scope[RequestT]], Awaitable[None]]
"""Reads with `scope.read` and writes with `scope.write`."""


class Guard:
    """Wraps the functions that serve RPCs into gRPC's handlers.

    A Failure becomes a status exactly here. Any other exception becomes INTERNAL_ERROR with a
    fixed text outside and everything in the log. The function runs in the RPC's own task: when the
    caller leaves or its deadline passes it is cancelled, and must have ended its own tasks by the
    time it lets the CancelledError through.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        observer: RpcObserver,
        settings: RpcSettings,
        authenticate: Authenticate | None = None,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._settings = settings
        self._authenticate = authenticate
        self.is_draining = False

    @property
    def settings(self) -> RpcSettings:
        """The limits in force."""
        return self._settings

    def begin_drain(self) -> None:
        """Refuses new RPCs with DRAINING from now on; those under way go on."""
        self.is_draining = True

    def unary(
        self,
        method: str,
        request_class: type[RequestT],
        fn: UnaryFn[RequestT],
        *,
        serves_drain: bool = False,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a unary RPC; `method` is its full name without a slash in front,
        such as `interlace.v1.GatewayService/Call`."""
        limit = self._settings.max_message

        async def handle(raw: bytes, context: Context) -> bytes:
            async def work(scope: Scope[RequestT]) -> bytes:
                reply = await fn(parse(request_class, raw, limit), scope)
                check_size(len(reply), limit, "the response")
                return reply

            return await self._serve(method, context, work, serves_drain=serves_drain)

        return grpc.unary_unary_rpc_method_handler(handle)

    def server_stream(
        self,
        method: str,
        request_class: type[RequestT],
        fn: StreamFn[RequestT],
        *,
        is_endless: bool = False,
        serves_drain: bool = False,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a server stream; one that is not endless ends at its deadline."""
        limit = self._settings.max_message

        async def handle(raw: bytes, context: Context) -> None:
            async def work(scope: Scope[RequestT]) -> bytes:
                request = parse(request_class, raw, limit)
                if is_endless:
                    await fn(request, scope)
                else:
                    await self._within_deadline(fn(request, scope), scope)
                return b""

            await self._serve(
                method, context, work, is_endless=is_endless, serves_drain=serves_drain
            )

        return grpc.unary_stream_rpc_method_handler(handle)

    def bidi(
        self, method: str, request_class: type[RequestT], fn: BidiFn[RequestT]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of an endless bidirectional stream."""

        async def handle(_requests: object, context: Context) -> None:
            async def work(scope: Scope[RequestT]) -> bytes:
                scope._request_class = request_class  # noqa: SLF001  # the scope is ours
                await fn(scope)
                return b""

            await self._serve(method, context, work, is_endless=True)

        return grpc.stream_stream_rpc_method_handler(handle)

    def unknown_methods(self) -> grpc.GenericRpcHandler:
        """Returns the handler that answers what nothing else serves; add it last."""

        async def refuse(_requests: object, context: Context) -> None:
            async def work(_scope: Scope[Message]) -> bytes:
                raise Failure(Reason.UNKNOWN_METHOD, "there is no RPC of this name")

            await self._serve("_OTHER", context, work, is_endless=True)

        return _CatchAll(grpc.stream_stream_rpc_method_handler(refuse))

    async def _serve(
        self,
        method: str,
        context: Context,
        work: Callable[[Scope[RequestT]], Awaitable[bytes]],
        *,
        is_endless: bool = False,
        serves_drain: bool = False,
    ) -> bytes:
        """Runs one RPC and settles how it ended."""
        scope: Scope[RequestT] = Scope(context, self._clock.now(), self._settings.max_message)
        bind(request_id=scope.correlation_id)
        self._observer.started(method)
        reply, failure = b"", None
        try:
            self._admit(scope, serves_drain)
            scope.deadline = self._deadline(context, is_endless)
            reply = await work(scope)
        except Failure as raised:
            failure = raised
        except asyncio.CancelledError as error:
            failure = Failure(
                Reason.UPSTREAM_UNAVAILABLE, "the work was cancelled inside", reached=Reached.MAYBE
            )
            failure.__cause__ = error
        except Exception as error:  # noqa: BLE001  # nothing foreign may leave the process
            failure = self._bug(method, error)
        if scope.has_left or _is_cancelled():
            # Never swallowed: the RPC is dead, and gRPC frees it only this way.
            self._observer.finished(
                method,
                "CANCELLED",
                Reason.CALLER_CANCELLED.value,
                self._clock.now() - scope.started,
            )
            raise asyncio.CancelledError
        self._end(method, scope, failure)
        return reply

    def _admit(self, scope: Scope[RequestT], serves_drain: bool) -> None:
        if self.is_draining and not serves_drain:
            raise Failure(
                Reason.DRAINING,
                "the server is shutting down; nothing was done",
                retry_after=self._settings.drain_retry_after,
            )
        if self._authenticate is not None:
            scope.caller = self._authenticate(scope.metadata, scope._context.auth_context())  # noqa: SLF001  # the scope is ours

    def _deadline(self, context: Context, is_endless: bool) -> float:
        """The time by which an answer must leave; None from gRPC means that the caller set none."""
        settings, remaining = self._settings, context.time_remaining()
        if remaining is None:
            remaining = math.inf if is_endless else settings.default_deadline
        elif is_endless:
            remaining -= min(settings.deadline_margin, remaining / 10)
        else:
            # A tenth at most: a caller with 20 ms to spend still gets most of them.
            margin = min(settings.deadline_margin, remaining / 10)
            remaining = min(remaining - margin, settings.max_deadline)
        return self._clock.now() + float(remaining)

    async def _within_deadline(self, work: Awaitable[None], scope: Scope[RequestT]) -> None:
        """Ends a stream whose reader is so slow that its writes outlive the deadline."""
        try:
            with TimeLimit(self._clock, scope.deadline + _STREAM_GRACE):
                await work
        except TimeoutError as error:
            raise Failure(
                Reason.DEADLINE_SPENT, "the deadline passed while responses waited to be read"
            ) from error

    def _bug(self, method: str, error: Exception) -> Failure:
        log.error("rpc.bug", method=method, exc_info=error)
        failure = Failure(Reason.INTERNAL_ERROR, "an internal error; the log has the details")
        failure.__cause__ = error
        return failure

    def _end(self, method: str, scope: Scope[RequestT], failure: Failure | None) -> None:
        seconds = self._clock.now() - scope.started
        context = scope._context  # noqa: SLF001  # the scope is ours
        if failure is None:
            context.set_trailing_metadata(tuple(scope.trailers))
            self._observer.finished(method, "OK", "", seconds)
            return
        # The code is set and the function returns; `abort` would hang behind unread data.
        code = code_of(failure)
        context.set_code(code)
        context.set_details(failure.message)
        scope.trailers.extend(failure_trailers(failure))
        context.set_trailing_metadata(tuple(scope.trailers))
        self._observer.finished(method, code.name, failure.reason.value, seconds)
        if failure.reason is not Reason.INTERNAL_ERROR:
            _log_failure(method, code.name, failure)


class _CatchAll(grpc.GenericRpcHandler):
    """Serves every method by one handler."""

    def __init__(self, handler: grpc.RpcMethodHandler[Any, Any]) -> None:
        self._handler = handler

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any]:
        del handler_call_details
        return self._handler


class StatusFailure(Failure):
    """A Failure with further details for its status, such as a fan-out's ledger."""

    details: tuple[Message, ...] = ()


def failure_trailers(failure: Failure) -> list[tuple[str, str | bytes]]:
    """Returns the trailing metadata of a failed RPC."""
    details = failure.details if isinstance(failure, StatusFailure) else ()
    status = to_status(failure, *details)
    trailers: list[tuple[str, str | bytes]] = [
        ("grpc-status-details-bin", status.SerializeToString())
    ]
    pushback = pushback_ms(failure)
    if pushback is not None:
        trailers.append(("grpc-retry-pushback-ms", pushback))
    return trailers


def parse(request_class: type[RequestT], raw: bytes, limit: int) -> RequestT:
    """Decodes a request; raises Failure TOO_LARGE or INVALID_REQUEST."""
    check_size(len(raw), limit, "the request")
    try:
        return request_class.FromString(raw)
    except DecodeError as error:
        violation = FieldViolation("", "not a message of the method's request type")
        raise Failure(
            Reason.INVALID_REQUEST, "the request cannot be decoded", fields=(violation,)
        ) from error


def check_size(size: int, limit: int, what: str) -> None:
    """Raises Failure TOO_LARGE, with both numbers, for more than `limit` bytes."""
    if size > limit:
        raise Failure(
            Reason.TOO_LARGE,
            f"{what} has {size} bytes; the limit is {limit} bytes ({format_size(limit)})",
            size=str(size),
            limit=str(limit),
        )


def _is_cancelled() -> bool:
    """Whether the RPC's own task was cancelled from outside: the caller left, its deadline passed,
    or the server was stopped. A CancelledError without that came from inside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _text_metadata(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if type(value) is str}


def _correlation_id(metadata: Mapping[str, str]) -> str:
    """The caller's own id if it is fit to be logged and sent back, else a new one."""
    given = metadata.get("x-request-id", "")
    if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
        return given
    return os.urandom(8).hex()


def _log_failure(method: str, code: str, failure: Failure) -> None:
    """One line per failed RPC; what a foreign exception said stays here."""
    cause = failure.__cause__
    log.info(
        "rpc.failed",
        method=method,
        code=code,
        reason=failure.reason.value,
        operation=failure.operation,
        cause=f"{type(cause).__name__}: {cause}" if cause is not None else "",
    )
