"""The wrapper alone; tests/rpc proves it over the wire."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from fake_context import FakeContext
from google.protobuf.message import Message
from structlog.testing import capture_logs

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.failure import Failure, Reason
from interlaced.rpc.guard import Door, Guard, Scope, failure_trailers
from interlaced.rpc.settings import RpcSettings
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeRpcObserver


class Bench:
    """A guard in virtual time around functions that note their scope."""

    def __init__(self, settings: RpcSettings | None = None, **options: Any) -> None:
        self.clock = VirtualClock()
        self.observer = FakeRpcObserver()
        self.guard = Guard(
            clock=self.clock, observer=self.observer, settings=settings or RpcSettings(), **options
        )
        self.deadlines: list[float] = []

    async def note(self, _request: Message, scope: Scope[Any]) -> bytes:
        self.deadlines.append(scope.deadline - self.clock.now())
        return b"done"

    def serve(self, context: FakeContext, raw: bytes = b"", fn: Any = None) -> bytes:
        handler = self.guard.unary("s/Call", pb.CallRequest, fn or self.note)
        return self.clock.run(handler.unary_unary(raw, context))  # type: ignore[misc,arg-type,no-any-return]  # the stubs think of threads


@pytest.mark.parametrize(
    ("remaining", "expected"),
    [(None, 30.0), (10.0, 9.98), (0.1, 0.09), (1e6, 300.0), (0.0, 0.0)],
)
def test_the_deadline_is_the_callers_less_a_margin(
    remaining: float | None, expected: float
) -> None:
    """R6: a default without one, and a most."""
    bench = Bench()
    assert bench.serve(FakeContext(remaining=remaining)) == b"done"
    assert bench.deadlines == [pytest.approx(expected)]


def test_an_endless_stream_has_no_deadline_unless_its_caller_set_one() -> None:
    bench = Bench()
    seen: list[float] = []

    async def fn(scope: Scope[Any]) -> None:
        seen.append(scope.deadline - bench.clock.now())

    handler = bench.guard.bidi("s/Talk", pb.SessionRequest, fn)
    for remaining in (None, 1000.0):
        context = FakeContext(remaining=remaining)
        bench.clock.run(handler.stream_stream(None, context))  # type: ignore[misc,arg-type]  # as above
    assert seen == [math.inf, pytest.approx(999.98)]


def test_a_failure_sets_code_details_and_trailers() -> None:
    async def fail(_request: Message, _scope: object) -> bytes:
        raise Failure(Reason.RATE_LIMITED, "slow down", retry_after=2.0)

    bench, context = Bench(), FakeContext([("x-request-id", "me")])
    assert bench.serve(context, fn=fail) == b""
    assert (context.code, context.details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
    assert context.trailers["x-request-id"] == "me"
    assert context.trailers["grpc-retry-pushback-ms"] == "2000"
    assert "grpc-status-details-bin" in context.trailers
    ((method, code, reason, _),) = bench.observer.ended
    assert (method, code, reason) == ("s/Call", "RESOURCE_EXHAUSTED", "RATE_LIMITED")


def test_a_swallowed_cancellation_is_raised_again() -> None:
    """grpc#43360: gRPC frees a dead RPC only when the CancelledError comes out."""

    async def main() -> None:
        async def swallow(_request: Message, _scope: object) -> bytes:
            try:
                await bench.clock.sleep(10)
            except asyncio.CancelledError:
                return b"as if nothing had been"
            return b""

        handler: Any = bench.guard.unary("s/Call", pb.CallRequest, swallow)
        task = asyncio.ensure_future(handler.unary_unary(b"", FakeContext()))
        await bench.clock.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    bench = Bench()
    bench.clock.run(main())
    assert bench.observer.ended[0][1:3] == ("CANCELLED", "CALLER_CANCELLED")
    assert bench.guard.open_rpcs == 0


def test_a_stream_whose_writes_block_ends_with_its_deadline() -> None:
    async def stuck(_request: Message, _scope: object) -> None:
        await bench.clock.sleep(1e6)

    bench, context = Bench(), FakeContext(remaining=5.0)
    handler: Any = bench.guard.server_stream("s/Stream", pb.StreamFanOutRequest, stuck)
    bench.clock.run(handler.unary_stream(b"", context))
    assert context.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_draining_refuses_what_is_new_except_where_it_must_answer() -> None:
    bench = Bench()
    bench.guard.begin_drain()
    context = FakeContext()
    bench.serve(context)
    assert context.code is grpc.StatusCode.UNAVAILABLE
    health: Any = bench.guard.unary(
        "h/Check", pb.CallRequest, bench.note, door=Door(serves_drain=True)
    )
    assert bench.clock.run(health.unary_unary(b"", FakeContext())) == b"done"


def test_waiting_for_idle_has_a_limit() -> None:
    async def main() -> tuple[bool, bool]:
        async def slow(_request: Message, _scope: object) -> bytes:
            await bench.clock.sleep(10)
            return b""

        handler: Any = bench.guard.unary("s/Call", pb.CallRequest, slow)
        task = asyncio.ensure_future(handler.unary_unary(b"", FakeContext()))
        await bench.clock.sleep(0)
        first = await bench.guard.wait_idle(1)
        second = await bench.guard.wait_idle(60)
        await task
        return first, second

    bench = Bench()
    assert bench.clock.run(main()) == (False, True)


def test_a_callers_name_comes_from_authentication() -> None:
    names: list[str] = []

    async def note(_request: Message, scope: Scope[Any]) -> bytes:
        names.append(scope.caller)
        return b""

    bench = Bench(authenticate=lambda metadata, _peer: metadata["who"])
    bench.serve(FakeContext([("who", "ann")]), fn=note)
    assert names == ["ann"]


def test_trailers_hold_the_status() -> None:
    names = [name for name, _ in failure_trailers(Failure(Reason.OVERLOADED, "busy"))]
    assert names == ["grpc-status-details-bin"]


def test_a_failure_that_somebody_keeps_does_not_keep_the_rpc() -> None:
    """Its frames would hold gRPC's stream, and with too many of those gRPC refuses new ones."""
    kept: list[Failure] = []

    async def fail(_request: Message, _scope: object) -> bytes:
        kept.append(Failure(Reason.OVERLOADED, "busy"))
        raise kept[0]

    Bench().serve(FakeContext(), fn=fail)
    assert kept[0].__traceback__ is None


@pytest.mark.parametrize("kind", ["none", "failure", "bug", "cut off", "caller left"])
def test_an_rpc_that_has_ended_is_let_go_of_without_a_collection(kind: str) -> None:
    """A circle of a failure and the frames in its traceback would keep gRPC's stream."""

    async def work(_request: Message, scope: Scope[Any]) -> bytes:
        if kind == "failure":
            raise Failure(Reason.OVERLOADED, "busy")
        if kind == "bug":
            raise ValueError("broken")
        if kind == "cut off":
            raise asyncio.CancelledError
        if kind == "caller left":
            scope.has_left = True
            raise Failure(Reason.OVERLOADED, "busy")
        return b"done"

    async def main() -> Callable[[], FakeContext | None]:
        context = FakeContext()
        handler: Any = Bench().guard.unary("s/Call", pb.CallRequest, work)
        await asyncio.wait((asyncio.ensure_future(handler.unary_unary(b"", context)),))
        return weakref.ref(context)

    gc.collect()
    gc.disable()
    try:
        with capture_logs() as records:
            held = asyncio.run(main())
        records.clear()
        assert held() is None
    finally:
        gc.enable()
