"""Slow and vanished subscribers over real loopback harm nobody but themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from feed_rig import ScriptedFeed
from feed_server import FeedServer, feed_server, reason_of
from google.protobuf.duration_pb2 import Duration

from interlace.v1 import feed_service_pb2 as pb
from interlace.v1 import feed_service_pb2_grpc

HANG = 30
SMALL_WINDOW = ("grpc.http2.bdp_probe", 0)


def stub(channel: grpc.aio.Channel) -> Any:
    return feed_service_pb2_grpc.FeedServiceStub(channel)


async def read_until(call: Any, last: str) -> list[str]:
    """Reads events up to one with this id."""
    got: list[str] = []
    while not got or got[-1] != last:
        got += [event.id for event in (await call.read()).batch.events]
    return got


async def pour(server: FeedServer, count: int, size: int) -> None:
    """Publishes large events, and lets the pump keep up."""
    for number in range(count):
        server.feed.publish(number, subject="x" * size)
        await asyncio.sleep(0.002)


@pytest.mark.parametrize("policy", ["block", "disconnect"])
async def test_one_stalled_and_99_healthy_subscribers(policy: str) -> None:
    """P3, F24, L7: the healthy ones get everything, the ring stays bounded, and the stalled one is
    ended with SLOW_CONSUMER and a cursor that resumes without a hole."""
    count, size = 150, 60_000
    async with (
        feed_server(ring_events=1000, ring_bytes=20 * 1024 * 1024) as server,
        server.channel() as channel,
        server.channel(SMALL_WINDOW) as narrow,
    ):
        overflow = pb.Overflow(buffer=20)
        getattr(overflow, policy).SetInParent()
        if policy == "block":
            overflow.block.timeout.CopyFrom(Duration(nanos=50_000_000))
        stalled = stub(narrow).Subscribe(pb.SubscribeRequest(feed="up.Ticks", overflow=overflow))
        await stalled.read()
        healthy = [
            stub(channel).Subscribe(
                pb.SubscribeRequest(feed="up.Ticks", filter=_some(number), overflow=_patient())
            )
            for number in range(99)
        ]
        for call in healthy:
            await call.read()
        readers = [asyncio.create_task(read_until(call, f"e{count - 1}")) for call in healthy]
        async with asyncio.timeout(HANG):
            await pour(server, count, size)
            everything = await asyncio.gather(*readers)
        wanted = [f"e{number}" for number in range(count)]
        assert all(got == wanted for got in everything)
        ring = server.hub.find("up.Ticks").ring
        assert ring.bytes <= 20 * 1024 * 1024
        assert len(server.encoded) == count, "encoded once, whoever listens"
        got, cursor, metadata = await _read_to_the_end(stalled)
        assert metadata["cursor"]
        resumed = stub(channel).Subscribe(
            pb.SubscribeRequest(feed="up.Ticks", start=pb.StartPosition(cursor=metadata["cursor"]))
        )
        async with asyncio.timeout(HANG):
            rest = await read_until(resumed, f"e{count - 1}")
        assert got + rest == wanted, "no hole and no repeat"
        assert cursor == metadata["cursor"], "the last frame's cursor is the failure's"
        for call in (*healthy, resumed):
            call.cancel()
        await server.until_idle()


def _some(number: int) -> pb.Filter | None:
    """Every third subscriber asks for everything by a filter."""
    return None if number % 3 else pb.Filter(type=pb.StringMatch(exact="tick"))


def _patient() -> pb.Overflow:
    return pb.Overflow(block=pb.BlockOverflow(timeout=Duration(seconds=20)), buffer=1000)


async def _read_to_the_end(call: Any) -> tuple[list[str], str, dict[str, str]]:
    got: list[str] = []
    cursor = ""

    async def read() -> None:
        nonlocal got, cursor
        while (frame := await call.read()) is not grpc.aio.EOF:
            got += [event.id for event in frame.batch.events]
            cursor = frame.cursor

    async with asyncio.timeout(HANG):
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read()
    assert ended.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    reason, metadata = reason_of(ended.value)
    assert reason == "SLOW_CONSUMER"
    return got, cursor, metadata


async def test_a_dropper_that_stalls_reads_on_and_is_told_how_many_it_missed() -> None:
    """F24: DROP_OLDEST keeps the stream."""
    async with feed_server() as server, server.channel(SMALL_WINDOW) as channel:
        overflow = pb.Overflow(drop_oldest=pb.DropOldestOverflow(), buffer=5)
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks", overflow=overflow))
        await call.read()
        async with asyncio.timeout(HANG):
            await pour(server, 100, 60_000)
            got, dropped = [], 0
            while not got or got[-1] != "e99":
                frame = await call.read()
                got += [event.id for event in frame.batch.events]
                dropped += frame.dropped
        assert dropped > 0
        assert len(got) + dropped == 100
        call.cancel()
        await server.until_idle()


@pytest.mark.parametrize("replays", [False, True])
async def test_1000_cancelled_streams_leave_nothing_behind(replays: bool) -> None:
    """P4, L8: no task, no subscriber, no reader; also where the write was blocked or the replay
    under way."""
    feed = ScriptedFeed(replays=replays)
    feed.publish(*range(50))
    async with feed_server(feed) as server, server.channel() as channel:
        keep = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks"))
        await keep.read()
        before = len(asyncio.all_tasks())
        oldest = pb.StartPosition(oldest=pb.StartOldest())
        for _ in range(10):
            calls = [
                stub(channel).Subscribe(
                    pb.SubscribeRequest(feed="up.Ticks", start=oldest if at % 2 else None)
                )
                for at in range(100)
            ]
            for at, call in enumerate(calls):
                if at % 3:
                    await call.read()
            server.feed.publish(1, 2, 3)
            for call in calls:
                call.cancel()
        keep.cancel()
        await server.until_idle()
        async with asyncio.timeout(HANG):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)
        shared = server.hub.find("up.Ticks")
        assert shared.subscriptions == shared.writing == shared.waiting == set()
        assert len(feed.readers) == 1, "only the lingering connection"


async def test_a_subscriber_that_leaves_in_a_blocked_write_is_gone() -> None:
    """P4: the write fails, and the place is given up."""
    async with feed_server() as server, server.channel(SMALL_WINDOW) as channel:
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks", overflow=_patient()))
        await call.read()
        await pour(server, 60, 60_000)
        shared = server.hub.find("up.Ticks")
        async with asyncio.timeout(HANG):
            while not shared.writing:
                await asyncio.sleep(0.01)
        call.cancel()
        await server.until_idle()
        assert not shared.writing
