"""Feeds and the embedded broker stay one with two workers, as real processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import nats
import pytest
from group_rig import Group, group, until
from nats_server import NatsServer
from websocket_rig import ScriptedServer, scripted, tick
from websockets.asyncio.server import ServerConnection

from interlace import Event
from interlace.v1 import feed_service_pb2 as pb
from interlace.v1.feed_service_pb2_grpc import FeedServiceStub

MARKET = """
interlace: 1
connector: market
upstream:
  websocket: URL
  allow_private: [127.0.0.1/32]
  pace: 10ms
  reconnect: 10ms..100ms
feeds:
  Ticks:
    match: {"$.op": tick}
    key: $.symbol
    retain: 1s
"""
DESK = """
interlace: 1
connector: desk
upstream: {memory: desk}
feeds: {Orders: {ack: {wait: 2s, max_deliver: 3}, retain: 1s}}
sinks: {Orders: {}}
"""
BUS = """
interlace: 1
connector: bus
upstream: {nats: URL}
streams:
  ORDERS: {subjects: ["orders.>"]}
feeds:
  Orders: {stream: ORDERS, subject: orders.>, retain: 1s}
sinks:
  Orders: {subject: orders.new, stream: ORDERS}
"""
RECONNECTED = pb.GAP_REASON_RECONNECTED


class Market:
    """A WebSocket upstream that tells everyone the same."""

    def __init__(self) -> None:
        self.sockets: set[ServerConnection] = set()
        self.server: ScriptedServer | None = None
        self.most = 0

    async def script(self, socket: ServerConnection) -> None:
        self.sockets.add(socket)
        self.most = max(self.most, len(self.sockets))
        try:
            await socket.wait_closed()
        finally:
            self.sockets.discard(socket)

    async def tell(self, *numbers: int) -> None:
        for number in numbers:
            for socket in tuple(self.sockets):
                await socket.send(tick("A", number))


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    told = Market()
    async with scripted(told.script) as server:
        told.server = server
        yield told


def manifest(market: Market) -> dict[str, str]:
    assert market.server is not None
    return {"market.yaml": MARKET.replace("URL", market.server.url)}


def event(number: int) -> Event:
    return Event(data=json.dumps({"seq": number}).encode(), id=f"e{number}", source="/t", type="t")


async def publish(running: Group, worker: int, feed: str, *numbers: int) -> None:
    """Publishes at one worker."""
    channel = await running.connect(worker)
    request = pb.PublishRequest(sink=feed, events=[event(each).message() for each in numbers])
    answer = await FeedServiceStub(channel).Publish(request)
    assert not any(one.HasField("status") for one in answer.outcomes)
    await channel.close()


async def test_an_upstream_sees_one_connection_whoever_listens(
    tmp_path: Path, market: Market
) -> None:
    async with group(tmp_path, manifest(market)) as running:
        hearers = [await running.hear(worker, "market.Ticks") for worker in (0, 1, 0, 1)]
        await market.tell(*range(200))
        for hearer in hearers:
            await until(lambda one=hearer: len(one.got) == 200)  # type: ignore[misc]  # bound
            assert hearer.got == list(range(200))
        assert market.most == 1
        assert market.server is not None
        assert market.server.connections == 1
        assert hearers[0].cursors[-1] == hearers[1].cursors[-1]
        for hearer in hearers:
            await hearer.close()
        await until(lambda: not market.sockets, "an idle feed is not connected")


async def test_another_takes_over_from_an_owner_that_is_killed_and_says_so(
    tmp_path: Path, market: Market
) -> None:
    async with group(tmp_path, manifest(market)) as running:
        first = await running.hear(0, "market.Ticks")
        second = await running.hear(1, "market.Ticks")
        await market.tell(1, 2)
        await until(lambda: first.got == second.got == [1, 2])
        running.kill(0)
        await until(lambda: second.gaps == [RECONNECTED] and len(market.sockets) == 1, "a gap")
        await market.tell(3, 4)
        await until(lambda: second.got == [1, 2, 3, 4])
        assert market.most == 1


async def test_another_takes_over_from_an_owner_that_stands_still(
    tmp_path: Path, market: Market
) -> None:
    async with group(tmp_path, manifest(market), arguments=("--hung-after", "3")) as running:
        await running.hear(0, "market.Ticks")
        second = await running.hear(1, "market.Ticks")
        await market.tell(1, 2)
        await until(lambda: second.got == [1, 2])
        os.kill(running.workers[0], signal.SIGSTOP)
        await until(lambda: second.gaps == [RECONNECTED] and len(market.sockets) == 1, "a gap")
        await market.tell(3, 4)
        await until(lambda: second.got == [1, 2, 3, 4])
        assert market.most == 1


async def test_a_cursor_of_one_worker_resumes_on_the_other(tmp_path: Path, market: Market) -> None:
    async with group(tmp_path, manifest(market)) as running:
        first = await running.hear(0, "market.Ticks")
        await market.tell(1, 2)
        await until(lambda: first.got == [1, 2])
        cursor = first.cursors[-1]
        await market.tell(3, 4)
        await until(lambda: first.got == [1, 2, 3, 4])
        second = await running.hear(1, "market.Ticks", cursor)
        await until(lambda: second.got == [3, 4])
        assert second.gaps == []


async def test_a_worker_that_stands_still_does_not_hold_the_others_up(
    tmp_path: Path, market: Market
) -> None:
    async with group(tmp_path, manifest(market)) as running:
        first = await running.hear(0, "market.Ticks")
        second = await running.hear(1, "market.Ticks")
        os.kill(running.workers[1], signal.SIGSTOP)
        try:
            await market.tell(*range(3000))
            await until(lambda: len(first.got) == 3000)
        finally:
            os.kill(running.workers[1], signal.SIGCONT)
        await until(lambda: bool(second.got) and second.got[-1] == 2999)
        assert second.got == list(range(3000)), "the ring held what it missed"


async def test_the_memory_broker_is_one_and_outlives_a_worker(tmp_path: Path) -> None:
    async with group(tmp_path, {"desk.yaml": DESK}) as running:
        first = await running.hear(0, "desk.Orders")
        second = await running.hear(1, "desk.Orders")
        await publish(running, 0, "desk.Orders", *range(5))
        await publish(running, 1, "desk.Orders", *range(3, 10))  # 3 and 4 again: duplicates
        await until(lambda: len(first.got) == len(second.got) == 10)
        running.kill(0)
        await publish(running, 1, "desk.Orders", *range(10, 15))
        await until(lambda: len(second.got) == 15)
        assert second.got == list(range(15))
        assert second.gaps == []


async def test_what_is_published_at_one_worker_is_consumed_at_the_other(tmp_path: Path) -> None:
    async with group(tmp_path, {"desk.yaml": DESK}) as running:
        await publish(running, 0, "desk.Orders", *range(20))
        got: list[int] = []
        channels = [await running.connect(worker) for worker in (0, 1)]

        async def work(channel: grpc.aio.Channel) -> None:
            stream = FeedServiceStub(channel).Consume()
            opening = pb.ConsumeOpen(feed="desk.Orders", group="work", credit=4)
            await stream.write(pb.ConsumeRequest(open=opening))
            async for frame in stream:
                for delivery in frame.deliveries.deliveries:
                    got.append(json.loads(delivery.event.data)["seq"])
                    verdict = pb.Settlement(tag=delivery.tag, ack=pb.Ack())
                    settle = pb.ConsumeSettle(settlements=[verdict])
                    await stream.write(pb.ConsumeRequest(settle=settle))

        tasks = [asyncio.create_task(work(channel)) for channel in channels]
        await until(lambda: len(got) >= 20)
        assert sorted(got) == list(range(20))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for channel in channels:
            await channel.close()


async def test_nats_is_read_once_and_a_takeover_loses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    with NatsServer(tmp_path / "nats") as server:
        async with group(tmp_path, {"bus.yaml": BUS.replace("URL", server.url)}) as running:
            first = await running.hear(0, "bus.Orders")
            second = await running.hear(1, "bus.Orders")
            await publish(running, 1, "bus.Orders", *range(50))
            await until(lambda: len(first.got) == len(second.got) == 50)
            link = await nats.connect(server.url)
            info = await link.jetstream().stream_info("ORDERS")
            assert info.state.consumer_count == 1
            await link.close()
            running.kill(0)
            await publish(running, 1, "bus.Orders", *range(50, 80))
            await until(lambda: len(second.got) >= 80)
            assert second.got == list(range(80))
            assert second.gaps == []
