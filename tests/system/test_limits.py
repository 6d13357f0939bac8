"""Deadlines, permits and repeats through the whole service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from rpc_rig import info_of, status_of
from served import served

from interlace.v1 import call_pb2, gateway_service_pb2_grpc
from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.failure import Reason
from interlaced.settings import Ingress

DESK = """
interlace: 1
connector: desk
upstream: {memory: desk}
policy: {breaker: null, attempt_timeout: null, retry: {attempts: 3, backoff: 1ms..1ms}}
operations:
  Hello: {reply: {greeting: hello}}
  Slow: {reply: {}, delay: 20s}
  Short: {reply: {}, delay: 20s, policy: {deadline: 150ms}}
  Write: {effect: unsafe, takes_key: false, fail: {reason: UPSTREAM_CONNECT, reached: maybe}}
  Keyed: {effect: unsafe, takes_key: true, fail: {reason: UPSTREAM_CONNECT, reached: maybe}}
  Unsent: {effect: unsafe, fail: {reason: UPSTREAM_CONNECT, reached: not_sent}}
"""


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[Any]:
    (tmp_path / "desk.yaml").write_text(DESK)
    async with (
        served(tmp_path, settings={"max_in_flight": 3}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        yield gateway_service_pb2_grpc.GatewayServiceStub(channel)


def a_call(operation: str, timeout: float | None = None, key: str = "") -> call_pb2.Call:
    call = call_pb2.Call(connector="desk", operation=operation, idempotency_key=key)
    if timeout is not None:
        call.timeout.FromMilliseconds(round(timeout * 1000))
    return call


async def reason_of(stub: Any, call: call_pb2.Call, timeout: float) -> tuple[str, str]:
    """The reason of a failed call, and how many attempts it took."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Call(pb.CallRequest(call=call), timeout=timeout)
    info = info_of(status_of(caught.value))
    return info.reason, info.metadata["attempts"]


@pytest.mark.parametrize(
    ("operation", "own", "callers"),
    [("Slow", None, 0.15), ("Slow", 0.15, 10.0), ("Short", None, 10.0), ("Short", 5.0, 10.0)],
)
async def test_the_least_of_the_callers_the_calls_and_the_operations_time_wins(
    stub: Any, operation: str, own: float | None, callers: float
) -> None:
    """API.md section 2: remaining time = min(caller's, call's, operation's)."""
    began = time.monotonic()
    reason, attempts = await reason_of(stub, a_call(operation, own), callers)
    assert (reason, attempts) == (Reason.UPSTREAM_TIMEOUT, "1")
    assert time.monotonic() - began < 4


async def test_a_deadline_of_a_millisecond_leaves_the_service_sound(stub: Any) -> None:
    for _ in range(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Call(pb.CallRequest(call=a_call("Slow")), timeout=0.001)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await stub.Call(pb.CallRequest(call=a_call("Hello")))).payload.data


async def test_every_branch_takes_a_permit_of_its_own(stub: Any) -> None:
    """API.md section 2, ARCHITECTURE.md section 4: a fan-out takes one per branch."""
    branches = [pb.Branch(name=str(n), call=a_call("Slow", 0.3)) for n in range(5)]
    request = pb.FanOutRequest(branches=branches)
    request.policy.best_effort.SetInParent()
    outcomes = (await stub.FanOut(request)).outcomes
    reasons = sorted(info_of(outcome.status).reason for outcome in outcomes)
    assert reasons == ["OVERLOADED"] * 2 + ["UPSTREAM_TIMEOUT"] * 3
    assert (await stub.Call(pb.CallRequest(call=a_call("Hello")))).payload.data


@pytest.mark.parametrize(
    ("operation", "key", "reason", "attempts"),
    [
        ("Write", "", "OUTCOME_UNKNOWN", "1"),
        ("Write", "a-key", "OUTCOME_UNKNOWN", "1"),  # the key goes nowhere, so it proves nothing
        ("Keyed", "", "OUTCOME_UNKNOWN", "1"),
        ("Keyed", "a-key", "UPSTREAM_CONNECT", "3"),
        ("Unsent", "", "UPSTREAM_CONNECT", "3"),
    ],
)
async def test_a_write_is_only_repeated_with_a_key_that_the_upstream_sees_or_if_nothing_was_sent(
    stub: Any, operation: str, key: str, reason: str, attempts: str
) -> None:
    assert await reason_of(stub, a_call(operation, key=key), 10.0) == (reason, attempts)


async def test_no_connection_has_more_rpcs_open_than_it_may(tmp_path: Path) -> None:
    """P28: what is too much waits at the caller, where it costs the server nothing."""
    (tmp_path / "desk.yaml").write_text(DESK)
    ingress = Ingress(port=0, max_streams=2)
    async with (
        served(tmp_path, settings={"ingress": ingress}) as service,
        grpc.aio.insecure_channel(service.address) as channel,
    ):
        stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
        sessions = [stub.Session() for _ in range(2)]
        for session in sessions:
            await session.read()
        hello = asyncio.ensure_future(stub.Call(pb.CallRequest(call=a_call("Hello"))))
        done, _ = await asyncio.wait([hello], timeout=0.3)
        assert not done
        sessions[0].cancel()
        assert (await hello).payload.data
        sessions[1].cancel()
