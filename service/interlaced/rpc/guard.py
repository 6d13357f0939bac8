"""The one wrapper around every RPC: sizes, deadline, cancel, and errors that say why."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from interlaced.core.clock import CurrentTask, TimeLimit
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.ports import Clock, RpcObserver
from interlaced.rpc.failure_log import bug, log_failure
from interlaced.rpc.scope import Context, Scope, check_size, parse
from interlaced.rpc.settings import RpcSettings
from interlaced.rpc.status import code_of, pushback_ms, to_status
from interlaced.rpc.trace import tracing
from interlaced.telemetry.log import bind

__all__ = [
    "Authenticate",
    "BidiFn",
    "Door",
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

Authenticate: TypeAlias = Callable[[Mapping[str, str], Mapping[str, Any]], str]
"""Takes an RPC's metadata and gRPC's authentication context (the peer's certificate) to the
caller's name, or raises Failure CALLER_UNAUTHENTICATED. It must not block."""

_STREAM_GRACE = 1.0


UnaryFn: TypeAlias = Callable[[RequestT, Scope[RequestT]], Awaitable[bytes]]
"""Takes a request to the encoded response."""
StreamFn: TypeAlias = Callable[[RequestT, Scope[RequestT]], Awaitable[None]]
"""Takes a request and writes encoded responses with `scope.write`."""
BidiFn: TypeAlias = Callable[[Scope[RequestT]], Awaitable[None]]
"""Reads with `scope.read` and writes with `scope.write`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """To whom an RPC answers beside proven callers of a server that serves: `serves_drain` also
    during a drain, `is_public` also to callers that have not proven themselves."""

    serves_drain: bool = False
    is_public: bool = False


SHUT = Door()
"""The usual door."""


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
        self._open: set[Scope[Any]] = set()
        self._busy = 0
        self._is_idle = asyncio.Event()
        self._this_task = CurrentTask()
        self.is_draining = False

    @property
    def settings(self) -> RpcSettings:
        """The limits in force."""
        return self._settings

    def begin_drain(self) -> None:
        """Refuses new RPCs with DRAINING from now on; those under way go on."""
        self.is_draining = True

    @property
    def open_rpcs(self) -> int:
        """How many RPCs are under way."""
        return len(self._open)

    def end_rpcs(self, *, only_endless: bool) -> None:
        """Ends RPCs with DRAINING (endless streams) or as cut off (all others)."""
        for scope in tuple(self._open):
            if scope.is_endless or not only_endless:
                scope.end()

    async def wait_idle(self, limit: float) -> bool:
        """Waits until no RPC is under way but those that only look on, such as watchers of health,
        at most `limit` seconds; tells whether that is so."""
        try:
            with TimeLimit(self._clock, self._clock.now() + limit):
                while self._busy:
                    self._is_idle.clear()
                    await self._is_idle.wait()
        except TimeoutError:
            return False
        return True

    def unary(
        self,
        method: str,
        request_class: type[RequestT],
        fn: UnaryFn[RequestT],
        *,
        door: Door = SHUT,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a unary RPC; `method` is its full name without a slash in front,
        such as `interlace.v1.GatewayService/Call`."""
        limit = self._settings.max_message

        # What every call pays for: one coroutine, and as few steps as there can be.
        async def handle(raw: bytes, context: Context) -> bytes:
            scope: Scope[RequestT] = self._begin(method, context, False, door)
            try:
                self._admit(scope, door)
                reply = await fn(parse(request_class, raw, limit), scope)
                if len(reply) > limit:
                    check_size(len(reply), limit, "the response", reached=Reached.REPLIED)
            except BaseException as error:  # noqa: BLE001  # `_end` raises what must go on
                self._end(method, scope, error)
                return b""
            self._end(method, scope)
            return reply

        return grpc.unary_unary_rpc_method_handler(handle)

    def server_stream(
        self,
        method: str,
        request_class: type[RequestT],
        fn: StreamFn[RequestT],
        *,
        is_endless: bool = False,
        door: Door = SHUT,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a server stream; one that is not endless ends at its deadline."""
        limit = self._settings.max_message

        async def handle(raw: bytes, context: Context) -> None:
            async def work(scope: Scope[RequestT]) -> None:
                request = parse(request_class, raw, limit)
                if is_endless:
                    await fn(request, scope)
                else:
                    await self._within_deadline(fn(request, scope), scope)

            await self._serve(method, context, work, is_endless=is_endless, door=door)

        return grpc.unary_stream_rpc_method_handler(handle)

    def bidi(
        self, method: str, request_class: type[RequestT], fn: BidiFn[RequestT]
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of an endless bidirectional stream."""

        async def handle(_requests: object, context: Context) -> None:
            async def work(scope: Scope[RequestT]) -> None:
                scope.request_class = request_class
                await fn(scope)

            await self._serve(method, context, work, is_endless=True)

        return grpc.stream_stream_rpc_method_handler(handle)

    def service(
        self, name: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> grpc.GenericRpcHandler:
        """Returns a whole service, by its full proto name, out of handlers by method name."""
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(name, dict(handlers))
        return handler

    def unknown_methods(self) -> grpc.GenericRpcHandler:
        """Returns the handler that answers what nothing else serves; add it last."""

        async def refuse(_requests: object, context: Context) -> None:
            async def work(_scope: Scope[Message]) -> None:
                raise Failure(Reason.UNKNOWN_METHOD, "there is no RPC of this name")

            await self._serve("_OTHER", context, work, is_endless=True)

        return _CatchAll(grpc.stream_stream_rpc_method_handler(refuse))

    async def _serve(
        self,
        method: str,
        context: Context,
        work: Callable[[Scope[RequestT]], Awaitable[None]],
        *,
        is_endless: bool = False,
        door: Door = SHUT,
    ) -> None:
        """Runs one stream and settles how it ended."""
        scope: Scope[RequestT] = self._begin(method, context, is_endless, door)
        try:
            self._admit(scope, door)
            await work(scope)
        except BaseException as error:  # noqa: BLE001  # `_end` raises what must go on
            self._end(method, scope, error)
        else:
            self._end(method, scope)

    def _begin(
        self, method: str, context: Context, is_endless: bool, door: Door
    ) -> Scope[RequestT]:
        """Counts an RPC as under way; whoever begins one ends it."""
        limit = self._settings.max_message
        scope: Scope[RequestT] = Scope(context, self._clock.now(), limit, self._this_task())
        if is_endless:
            scope.is_endless = True
            scope.is_onlooker = door.serves_drain
        metadata = scope.metadata
        if "traceparent" in metadata:
            bind(request_id=scope.correlation_id, **tracing(metadata))
        else:
            bind(request_id=scope.correlation_id)
        self._observer.started(method)
        self._open.add(scope)
        if not scope.is_onlooker:
            self._busy += 1
        return scope

    def _end(self, method: str, scope: Scope[RequestT], error: BaseException | None = None) -> None:
        """Settles how an RPC ended: the work returned, or it raised `error`.

        Nothing of it may be bound to a name in a frame that the error's own traceback holds: the
        circle would keep gRPC's stream until the next collection.
        """
        self._open.discard(scope)
        if not scope.is_onlooker:
            self._busy -= 1
            if self._busy == 0:
                self._is_idle.set()
        seconds = self._clock.now() - scope.started
        if scope.has_been_cancelled():
            # Never swallowed: the RPC is dead, and gRPC frees it only this way.
            self._observer.finished(method, "CANCELLED", Reason.CALLER_CANCELLED.value, seconds)
            scope.forget_task()
            raise asyncio.CancelledError
        if error is None:
            scope.context.set_trailing_metadata(scope.trailers)
            self._observer.finished(method, "OK", "", seconds)
        else:
            self._tell(method, scope, self._failure_of(scope, error), seconds)

    def _failure_of(self, scope: Scope[RequestT], error: BaseException) -> Failure:
        """Turns what the work raised into a Failure; raises what ends the process again."""
        if isinstance(error, Failure):
            return error
        if isinstance(error, asyncio.CancelledError):
            return self._cut_off(scope, error)
        if isinstance(error, Exception):
            return bug(error)  # nothing foreign may leave the process
        raise error

    def _cut_off(self, scope: Scope[RequestT], error: BaseException) -> Failure:
        """What a cancellation means for an RPC that is alive."""
        if scope.is_ended and scope.is_endless:
            return self._draining()
        message = "the server stopped" if scope.is_ended else "the work was cancelled inside"
        failure = Failure(Reason.UPSTREAM_UNAVAILABLE, message, reached=Reached.MAYBE)
        failure.__cause__ = error
        return failure

    def _draining(self) -> Failure:
        return Failure(
            Reason.DRAINING,
            "the server is shutting down",
            retry_after=self._settings.drain_retry_after,
        )

    def _admit(self, scope: Scope[RequestT], door: Door) -> None:
        """Lets an RPC in, and says until when; raises Failure for one that must stay outside."""
        if self.is_draining and not door.serves_drain:
            raise self._draining()
        if len(self._open) > self._settings.max_rpcs:
            raise Failure(
                Reason.OVERLOADED,
                "too many RPCs are open",
                retry_after=1.0,
                limit=str(self._settings.max_rpcs),
            )
        if self._authenticate is not None and not door.is_public:
            scope.caller = self._authenticate(scope.metadata, scope.context.auth_context())
        scope.deadline = scope.started + self._to_spend(scope)

    def _to_spend(self, scope: Scope[RequestT]) -> float:
        """The seconds within which an answer must leave; None from gRPC means that the caller set
        no deadline."""
        settings = self._settings
        remaining: float | None = scope.context.time_remaining()
        if remaining is None:
            return math.inf if scope.is_endless else settings.default_deadline
        # A tenth at most: a caller with 20 ms to spend still gets most of them.
        margin = remaining / 10
        remaining -= margin if margin < settings.deadline_margin else settings.deadline_margin
        if remaining > settings.max_deadline and not scope.is_endless:
            return settings.max_deadline
        return remaining

    async def _within_deadline(self, work: Awaitable[None], scope: Scope[RequestT]) -> None:
        """Ends a stream whose reader is so slow that its writes outlive the deadline."""
        try:
            with TimeLimit(self._clock, scope.deadline + _STREAM_GRACE):
                await work
        except TimeoutError as error:
            raise Failure(
                Reason.DEADLINE_SPENT, "the deadline passed while responses waited to be read"
            ) from error

    def _tell(self, method: str, scope: Scope[RequestT], failure: Failure, seconds: float) -> None:
        """Ends an RPC with a status, and says in the log why."""
        context = scope.context
        # The code is set and the function returns; `abort` would hang behind unread data.
        code = code_of(failure)
        context.set_code(code)
        context.set_details(failure.message)
        scope.trailers.extend(failure_trailers(failure))
        context.set_trailing_metadata(scope.trailers)
        self._observer.finished(method, code.name, failure.reason.value, seconds)
        log_failure(
            "rpc.failed", failure, method=method, code=code.name, duration_ms=round(seconds * 1000)
        )
        # Its frames hold the RPC; whoever keeps the failure would keep gRPC's stream, and with too
        # many of those gRPC refuses new ones.
        failure.__traceback__ = None


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
