"""FeedService over real loopback: listen, share, tell."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from feed_rig import ScriptedFeed
from feed_server import FeedServer, feed_server, first_batch, reason_of
from google.protobuf.duration_pb2 import Duration

from interlace.v1 import event_pb2, feed_service_pb2_grpc
from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.feed import HubSettings
from interlaced.testing.fault_proxy import FaultProxy

HANG = 10


def stub(channel: grpc.aio.Channel) -> Any:
    return feed_service_pb2_grpc.FeedServiceStub(channel)


async def status_of(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """How a stream ends."""

    async def read() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    async with asyncio.timeout(HANG):
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read()
    reason, metadata = reason_of(ended.value)
    return ended.value.code(), reason, metadata


def opening(feed: str = "mem.Jobs", credit: int = 10, group: str = "g") -> pb.ConsumeRequest:
    return pb.ConsumeRequest(open=pb.ConsumeOpen(feed=feed, group=group, credit=credit))


def settle(*verdicts: pb.Settlement) -> pb.ConsumeRequest:
    return pb.ConsumeRequest(settle=pb.ConsumeSettle(settlements=verdicts))


async def publish(server: FeedServer, channel: grpc.aio.Channel, *ids: str) -> pb.PublishResponse:
    events = [event_pb2.Event(id=one, source="/t", type="job", data=one.encode()) for one in ids]
    return await stub(channel).Publish(pb.PublishRequest(sink="mem.Jobs", events=events))


async def test_events_arrive_whole_and_a_cursor_resumes_exclusively_after_it() -> None:
    async with feed_server() as server, server.channel() as channel:
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks"))
        hello = await call.read()
        assert hello.WhichOneof("frame") == "checkpoint"
        assert hello.cursor
        server.feed.publish(1, 2, subject="s", key="k")
        batch = await first_batch(call)
        assert [event.id for event in batch.batch.events] == ["e1", "e2"]
        event = batch.batch.events[0]
        assert (event.subject, event.key, event.data, len(event.position)) == ("s", "k", b"1", 8)
        call.cancel()
        server.feed.publish(3)
        start = pb.StartPosition(cursor=batch.cursor)
        again = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks", start=start))
        assert [event.id for event in (await first_batch(again)).batch.events] == ["e3"]
        again.cancel()
        await server.until_idle()
        assert server.encoded == ["e1", "e2", "e3"]


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.SubscribeRequest(feed="no.Feed"), grpc.StatusCode.NOT_FOUND, "UNKNOWN_FEED"),
        (pb.SubscribeRequest(), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (
            pb.SubscribeRequest(feed="up.Ticks", overflow=pb.Overflow(buffer=10**6)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        ),
        (
            pb.SubscribeRequest(feed="up.Ticks", heartbeat=Duration(seconds=301)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "INVALID_REQUEST",
        ),
        (
            pb.SubscribeRequest(feed="up.Ticks", start=pb.StartPosition(cursor="nonsense")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "BAD_CURSOR",
        ),
    ],
)
async def test_a_wrong_subscription_says_what_is_wrong(
    request_: pb.SubscribeRequest, code: grpc.StatusCode, reason: str
) -> None:
    async with feed_server() as server, server.channel() as channel:
        got, why, _ = await status_of(stub(channel).Subscribe(request_))
        assert (got, why) == (code, reason)


async def test_a_cursor_under_another_filter_or_feed_is_a_mismatch() -> None:
    """P8: it would silently skip."""
    async with feed_server() as server, server.channel() as channel:
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks"))
        start = pb.StartPosition(cursor=(await call.read()).cursor)
        call.cancel()
        only = pb.Filter(type=pb.StringMatch(exact="x"))
        for request in (
            pb.SubscribeRequest(feed="up.Ticks", start=start, filter=only),
            pb.SubscribeRequest(feed="mem.Log", start=start),
        ):
            code, reason, _ = await status_of(stub(channel).Subscribe(request))
            assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CURSOR_MISMATCH")


async def test_an_expired_cursor_fails_with_the_oldest_if_that_was_asked_for() -> None:
    async with feed_server(ring_events=5) as server, server.channel() as channel:
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks"))
        start = pb.StartPosition(cursor=(await call.read()).cursor)
        for number in range(50):
            server.feed.publish(number)
            assert (await first_batch(call)).batch.events[0].id == f"e{number}"
        request = pb.SubscribeRequest(feed="up.Ticks", start=start, on_expired=pb.ON_EXPIRED_FAIL)
        code, reason, metadata = await status_of(stub(channel).Subscribe(request))
        assert (code, reason) == (grpc.StatusCode.OUT_OF_RANGE, "CURSOR_EXPIRED")
        request.start.cursor = metadata["oldest"]
        again = stub(channel).Subscribe(request)
        assert (await first_batch(again)).batch.events[0].id == "e45"
        request = pb.SubscribeRequest(feed="up.Ticks", start=start)
        third = stub(channel).Subscribe(request)
        await third.read()
        gap = await third.read()
        assert gap.gap.why == pb.GAP_REASON_EXPIRED
        for one in (call, again, third):
            one.cancel()


async def test_the_end_of_a_feed_is_ok() -> None:
    async with feed_server() as server, server.channel() as channel:
        call = stub(channel).Subscribe(pb.SubscribeRequest(feed="up.Ticks"))
        await call.read()
        server.feed.publish(1)
        server.feed.finish()
        assert (await first_batch(call)).batch.events[0].id == "e1"
        async with asyncio.timeout(HANG):
            assert await call.read() is grpc.aio.EOF
        assert await call.code() is grpc.StatusCode.OK


async def test_50_streams_are_told_to_go_away_and_end_at_once() -> None:
    """F22: inside the drain's limit, each with a cursor."""
    async with feed_server() as server, server.channel() as channel:
        request = pb.SubscribeRequest(feed="up.Ticks")
        calls = [stub(channel).Subscribe(request) for _ in range(50)]
        member = stub(channel).Consume()
        await member.write(opening())
        await member.read()
        for call in calls:
            await call.read()
        server.guard.begin_drain()
        async with asyncio.timeout(HANG):
            await server.hub.drain(1.0)
        for call in calls:
            frame = await call.read()
            assert frame.going_away.reconnect_after.seconds >= 1
            code, reason, metadata = await status_of(call)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
            assert metadata["cursor"] == frame.cursor
        assert (await member.read()).HasField("going_away")
        code, reason, _ = await status_of(member)
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_a_member_acks_nacks_and_rejects_and_wrong_tags_harm_nothing() -> None:
    """F25 on the memory kind."""
    async with feed_server() as server, server.channel() as channel:
        member = stub(channel).Consume()
        await member.write(opening())
        assert (await member.read()).WhichOneof("frame") == "checkpoint"
        published = await publish(server, channel, "a", "b", "c")
        assert [outcome.HasField("status") for outcome in published.outcomes] == [False] * 3
        tags: dict[str, int] = {}
        while len(tags) < 3:
            for one in (await member.read()).deliveries.deliveries:
                tags[one.event.id] = one.tag
                assert one.attempt == 1
        await member.write(
            settle(
                pb.Settlement(tag=tags["a"], ack=pb.Ack()),
                pb.Settlement(tag=tags["a"], ack=pb.Ack()),
                pb.Settlement(tag=999, ack=pb.Ack()),
                pb.Settlement(tag=tags["b"], nack=pb.Nack(delay=Duration())),
                pb.Settlement(tag=tags["c"], reject=pb.Reject(cause="broken")),
            )
        )
        frames = [await member.read() for _ in range(2)]
        (results,) = [list(frame.results.results) for frame in frames if frame.HasField("results")]
        assert [one.status.code for one in results] == [0, 0, 3, 0, 0]
        (again,) = [one for frame in frames for one in frame.deliveries.deliveries]
        assert (again.event.id, again.attempt) == ("b", 2)
        dead = stub(channel).Subscribe(
            pb.SubscribeRequest(
                feed="mem.Jobs.dead", start=pb.StartPosition(oldest=pb.StartOldest())
            )
        )
        letter = (await first_batch(dead)).batch.events[0]
        assert letter.id == "c"
        assert letter.attributes["interlacecause"] == "broken"
        dead.cancel()
        await member.done_writing()
        async with asyncio.timeout(HANG):
            assert await member.read() is grpc.aio.EOF
        assert await member.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("how", ["cancel", "cut"])
async def test_what_a_member_leaves_unsettled_goes_to_another_at_once(how: str) -> None:
    """F26: whether it says goodbye or its connection is reset; long before its lease
    of 30 s is over."""
    async with (
        feed_server() as server,
        FaultProxy("127.0.0.1", server.port) as proxy,
        grpc.aio.insecure_channel(f"127.0.0.1:{proxy.port}") as cuttable,
        server.channel() as channel,
    ):
        first = stub(cuttable).Consume()
        await first.write(opening("mem.Log", credit=1))
        await first.read()
        event = event_pb2.Event(id="a", source="/t", type="job")
        await stub(channel).Publish(pb.PublishRequest(sink="mem.Log", events=[event]))
        assert (await first.read()).deliveries.deliveries[0].event.id == "a"
        if how == "cut":
            proxy.cut()
        else:
            first.cancel()
        second = stub(channel).Consume()
        await second.write(opening("mem.Log"))
        await second.read()
        async with asyncio.timeout(HANG):
            (again,) = (await second.read()).deliveries.deliveries
        assert (again.event.id, again.attempt) == ("a", 2)
        second.cancel()
        await server.until_idle()


@pytest.mark.parametrize(
    ("first", "code", "reason"),
    [
        (settle(), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (opening(credit=0), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (opening(group="a b"), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        (opening(feed="up.Ticks"), grpc.StatusCode.FAILED_PRECONDITION, "NOT_ACKABLE"),
        (opening(feed="no.Feed"), grpc.StatusCode.NOT_FOUND, "UNKNOWN_FEED"),
    ],
)
async def test_a_wrong_beginning_of_consume_says_what_is_wrong(
    first: pb.ConsumeRequest, code: grpc.StatusCode, reason: str
) -> None:
    async with feed_server() as server, server.channel() as channel:
        member = stub(channel).Consume()
        await member.write(first)
        assert (await status_of(member))[:2] == (code, reason)


async def test_a_second_open_ends_the_stream() -> None:
    async with feed_server() as server, server.channel() as channel:
        member = stub(channel).Consume()
        await member.write(opening())
        await member.read()
        await member.write(opening())
        assert (await status_of(member))[1] == "INVALID_REQUEST"
        await server.until_idle()


async def test_a_consume_without_a_word_is_invalid() -> None:
    async with feed_server() as server, server.channel() as channel:
        member = stub(channel).Consume()
        await member.done_writing()
        assert (await status_of(member))[1] == "INVALID_REQUEST"


async def test_publish_checks_its_limits_and_knows_repeats() -> None:
    async with feed_server() as server, server.channel() as channel:
        first = await publish(server, channel, "a")
        again = await publish(server, channel, "a")
        assert [first.outcomes[0].duplicate, again.outcomes[0].duplicate] == [False, True]
        assert first.outcomes[0].position
        for request, reason in (
            (pb.PublishRequest(sink="mem.Jobs"), "INVALID_REQUEST"),
            (pb.PublishRequest(sink="no.Sink", events=[event_pb2.Event()]), "UNKNOWN_FEED"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub(channel).Publish(request)
            assert reason_of(refused.value)[0] == reason


async def test_heartbeats_keep_an_idle_stream_alive() -> None:
    """P34: the application speaks though nothing happens."""
    settings = HubSettings(min_heartbeat=0.05)
    async with feed_server(ScriptedFeed(), hub=settings) as server, server.channel() as channel:
        request = pb.SubscribeRequest(feed="up.Ticks", heartbeat=Duration(nanos=50_000_000))
        call = stub(channel).Subscribe(request)
        async with asyncio.timeout(HANG):
            frames = [await call.read() for _ in range(4)]
        assert all(frame.HasField("checkpoint") and frame.cursor for frame in frames)
        call.cancel()
