"""Subscriptions: in order, resumed by cursor, never a repeat, never a silent gap."""

from __future__ import annotations

import asyncio
import random

import pytest
from client_rig import QUICK, until

from interlace import (
    Client,
    CursorExpired,
    CursorRejected,
    Dropped,
    Event,
    Filter,
    Gap,
    GapReason,
    NotFound,
    Overflow,
    Prefix,
    SlowConsumer,
    Start,
    Subscription,
    Unavailable,
)
from interlace.testing import Failed, FakeServer
from interlace.v1 import feed_service_pb2 as pb
from interlaced.testing.fault_proxy import FaultProxy


async def take(events: Subscription, count: int) -> list[int]:
    """Takes so many events and returns their numbers."""
    numbers: list[int] = []
    async with asyncio.timeout(20):
        while len(numbers) < count:
            item = await anext(events)
            assert isinstance(item, Event), item
            numbers.append(item.json()["n"])
    return numbers


def numbered(*numbers: int) -> list[Event]:
    return [Event(id=str(n), source="test", type="t", data=b'{"n":%d}' % n) for n in numbers]


async def test_a_subscriber_gets_what_is_published_after_it_came(service: str) -> None:
    async with Client(service) as client, client.subscribe("desk.Orders") as events:
        first = asyncio.create_task(anext(events))
        await asyncio.sleep(0.3)
        await client.publish("desk.Orders", numbered(1, 2))
        item = await first
        assert isinstance(item, Event)
        assert (item.id, item.source, item.type, item.json()) == ("1", "test", "t", {"n": 1})
        assert await take(events, 1) == [2]
        assert events.cursor


async def test_a_subscription_starts_at_the_oldest_and_resumes_after_a_cursor(
    service: str,
) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(1, 2, 3))
        async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
            assert await take(events, 3) == [1, 2, 3]
            cursor = events.cursor
        await client.publish("desk.Orders", numbered(4))
        async with client.subscribe("desk.Orders", start=Start.after(cursor)) as events:
            assert await take(events, 1) == [4]


async def test_a_bookmark_inside_a_batch_repeats_nothing(service: str) -> None:
    """P8: who dies inside a batch sees none of it again."""
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(*range(10)))
        async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
            assert await take(events, 4) == [0, 1, 2, 3]
            bookmark = events.bookmark
        async with client.subscribe("desk.Orders", start=Start.after(bookmark)) as events:
            assert await take(events, 2) == [4, 5]
            bookmark = events.bookmark
        async with client.subscribe("desk.Orders", start=Start.after(bookmark)) as events:
            assert await take(events, 4) == [6, 7, 8, 9]
            assert events.bookmark.delivered == ()


async def test_a_cursor_alone_repeats_at_most_the_batch(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    feed.frame_size = 3
    feed.emit(*numbered(*range(6)))
    async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
        assert await take(events, 4) == [0, 1, 2, 3]
        cursor = events.cursor
    async with client.subscribe("desk.Orders", start=Start.after(cursor)) as events:
        assert await take(events, 3) == [3, 4, 5]


async def test_p8_a_hundred_killed_connections_lose_and_repeat_nothing(service: str) -> None:
    """P8: the union of what it got is what was published, and no gap goes unreported."""
    host, port = service.rsplit(":", 1)
    chance = random.Random(8)
    total = 1500
    async with (
        FaultProxy(host, int(port)) as proxy,
        Client(service) as publisher,
        Client(f"127.0.0.1:{proxy.port}") as client,
        client.subscribe(
            "desk.Orders", start=Start.oldest(), heartbeat=1, reconnect=QUICK
        ) as events,
    ):
        cuts = 0

        async def publish() -> None:
            for number in range(total):
                await publisher.publish("desk.Orders", numbered(number))

        async def cut() -> None:
            nonlocal cuts
            while cuts < 100:
                await asyncio.sleep(chance.uniform(0.005, 0.03))
                if proxy.connections:
                    proxy.cut()
                    cuts += 1

        async with asyncio.timeout(90), asyncio.TaskGroup() as group:
            group.create_task(publish())
            killer = group.create_task(cut())
            got = await group.create_task(take_slowly(events, total))
            await killer
        assert got == list(range(total))
        assert cuts == 100


async def take_slowly(events: Subscription, count: int) -> list[int]:
    numbers = []
    while len(numbers) < count:
        item = await anext(events)
        assert isinstance(item, Event), item
        numbers.append(item.json()["n"])
    return numbers


async def test_a_lost_connection_is_resumed_exclusively_after_what_was_received(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1, 2, 3))
    async with client.subscribe("desk.Orders", start=Start.oldest(), reconnect=QUICK) as events:
        assert await take(events, 1) == [1]  # the frame with 2 and 3 is here already
        feed.disconnect()
        feed.emit(*numbered(4))
        assert await take(events, 3) == [2, 3, 4]
    assert [request.start.WhichOneof("place") for request in feed.requests] == ["oldest", "cursor"]
    assert feed.requests[1].start.cursor.startswith("3@")


async def test_events_that_come_again_after_a_resume_are_dropped_by_position() -> None:
    """A service that repeats the last batch all the same is not believed."""
    frames = [
        batch(numbered(1, 2), "c2"),
        None,
        batch(numbered(2, 3), "c3"),
    ]
    events = Subscription("f", lambda request: ScriptedCall(frames), {"reconnect": QUICK})
    async with events:
        assert await take(events, 3) == [1, 2, 3]


async def test_a_gap_forgets_what_was_known_since_positions_may_begin_again() -> None:
    frames = [
        batch(numbered(1, 2), "c2"),
        None,
        pb.SubscribeResponse(gap=pb.Gap(why=pb.GAP_REASON_NEW_HISTORY), cursor="n0"),
        batch(numbered(1), "n1"),
    ]
    events = Subscription("f", lambda request: ScriptedCall(frames), {"reconnect": QUICK})
    async with events:
        assert await take(events, 2) == [1, 2]
        gap = await anext(events)
        assert isinstance(gap, Gap)
        assert gap.why is GapReason.NEW_HISTORY
        assert await take(events, 1) == [1]


async def test_frames_of_an_unknown_kind_move_the_cursor_alone() -> None:
    frames = [pb.SubscribeResponse(cursor="later"), batch(numbered(1), "c1")]
    events = Subscription("f", lambda request: ScriptedCall(frames), {})
    async with events:
        events._unpack(await events._next_frame())
        assert events.cursor == "later"
        assert await take(events, 1) == [1]


async def test_going_away_is_obeyed_to_the_time_and_costs_nothing(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with client.subscribe("desk.Orders", start=Start.oldest(), reconnect=QUICK) as events:
        assert await take(events, 1) == [1]
        feed.go_away(0.3)
        begun = asyncio.get_running_loop().time()
        more = asyncio.create_task(take(events, 1))
        await until(lambda: feed.subscribers == 0)
        feed.emit(*numbered(2))
        assert await more == [2]
        assert asyncio.get_running_loop().time() - begun >= 0.3
    assert len(feed.requests) == 2


async def test_the_time_to_come_back_stands_also_when_the_wait_is_cancelled(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders", reconnect=QUICK) as events:
        first = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.go_away(0.4)
        await until(lambda: feed.subscribers == 0)
        await asyncio.sleep(0.05)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        again = asyncio.create_task(anext(events))
        await asyncio.sleep(0.1)
        assert len(feed.requests) == 1
        await until(lambda: feed.subscribers == 1)
        feed.emit(*numbered(1))
        assert isinstance(await again, Event)


async def test_a_cancelled_wait_loses_no_event(server: FakeServer, client: Client) -> None:
    """Only an owned task reads: cancelling a caller inside it would kill the stream."""
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders") as events:
        for number in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(events)
            feed.emit(*numbered(number))
            assert await take(events, 1) == [number]
    assert len(feed.requests) == 1


async def test_gaps_and_drops_are_told(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders", reconnect=QUICK) as events:
        first = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.gap()
        gap = await first
        assert isinstance(gap, Gap)
        assert gap.why is GapReason.RECONNECTED
        feed.emit(*numbered(1, 2, 3))
        assert await take(events, 3) == [1, 2, 3]
        feed.drop(0)
        feed.drop(7)
        dropped = await anext(events)
        assert dropped == Dropped(7)


async def test_what_retention_took_is_a_gap_or_an_error_as_was_asked(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.frame_size = 1
    feed.emit(*numbered(1, 2, 3))
    async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
        await take(events, 1)
        start = Start.after(events.cursor)
    feed.forget(2)
    async with client.subscribe("desk.Orders", start=start) as events:
        gap = await anext(events)
        assert isinstance(gap, Gap)
        assert gap.why is GapReason.EXPIRED
        assert await take(events, 1) == [3]
    async with client.subscribe("desk.Orders", start=start, fails_when_expired=True) as events:
        with pytest.raises(CursorExpired):
            await anext(events)
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_p8_a_cursor_of_another_filter_or_a_forged_one_is_rejected(service: str) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(1))
        async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
            await take(events, 1)
            cursor = events.cursor
        other = client.subscribe("desk.Orders", start=Start.after(cursor), filter=Filter(key="k"))
        forged = client.subscribe("desk.Orders", start=Start.after("forged"))
        async with other, forged:
            with pytest.raises(CursorRejected) as mismatch:
                await anext(other)
            with pytest.raises(CursorRejected) as bad:
                await anext(forged)
    assert mismatch.value.reason == "CURSOR_MISMATCH"
    assert bad.value.reason == "BAD_CURSOR"


async def test_an_unknown_feed_is_not_asked_for_again(service: str) -> None:
    async with Client(service) as client, client.subscribe("desk.Nothing") as events:
        with pytest.raises(NotFound) as raised:
            await anext(events)
    assert raised.value.reason == "UNKNOWN_FEED"


async def test_a_slow_consumer_is_told_with_its_cursor(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders") as events:
        first = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.fail(Failed("SLOW_CONSUMER", "too slow", cursor="here"))
        with pytest.raises(SlowConsumer) as raised:
            await first
    assert raised.value.cursor == "here"


async def test_an_overloaded_service_is_asked_again_when_it_said(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.refuse(Failed("OVERLOADED", retry_after=0.2), Failed("DRAINING", retry_after=0.1))
    feed.emit(*numbered(1))
    begun = asyncio.get_running_loop().time()
    async with client.subscribe("desk.Orders", start=Start.oldest(), reconnect=QUICK) as events:
        assert await take(events, 1) == [1]
    assert asyncio.get_running_loop().time() - begun >= 0.3
    assert len(feed.requests) == 3


async def test_without_reconnect_the_error_is_raised(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders", reconnect=None) as events:
        first = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.disconnect()
        with pytest.raises(Unavailable):
            await first


async def test_patience_ends() -> None:
    async with Client("127.0.0.1:1") as client:
        impatient = type(QUICK)(initial=0.01, maximum=0.02, patience=0.2)
        async with client.subscribe("desk.Orders", reconnect=impatient) as events:
            with pytest.raises(Unavailable):
                await anext(events)


async def test_a_silent_service_counts_as_lost(server: FakeServer) -> None:
    """Three missed heartbeats: a peer that is gone without a FIN."""
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with (
        FaultProxy("127.0.0.1", server.port) as proxy,
        Client(f"127.0.0.1:{proxy.port}") as client,
    ):
        options = {"start": Start.oldest(), "reconnect": QUICK, "heartbeat": 0.1}
        async with client.subscribe("desk.Orders", **options) as events:
            assert await take(events, 1) == [1]
            from interlaced.testing.fault_proxy import Faults

            proxy.script(Faults(blackhole=True))
            more = asyncio.create_task(take(events, 1))
            await asyncio.sleep(0.5)
            proxy.heal()
            feed.emit(*numbered(2))
            assert await more == [2]
    assert len(feed.requests) >= 2


async def test_a_quiet_feed_with_heartbeats_is_not_lost(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.subscribe("desk.Orders", heartbeat=0.1) as events:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await anext(events)
    assert len(feed.requests) == 1


async def test_filter_and_overflow_travel(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    wanted = Filter(type=Prefix("a."), key="k")
    async with client.subscribe(
        "desk.Orders", filter=wanted, overflow=Overflow.block(2.5, buffer=7)
    ) as events:
        first = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.emit(Event(id="1", type="b", key="k"), Event(id="2", type="a.b", key="k"))
        event = await first
    assert isinstance(event, Event)
    assert event.id == "2"
    request = feed.requests[0]
    assert request.filter.type.prefix == "a."
    assert request.overflow.block.timeout.ToMilliseconds() == 2500
    assert request.overflow.buffer == 7


async def test_a_closed_subscription_ends_its_iteration(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1, 2))
    events = client.subscribe("desk.Orders", start=Start.oldest())
    await take(events, 1)
    await events.close()
    assert [item async for item in events] == []
    await until(lambda: feed.subscribers == 0)


def batch(events: list[Event], cursor: str) -> pb.SubscribeResponse:
    """A frame of events whose positions are their ids."""
    messages = []
    for event in events:
        message = event.message()
        message.position = event.id.encode()
        messages.append(message)
    return pb.SubscribeResponse(batch=pb.EventBatch(events=messages), cursor=cursor)


class ScriptedCall:
    """A call of gRPC's that yields frames off a shared list; None is its end."""

    def __init__(self, frames: list[pb.SubscribeResponse | None]) -> None:
        self._frames = frames

    async def read(self) -> object:
        import grpc

        if not self._frames:
            await asyncio.Event().wait()
        frame = self._frames.pop(0)
        return grpc.aio.EOF if frame is None else frame

    def cancel(self) -> None:
        """Ends it."""
