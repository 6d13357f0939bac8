"""Every load counts right answers alone; whatever else comes is an error, never a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc
import pytest
from benchmarks.load.alarm import Alarm
from benchmarks.load.bodies import body
from benchmarks.load.driver import Driver
from benchmarks.load.http2 import Connection, connect
from benchmarks.load.session import SessionLoad, item
from benchmarks.load.subscribe import FeedLoad, FeedShape
from benchmarks.load.unary import ClosedLoop, OpenLoop
from benchmarks.service import requests

from interlace.v1 import event_pb2, payload_pb2
from interlace.v1 import feed_service_pb2 as feed
from interlace.v1 import gateway_service_pb2 as pb

ANSWER = body("json", requests.SMALL)
GOOD = pb.CallResponse(payload=payload_pb2.Payload(data=ANSWER)).SerializeToString()
Handlers = dict[str, Any]


@asynccontextmanager
async def server(service: str, handlers: Handlers) -> AsyncIterator[str]:
    """A real gRPC server with raw handlers."""
    running = grpc.aio.server()
    running.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(f"interlace.v1.{service}", handlers),)
    )
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await running.stop(0)


def unary(answer: Callable[[bytes, Any], Awaitable[bytes]]) -> Handlers:
    return {"Call": grpc.unary_unary_rpc_method_handler(answer)}


async def run(load: Driver, least: int = 20) -> None:
    """Runs a load until that many calls came back, well or not, and stops it."""
    await load.start()
    async with asyncio.timeout(30):
        while load.tally.done + load.tally.errors < least:
            await asyncio.sleep(0.005)
    await load.stop()


async def closed(address: str) -> ClosedLoop:
    return ClosedLoop([await connect(address)], requests.call(), in_flight=4)


async def test_right_answers_are_calls() -> None:
    async def answer(request: bytes, _context: Any) -> bytes:
        assert pb.CallRequest.FromString(request).call.operation == "Get"
        return GOOD

    async with server("GatewayService", unary(answer)) as address:
        load = await closed(address)
        await run(load)
        assert load.tally.errors == 0
        assert len(load.tally.latencies) == load.tally.done >= 20


async def test_a_status_that_is_not_ok_is_an_error_with_its_text() -> None:
    async def answer(_request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        raise AssertionError

    async with server("GatewayService", unary(answer)) as address:
        load = await closed(address)
        await run(load, 5)
        assert load.tally.done == 0
        assert load.tally.told[0] == "grpc-status 14 away"


async def test_a_status_that_is_not_ok_behind_a_right_answer_is_an_error() -> None:
    async def answer(_request: bytes, context: Any) -> bytes:
        context.set_code(grpc.StatusCode.INTERNAL)
        return GOOD

    async with server("GatewayService", unary(answer)) as address:
        load = await closed(address)
        await run(load, 5)
        assert load.tally.done == 0


async def test_another_answer_is_an_error() -> None:
    async def answer(_request: bytes, _context: Any) -> bytes:
        return GOOD.replace(b"Item", b"Iten")

    async with server("GatewayService", unary(answer)) as address:
        load = await closed(address)
        await run(load, 5)
        assert load.tally.done == 0
        assert load.tally.told[0] == "not the answer that was expected"


async def test_a_lost_connection_is_an_error_for_all_that_is_under_way() -> None:
    async def answer(_request: bytes, _context: Any) -> bytes:
        await asyncio.Event().wait()
        return GOOD

    async with server("GatewayService", unary(answer)) as address:
        connection = await connect(address)
        load = ClosedLoop([connection], requests.call(), in_flight=4)
        await load.start()
        await asyncio.sleep(0.05)
        connection.close()
        await load.stop()
        assert load.tally.errors >= 4
        assert load.tally.done == 0


async def test_large_messages_pass_whole_in_both_directions() -> None:
    large = b"x" * 1_500_000

    async def answer(request: bytes, _context: Any) -> bytes:
        return request

    async with server("GatewayService", unary(answer)) as address:
        base = requests.call()
        request = type(base)(base.path, large, lambda message: message == large)
        load = ClosedLoop([await connect(address)], request, in_flight=2)
        await run(load, 6)
        assert load.tally.told == []


async def test_an_open_loop_counts_latency_from_the_planned_time() -> None:
    """The load is held up once, and everything else with it: what should have been sent meanwhile
    is sent afterwards at once, but its callers have waited since the planned moment."""
    stall: list[float] = []

    async def answer(_request: bytes, _context: Any) -> bytes:
        if not stall:
            stall.append(time.perf_counter())
            time.sleep(0.3)  # noqa: ASYNC251  # holds up the loop of the load, on purpose
            stall.append(time.perf_counter())
        return GOOD

    async with server("GatewayService", unary(answer)) as address:
        load = OpenLoop([await connect(address)], requests.call(), rate=500)
        await run(load, 200)
        tally, (since, until) = load.tally, stall
        assert tally.errors == 0
        assert tally.offered == 500
        held_up = [
            (planned, latency)
            for planned, latency in zip(tally.begun, tally.latencies, strict=True)
            if since <= planned < until
        ]
        assert len(held_up) == pytest.approx((until - since) * 500, abs=1)
        assert all(latency >= until - planned for planned, latency in held_up)
        late = [late for planned, late in tally.planned if since <= planned < until]
        assert max(late) == pytest.approx(until - since, rel=0.5)
        assert len(late) == len(held_up)


async def test_a_caller_without_patience_tells_the_server_so() -> None:
    told: list[float | None] = []

    async def answer(_request: bytes, context: Any) -> bytes:
        told.append(context.time_remaining())
        return GOOD

    async with server("GatewayService", unary(answer)) as address:
        for patience in (0.0, 20.0):
            request = replace(requests.call(), patience=patience)
            await run(ClosedLoop([await connect(address)], request, in_flight=1), 3)
    assert told[0] is None
    assert told[-1] is not None
    assert 0 < told[-1] <= 20


async def test_an_alarm_rings_at_its_moment_and_never_once_closed() -> None:
    rung: list[float] = []
    alarm = Alarm(lambda: rung.append(time.perf_counter()))
    at = time.perf_counter() + 0.0015
    alarm.set(at)
    while not rung:
        await asyncio.sleep(0.001)
    assert rung[0] >= at
    alarm.set(time.perf_counter() - 1.0)  # over already: at once
    while len(rung) < 2:
        await asyncio.sleep(0)
    alarm.set(time.perf_counter())
    alarm.close()
    alarm.close()
    await asyncio.sleep(0.01)
    assert len(rung) == 2


def session(reply: Callable[[int], pb.SessionReply]) -> Handlers:
    async def serve(messages: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        yield pb.SessionResponse(limits=pb.SessionLimits(in_flight=256)).SerializeToString()
        async for message in messages:
            items = pb.SessionRequest.FromString(message).items
            assert all(one.call.operation == "Get" for one in items)
            replies = [reply(one.id) for one in items]
            yield pb.SessionResponse(replies=replies).SerializeToString()

    return {"Session": grpc.stream_stream_rpc_method_handler(serve)}


def good_reply(number: int) -> pb.SessionReply:
    reply = pb.SessionReply(id=number)
    reply.outcome.payload.data = ANSWER
    return reply


async def session_load(address: str, *, is_batched: bool = True) -> SessionLoad:
    call = requests.one_call().SerializeToString()
    connection = await connect(address)
    return SessionLoad(connection, call, ANSWER, in_flight=8, is_batched=is_batched)


@pytest.mark.parametrize("is_batched", [True, False])
async def test_a_session_counts_right_replies(is_batched: bool) -> None:
    async with server("GatewayService", session(good_reply)) as address:
        load = await session_load(address, is_batched=is_batched)
        await run(load, 500)  # beyond the first window of 64 kB
        assert load.tally.told == []
        load.close()


async def test_a_failed_reply_in_a_session_is_an_error() -> None:
    def bad(number: int) -> pb.SessionReply:
        reply = pb.SessionReply(id=number)
        reply.outcome.status.code = 14
        return reply

    async with server("GatewayService", session(bad)) as address:
        load = await session_load(address)
        await run(load, 5)
        assert load.tally.done == 0
        load.close()


async def test_a_reply_to_no_call_is_an_error() -> None:
    async with server("GatewayService", session(lambda n: good_reply(n + 1_000))) as address:
        load = await session_load(address)
        await load.start()
        async with asyncio.timeout(30):
            while not load.tally.errors:
                await asyncio.sleep(0.005)
        assert load.tally.told[0] == "a reply to no call"
        load.close()


def test_items_put_together_are_one_request() -> None:
    call = requests.one_call().SerializeToString()
    request = pb.SessionRequest.FromString(item(1, call) + item(300, call))
    assert [one.id for one in request.items] == [1, 300]
    assert request.items[1].call == requests.one_call()


class Topic:
    """A feed that a test may spoil: `change` has the frames that a subscriber gets for one."""

    def __init__(self, change: Callable[[list[event_pb2.Event]], list[event_pb2.Event]]) -> None:
        self.change = change
        self.queues: list[asyncio.Queue[bytes]] = []

    async def publish(self, message: bytes, _context: Any) -> bytes:
        events = list(feed.PublishRequest.FromString(message).events)
        is_probe = events[0].id.startswith("probe")
        found = events if is_probe else self.change(events)
        batch = feed.SubscribeResponse(batch=feed.EventBatch(events=found))
        for queue in self.queues:
            queue.put_nowait(batch.SerializeToString())
        outcomes = [feed.PublishOutcome() for _ in events]
        return feed.PublishResponse(outcomes=outcomes).SerializeToString()

    async def subscribe(self, _message: bytes, _context: Any) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.queues.append(queue)
        while True:
            yield await queue.get()

    def handlers(self) -> Handlers:
        return {
            "Publish": grpc.unary_unary_rpc_method_handler(self.publish),
            "Subscribe": grpc.unary_stream_rpc_method_handler(self.subscribe),
        }


async def feed_load(address: str, connections: list[Connection]) -> FeedLoad:
    connections += [await connect(address), await connect(address)]
    shape = FeedShape("f", "f", 3, batch=4, window=16)
    return FeedLoad(connections[:1], connections[1], shape)


async def test_events_that_follow_each_other_are_calls() -> None:
    async with server("FeedService", Topic(lambda events: events).handlers()) as address:
        load = await feed_load(address, [])
        await run(load, 300)
        assert load.tally.told == []
        assert load.tally.done % 3 == 0
        load.close()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda events: events[1:], id="one is lost"),
        pytest.param(lambda events: events[::-1], id="out of order"),
        pytest.param(lambda events: [*events, events[-1]], id="one comes twice"),
    ],
)
async def test_events_that_are_lost_or_out_of_order_are_errors(
    change: Callable[[list[event_pb2.Event]], list[event_pb2.Event]],
) -> None:
    async with server("FeedService", Topic(change).handlers()) as address:
        load = await feed_load(address, [])
        await load.start()
        async with asyncio.timeout(30):
            while not load.tally.errors:
                await asyncio.sleep(0.005)
        assert load.tally.told[0].startswith("event"), load.tally.told
        await load.stop()
        load.close()
