"""Callers that leave, and deadlines that travel."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import psutil
import pytest
from apart import run_apart
from rpc_rig import Rig, a_call, info_of, serving, status_of

from interlace.v1 import gateway_service_pb2 as pb

HERE = Path(__file__).parent
MIB = 1024 * 1024


async def cancel_some(rig: Rig, count: int) -> None:
    """Begins so many calls and cancels them once all of them are upstream."""
    calls = [
        rig.stub.Call(pb.CallRequest(call=a_call("Sleep", seconds=30.0))) for _ in range(count)
    ]
    await rig.until_open(count)
    for call in calls:
        call.cancel()
    await asyncio.gather(*(ended(call) for call in calls))
    await rig.until_idle()
    rig.upstream.calls.clear()
    rig.observer.begun.clear()
    rig.observer.ended.clear()


async def ended(call: Any) -> None:
    """Waits for the end of a call without being taken for it."""
    assert await call.code() is grpc.StatusCode.CANCELLED, await call.details()


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def test_ten_thousand_cancelled_calls_leave_nothing() -> None:
    """P4, F26, L8: RSS flat, no upstream request, no RPC and no task left."""
    async with serving() as rig:
        await cancel_some(rig, 100)
        before, tasks = resident(), len(asyncio.all_tasks())
        for _ in range(100):
            await cancel_some(rig, 100)
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) <= tasks + 5
        assert resident() - before < 64 * MIB


def test_calls_that_are_given_up_leave_no_native_memory() -> None:
    """L8: gRPC's batches free themselves, whoever has stopped waiting for them (grpc#43360).

    Without that each of these calls costs some 900 bytes for good, on both sides together. They
    have a process to themselves, where nothing else is kept: no records of the log, above all.
    """
    done = run_apart(HERE / "given_up.py")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250


async def test_cancelled_streams_leave_nothing() -> None:
    """P4: streams that are cancelled while the server writes, and while it waits."""
    async with serving() as rig:
        branches = [
            pb.Branch(name="big", call=a_call("Body", size="1000000")),
            pb.Branch(name="slow", call=a_call("Sleep", seconds=30.0)),
        ]
        request = pb.StreamFanOutRequest(branches=branches)
        for _ in range(100):
            streams = [rig.stub.StreamFanOut(request) for _ in range(5)]
            await asyncio.gather(*(stream.read() for stream in streams))
            for stream in streams:
                stream.cancel()
        await rig.until_idle()
        assert {code for _, code, _, _ in rig.observer.ended} == {"CANCELLED"}


async def test_a_callers_deadline_ends_the_upstream_request() -> None:
    """P5: 300 ms to spend, an upstream that sleeps 5 s: DEADLINE_EXCEEDED with its reason."""
    async with serving() as rig:
        started = time.monotonic()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.call(a_call("Sleep", seconds=5.0), timeout=0.3)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert info_of(status_of(caught.value)).reason == "UPSTREAM_TIMEOUT"
        assert time.monotonic() - started < 4
        await rig.until_idle()
        assert len(rig.upstream.calls) == 1


async def test_a_caller_without_a_deadline_gets_the_default_and_never_more_than_the_most() -> None:
    """R6: 30 s, and 300 s at most."""
    async with serving() as rig:
        await rig.call(a_call("Echo"))
        await rig.call(a_call("Echo"), timeout=3600)
        (default, capped) = (call.deadline - call.effort.started for call in rig.upstream.calls)
        assert default == pytest.approx(30, abs=0.5)
        assert capped == pytest.approx(300, abs=0.5)


async def test_a_calls_own_timeout_shortens_the_deadline() -> None:
    async with serving() as rig:
        call = a_call("Sleep", seconds=5.0)
        call.timeout.FromMilliseconds(100)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rig.call(call)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_answers_come_within_the_deadline_and_a_moment() -> None:
    """L1: whatever the upstream does, the answer is there by the deadline + 250 ms (loosely)."""
    async with serving() as rig:

        async def one(seconds: float, deadline: float) -> float:
            started = time.monotonic()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await rig.call(a_call("Sleep", seconds=seconds), timeout=deadline)
            return time.monotonic() - started - deadline

        late = await asyncio.gather(
            *(one(seconds, deadline) for seconds in (0.0, 0.1, 5.0) for deadline in (0.1, 0.3))
        )
        assert max(late) < 1.0
        await rig.until_idle()


async def test_a_caller_that_never_reads_does_not_hold_a_stream_open() -> None:
    """T26: writes blocked behind a full window end with the deadline."""
    async with serving() as rig:
        branches = [
            pb.Branch(name=f"b{number}", call=a_call("Body", size="3000000"))
            for number in range(12)
        ]
        request = pb.StreamFanOutRequest(branches=branches)
        request.timeout.FromMilliseconds(300)
        stream = rig.stub.StreamFanOut(request, timeout=1.0)
        await asyncio.sleep(0.1)
        assert await stream.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await rig.until_idle()
