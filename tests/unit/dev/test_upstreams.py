from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib.resources import as_file
from random import Random

import aiohttp
import pytest
from websocket_rig import read_until

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Argument, Call, Delivery, Effort, Payload
from interlaced.core.ports import Start, Tools
from interlaced.dev.ticker import TickerSettings
from interlaced.dev.upstreams import Upstreams, manifests
from interlaced.manifest.build import Generation, build
from interlaced.manifest.load import load
from interlaced.resilience.admission import Admission
from interlaced.testing.fakes import make_tools


async def test_both_upstreams_stand_and_go_together() -> None:
    before = asyncio.all_tasks()
    async with Upstreams(clock=LoopClock(), random=Random(1)) as upstreams:
        assert set(upstreams.environment) == {"SHOP_URL", "TICKER_URL"}
        async with aiohttp.ClientSession() as session:
            url = upstreams.environment["SHOP_URL"]
            async with session.get(f"{url}/products/p001") as response:
                assert response.status == 200
            async with session.ws_connect(upstreams.environment["TICKER_URL"]) as socket:
                await socket.send_json({"op": "subscribe"})
                assert (await socket.receive_json())["op"] == "subscribed"
    assert asyncio.all_tasks() == before


async def test_they_share_one_chaos_and_nothing_else() -> None:
    async with Upstreams(clock=LoopClock(), random=Random(1)) as upstreams:
        assert list(upstreams.chaos.upstreams) == ["shop", "ticker"]
        upstreams.chaos.apply({"upstream": "shop", "status": 500})
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{upstreams.shop.url}/products") as response:
                assert response.status == 500
            async with session.ws_connect(upstreams.ticker.url):
                pass


def test_the_demo_manifests_are_in_the_package() -> None:
    names = {each.name for each in manifests().iterdir()}
    assert names == {"shop.yaml", "ticks.yaml", "orders.yaml", "policies.yaml"}


def demo(environment: Mapping[str, str], tools: Tools) -> Generation:
    with as_file(manifests()) as folder:
        loaded = load([folder], env=environment)
    return build(loaded, tools=tools, admission=Admission(100))


def a_call(connector: str, operation: str, **parameters: Argument) -> Call:
    now = asyncio.get_running_loop().time()
    return Call(
        connector=connector,
        operation=operation,
        parameters=parameters,
        deadline=now + 5,
        effort=Effort(started=now),
    )


async def test_the_demo_manifests_load_and_speak_to_the_upstreams() -> None:
    async with Upstreams(
        clock=LoopClock(), random=Random(1), ticks=TickerSettings(interval=0.01)
    ) as upstreams:
        generation = demo(upstreams.environment, make_tools())
        assert generation.warnings == ()
        assert set(generation.feeds()) == {
            "ticks.Ticks", "ticks.Acme", "orders.Orders", "orders.Orders.dead",
        }  # fmt: skip
        assert set(generation.sinks()) == {"orders.Orders"}
        for built in generation.built.values():
            await built.connector.open()
        routes = generation.routes()
        try:
            for operation, parameters in {
                "ListProducts": {"limit": 2},
                "GetProduct": {"id": "p001"},
                "SearchProducts": {"q": "lamp"},
                "GetInventory": {"id": "p001"},
                "SlowReport": {"seconds": 0.01},
            }.items():
                call = a_call("shop", operation, **parameters)
                reply = await routes["shop", operation](call)
                assert json.loads(reply.payload.data)
            order = a_call("shop", "CreateOrder")
            order.payload = Payload("application/json", b'{"product": "p001"}')
            order.idempotency_key = "k1"
            reply = await routes["shop", "CreateOrder"](order)
            number = json.loads(reply.payload.data)["id"]
            assert number in upstreams.shop.orders
            await routes["shop", "GetOrder"](a_call("shop", "GetOrder", id=number))

            reader = await generation.feeds()["ticks.Ticks"].feed.open(Start())
            acme = await generation.feeds()["ticks.Acme"].feed.open(Start())
            items = await read_until(reader, 5) + await read_until(acme, 1)
            assert all(isinstance(item, Delivery) for item in items)
            assert upstreams.ticker.connections == 1
            await reader.close()
            await acme.close()
        finally:
            for built in generation.built.values():
                await built.connector.close()


async def test_the_demo_breaker_opens_and_closes_again() -> None:
    """What `interlace chaos shop --fail` shows: failing fast, then recovery by one probe."""
    async with Upstreams(clock=LoopClock(), random=Random(1)) as upstreams:
        generation = demo(upstreams.environment, make_tools())
        shop = generation.built["shop"]
        await shop.connector.open()
        get = generation.routes()["shop", "GetProduct"]
        try:
            upstreams.chaos.apply({"upstream": "shop", "status": 500})
            for _ in range(12):
                with pytest.raises(Failure):
                    await get(a_call("shop", "GetProduct", id="p001"))
            assert shop.guard.breaker_state == "open"
            hits = upstreams.shop.total_hits
            with pytest.raises(Failure) as caught:
                await get(a_call("shop", "GetProduct", id="p001"))
            assert caught.value.reason is Reason.BREAKER_OPEN
            assert upstreams.shop.total_hits == hits
            upstreams.chaos.apply({"clear": True})
            await asyncio.sleep(1.1)  # the policy's `open: 1s` is real time here
            await get(a_call("shop", "GetProduct", id="p001"))
            assert shop.guard.breaker_state == "closed"
        finally:
            await shop.connector.close()
