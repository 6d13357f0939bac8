"""Shutdown, in the order that loses nothing, inside its limit (P7)."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from served import process

from interlace import Client, Event, InterlaceError, Unavailable
from interlace.v1 import feed_service_pb2 as pb
from interlace.v1.feed_service_pb2_grpc import FeedServiceStub

MANIFEST = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Slow: {reply: {ok: true}, delay: 3s}
feeds: {Orders: {ack: {wait: 30s, max_deliver: 3}}}
sinks: {Orders: {}}
"""
DRAIN = 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    (place / "desk.yaml").write_text(MANIFEST)
    return place


async def test_p7_fifty_endless_streams_do_not_hold_it_and_each_gets_a_cursor(
    folder: Path, tmp_path: Path
) -> None:
    arguments = ("serve", "--config", str(folder), "--drain", str(DRAIN))
    async with process(*arguments, folder=tmp_path) as service:
        async with grpc.aio.insecure_channel(service.addresses.grpc) as channel:
            stub = FeedServiceStub(channel)
            streams = [stub.Subscribe(pb.SubscribeRequest(feed="desk.Orders")) for _ in range(50)]
            for stream in streams:
                assert (await stream.read()).WhichOneof("frame") == "checkpoint"
            service.send(signal.SIGTERM)
            endings = await asyncio.gather(*(last_frame(stream) for stream in streams))
            assert await service.wait(DRAIN + 5) == 0
        assert [frame.WhichOneof("frame") for frame in endings] == ["going_away"] * 50
        assert all(frame.cursor for frame in endings)


async def last_frame(stream) -> pb.SubscribeResponse:
    """Reads a stream to its end."""
    last = None
    try:
        while (frame := await stream.read()) is not grpc.aio.EOF:
            last = frame
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert last is not None
    return last


async def test_what_is_in_flight_ends_and_what_is_new_is_refused_with_draining(
    folder: Path, tmp_path: Path
) -> None:
    arguments = ("serve", "--config", str(folder), "--drain", str(DRAIN))
    async with (
        process(*arguments, folder=tmp_path) as service,
        Client(service.addresses.grpc) as client,
    ):
        under_way = [asyncio.create_task(client.call("desk", "Slow")) for _ in range(20)]
        await in_flight(service.addresses.admin, 20)
        service.send(signal.SIGTERM)
        await not_ready(service.addresses.admin)
        with pytest.raises(Unavailable) as refused:
            await client.call("desk", "Slow")
        assert refused.value.reason in ("DRAINING", "")
        results = await asyncio.gather(*under_way)
        assert [result.json() for result in results] == [{"ok": True}] * 20
        assert await service.wait(DRAIN + 5) == 0


async def in_flight(admin: str, count: int) -> None:
    """Waits until so many calls are being served."""
    wanted = f'interlace_rpc_active{{rpc_method="interlace.v1.GatewayService/Call"}} {count}.0'
    async with aiohttp.ClientSession(admin) as session, asyncio.timeout(20):
        while wanted not in await page(session, "/metrics"):
            await asyncio.sleep(0.02)


async def not_ready(admin: str) -> None:
    """Waits until the drain has begun."""
    async with aiohttp.ClientSession(admin) as session, asyncio.timeout(20):
        while await page(session, "/readyz") == "ready\n":
            await asyncio.sleep(0.02)


async def page(session: aiohttp.ClientSession, path: str) -> str:
    async with session.get(path) as answer:
        return await answer.text()


async def test_a_second_signal_ends_it_at_once(folder: Path, tmp_path: Path) -> None:
    arguments = ("serve", "--config", str(folder), "--drain", "60")
    async with (
        process(*arguments, folder=tmp_path) as service,
        Client(service.addresses.grpc) as client,
    ):
        call = asyncio.create_task(client.call("desk", "Slow", timeout=20))
        await in_flight(service.addresses.admin, 1)
        service.send(signal.SIGTERM)
        await not_ready(service.addresses.admin)
        service.send(signal.SIGTERM)
        assert await service.wait(10) == -signal.SIGTERM
        with pytest.raises(InterlaceError):
            await call


async def test_unsettled_deliveries_are_not_dead_lettered_by_a_shutdown(
    folder: Path, tmp_path: Path
) -> None:
    arguments = ("serve", "--config", str(folder), "--drain", str(DRAIN))
    async with (
        process(*arguments, folder=tmp_path) as service,
        Client(service.addresses.grpc) as client,
    ):
        await client.publish(
            "desk.Orders", [Event(id=str(n), source="t", type="t") for n in range(5)]
        )
        dead = asyncio.create_task(first(client, "desk.Orders.dead"))
        async with client.consume("desk.Orders", "workers", credit=5, reconnect=None) as deliveries:
            async for delivery in deliveries:
                assert delivery.attempt == 1
                break
            service.send(signal.SIGTERM)
            assert await service.wait(DRAIN + 5) == 0
        assert not dead.done()
        dead.cancel()
        await asyncio.gather(dead, return_exceptions=True)


async def first(client: Client, feed: str) -> object:
    async with client.subscribe(feed) as events:
        async for item in events:
            return item
    return None
