"""The fake server itself."""

from __future__ import annotations

import asyncio

import grpc

from interlace import Client, Event, InterlaceError
from interlace.testing import Failed, FakeServer


async def test_it_takes_a_free_port_and_gives_it_back() -> None:
    async with FakeServer() as one, FakeServer() as two:
        assert one.port != two.port
        assert one.target == f"127.0.0.1:{one.port}"
        port = one.port
    again = FakeServer()
    again.port = port
    async with again, Client(again.target) as client:
        again.on("shop", "Get", {"n": 1})
        assert (await client.call("shop", "Get")).json() == {"n": 1}


async def test_the_same_name_is_the_same_feed_and_the_same_sink(server: FakeServer) -> None:
    assert server.feed("a.B") is server.feed("a.B")
    assert server.sink("a.B") is server.sink("a.B")


async def test_a_sink_keeps_what_it_takes_and_fails_as_it_is_told(
    server: FakeServer, client: Client
) -> None:
    sink = server.sink("shop.Orders")
    sink.fail(None, Failed("STORE_FULL", retry_after=1))
    events = [Event(id=name, source="t", type="t") for name in ("1", "2", "3")]
    outcomes = await client.publish("shop.Orders", events)
    assert [outcome.is_ok for outcome in outcomes] == [True, False, True]
    assert outcomes[1].error is not None
    assert outcomes[1].error.reason == "STORE_FULL"
    assert [event.id for event in sink.events] == ["1", "3"]


async def test_the_catalog_is_what_was_scripted_page_by_page(
    server: FakeServer, client: Client
) -> None:
    for number in range(3):
        server.on(f"c{number}", "Get", {})
    server.feed("c0.Feed")
    server.sink("c0.Sink")
    connectors = await client.catalog()
    assert [connector.name for connector in connectors] == ["c0", "c1", "c2"]
    assert connectors[0].feeds[0].name == "Feed"
    assert connectors[0].sinks[0].name == "Sink"
    assert (await client.connector("c1")).operations[0].name == "Get"


async def test_health_can_be_asked_and_watched(server: FakeServer) -> None:
    async with grpc.aio.insecure_channel(server.target) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert await check(b"") == b"\x08\x01"
        assert await watch.read() == b"\x08\x01"
        server.set_healthy(False)
        assert await watch.read() == b"\x08\x02"
        assert await check(b"") == b"\x08\x02"
        watch.cancel()


async def test_it_stops_at_once_with_streams_open() -> None:
    async with asyncio.timeout(5):
        async with FakeServer() as server:
            server.feed("a.B")
            client = Client(server.target)
            waiting = asyncio.create_task(anext(client.subscribe("a.B", reconnect=None)))
            while not server.feed("a.B").subscribers:
                await asyncio.sleep(0.002)
        (ended,) = await asyncio.gather(waiting, return_exceptions=True)
        assert isinstance(ended, InterlaceError)
        await client.close()
