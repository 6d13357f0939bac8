"""A hub over our WebSocket connector, the ticker as its upstream, and a proxy between them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import psutil
from websocket_rig import ALLOWED, config, eventually

from interlaced.connectors.websocket.connector import build
from interlaced.core.clock import LoopClock
from interlaced.core.cursor import CursorCodec
from interlaced.core.feed import Hub, HubSettings
from interlaced.core.frame import FrameKind, Wishes
from interlaced.core.model import Event, GapWhy
from interlaced.core.ports import FeedBinding
from interlaced.core.subscriber import Subscription
from interlaced.dev.chaos import Chaos
from interlaced.dev.ticker import Ticker, TickerSettings
from interlaced.testing.fakes import make_tools
from interlaced.testing.fault_proxy import FaultProxy, Faults

FEEDS: Mapping[str, object] = {
    "Ticks": {"match": {"$.op": "tick"}, "key": "$.symbol", "sequence": "$.seq"},
    "Acme": {
        "match": {"$.op": "tick", "$.symbol": "ACME"},
        "key": "$.symbol",
        "sequence": "$.seq",
    },
}


@dataclass
class Rig:
    hub: Hub
    ticker: Ticker
    chaos: Chaos
    proxy: FaultProxy


@dataclass
class Listener:
    """A subscriber that writes down what it is told."""

    subscription: Subscription
    ids: list[str] = field(default_factory=list)
    gaps: list[GapWhy] = field(default_factory=list)

    async def listen(self) -> None:
        async with self.subscription:
            while frame := await self.subscription.next():
                if frame.gap is not None:
                    self.gaps.append(frame.gap.why)
                elif frame.kind is FrameKind.BATCH:
                    self.ids += frame.body.decode().split(";")[:-1]


def encode(event: Event) -> bytes:
    return event.id.encode() + b";"


@asynccontextmanager
async def rig(interval: float = 0.01, **upstream: object) -> AsyncIterator[Rig]:
    tools = make_tools()
    chaos = Chaos(("ticker",), clock=tools.clock, random=Random(1))
    settings = TickerSettings(interval=interval, heartbeat=3600.0)
    async with AsyncExitStack() as stack:
        ticker = await stack.enter_async_context(
            Ticker(chaos, LoopClock(), Random(2), settings=settings)
        )
        port = int(ticker.url.removesuffix("/feed").rpartition(":")[2])
        proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", port))
        settings_ = config(
            f"ws://127.0.0.1:{proxy.port}/feed",
            feeds=FEEDS,
            on_open={"op": "subscribe", "symbols": ["ACME", "BOLT"]},
            ack={"match": {"$.op": "subscribed"}},
            allow_private=ALLOWED,
            **upstream,
        )
        connector = build("ticks", settings_, tools)
        stack.push_async_callback(connector.close)
        hub = Hub(
            clock=tools.clock,
            random=Random(3),
            observer=tools.observer,
            encode=encode,
            cursors=CursorCodec([b"k" * 32]),
            settings=HubSettings(),
        )
        stack.push_async_callback(hub.close)
        reconnect = settings_.upstream.reconnect
        await hub.swap(
            {
                f"ticks.{name}": FeedBinding(
                    name=f"ticks.{name}",
                    feed=feed,
                    connector="ticks",
                    digest="1",
                    reconnect=reconnect,
                )
                for name, feed in connector.feeds.items()
            }
        )
        yield Rig(hub, ticker, chaos, proxy)


@asynccontextmanager
async def listening(hub: Hub, *feeds: str) -> AsyncIterator[list[Listener]]:
    listeners = [Listener(hub.find(feed).subscribe(Wishes())) for feed in feeds]
    tasks = [asyncio.create_task(listener.listen()) for listener in listeners]
    try:
        yield listeners
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def numbers(listener: Listener, symbol: str = "ACME") -> list[int]:
    return [int(each.split("-")[1]) for each in listener.ids if each.startswith(symbol)]


def is_contiguous(found: list[int]) -> bool:
    return found == list(range(found[0], found[0] + len(found)))


async def test_three_hundred_subscribers_of_two_feeds_are_one_upstream_connection() -> None:
    """P22, within one process; and after a cut it is one connection again, with one
    subscription."""
    feeds = ["ticks.Ticks", "ticks.Acme"] * 150
    async with rig() as it, listening(it.hub, *feeds) as listeners:
        await eventually(lambda: all(len(each.ids) > 3 for each in listeners))
        assert it.ticker.connections == 1
        assert all(is_contiguous(numbers(each)) for each in listeners)

        it.proxy.cut()
        await eventually(lambda: all(GapWhy.RECONNECTED in each.gaps for each in listeners))
        seen = [len(each.ids) for each in listeners]
        await eventually(
            lambda: all(len(each.ids) > n for each, n in zip(listeners, seen, strict=True))
        )
        assert it.ticker.connections == 2
        assert len(it.ticker.subscriptions) == 2
        assert it.ticker.open_connections == 1
        for each in listeners:
            found = numbers(each)
            assert found == sorted(set(found)), "neither repeats nor steps back"


async def test_a_hole_upstream_is_one_gap_for_every_subscriber() -> None:
    """P21, F33: no stale data passes for whole, and one hole is one gap."""
    async with rig() as it, listening(it.hub, "ticks.Acme", "ticks.Acme") as listeners:
        await eventually(lambda: all(each.ids for each in listeners))
        it.chaos.set("ticker", {"drop": 2})  # one tick of ACME and one of BOLT
        await eventually(lambda: all(each.gaps for each in listeners))
        await eventually(lambda: all(len(each.ids) > 10 for each in listeners))
        for each in listeners:
            assert each.gaps == [GapWhy.UPSTREAM_SEQUENCE]


async def test_a_reordered_message_is_a_gap_and_never_out_of_order() -> None:
    """P21."""
    async with rig() as it, listening(it.hub, "ticks.Acme") as (listener,):
        await eventually(lambda: bool(listener.ids))
        it.chaos.set("ticker", {"reorder": 1})
        await eventually(lambda: bool(listener.gaps))
        found = numbers(listener)
        assert found == sorted(set(found))
        assert listener.gaps == [GapWhy.UPSTREAM_SEQUENCE]


async def test_a_black_hole_is_left_behind_within_two_heartbeats() -> None:
    """P20, F6: nothing arrives and nothing closes; subscribers get a gap and go on."""
    async with (
        rig(heartbeat={"ping": "100ms"}) as it,
        listening(it.hub, "ticks.Ticks") as (listener,),
    ):
        await eventually(lambda: bool(listener.ids))
        loop = asyncio.get_running_loop()
        it.proxy.script(Faults(blackhole=True))
        began = loop.time()
        await eventually(lambda: it.hub.states()["ticks.Ticks"].state == "connecting")
        assert loop.time() - began < 5, "two heartbeats of 0.1 s, and a slow machine"
        it.proxy.heal()
        seen = len(listener.ids)
        await eventually(lambda: len(listener.ids) > seen)
        assert listener.gaps == [GapWhy.RECONNECTED]


async def test_a_stalled_upstream_is_told_from_a_quiet_one() -> None:
    """P20: an upstream that answers no ping is dead; one that only has no news is not."""
    async with (
        rig(interval=3600.0, heartbeat={"ping": "100ms"}) as it,
        listening(it.hub, "ticks.Ticks") as (listener,),
    ):
        await eventually(lambda: it.ticker.open_connections == 1)
        await asyncio.sleep(0.5)  # quiet for more than two heartbeats
        assert it.ticker.connections == 1
        it.chaos.set("ticker", {"stall": "400ms"})
        await eventually(lambda: it.ticker.connections > 1)
        await eventually(lambda: listener.gaps != [])


async def test_fifty_cuts_leave_no_task_and_no_descriptor_behind() -> None:
    """L8."""
    process = psutil.Process()
    tasks, descriptors = asyncio.all_tasks(), process.num_fds()
    async with (
        rig(interval=0.002, pace="1ms", reconnect="1ms..2ms") as it,
        listening(it.hub, "ticks.Ticks") as (listener,),
    ):
        for _ in range(50):
            seen = len(listener.ids)
            await eventually(lambda seen=seen: len(listener.ids) > seen)
            it.proxy.cut()
        assert it.ticker.connections > 40, "a cut may be too quick to meet a new connection"
    gc.collect()
    assert asyncio.all_tasks() == tasks
    assert process.num_fds() <= descriptors + 1
