"""Column F, L5 as a property: subscribers come, leave, resume and are cut off at random while the
upstream is disturbed at random, and a checker compares what they saw with what was sent."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from fault_broker import QUICK, Broker, broker
from fault_feed import FeedBench, Listener, feed_bench
from fault_rig import Usage, eventually
from history import History

from interlace import Bookmark, Client, Overflow, SlowConsumer, Start
from interlace.streams import ReadStream
from interlace.v1 import feed_service_pb2 as pb
from interlaced.testing.fault_proxy import FaultProxy, Faults

MIB = 1024 * 1024


async def wander(
    client: Client, feed: str, listener: Listener, chance: Random, over: asyncio.Event
) -> None:
    """A subscriber that is restarted time and again, and resumes after its bookmark."""
    bookmark: Bookmark | None = None
    while not over.is_set():
        start = Start.oldest() if bookmark is None else Start.after(bookmark)
        async with client.subscribe(feed, start=start, reconnect=QUICK) as items:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(0.05, 0.8)):
                    async for item in items:
                        listener.items.append(item)
                        bookmark = items.bookmark
            # What was taken out before the time was over is in the list: the bookmark knows it.
            bookmark = items.bookmark if items.bookmark.cursor else bookmark
        await asyncio.sleep(chance.uniform(0.0, 0.2))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["memory", pytest.param("nats", marks=pytest.mark.live)])
async def test_no_subscriber_misses_what_a_broker_keeps(
    kind: str, seed: int, tmp_path: Path
) -> None:
    """L5: none lost, none twice, none out of order and no gap, over restarts of the subscribers,
    cuts between them and the service, and kills of the broker."""
    random, history, over = Random(seed), History(), asyncio.Event()
    async with broker(kind, tmp_path) as it:
        port = int(it.service.address.rpartition(":")[2])
        async with FaultProxy("127.0.0.1", port) as between, _through(between) as client:
            listeners = [Listener() for _ in range(4)]
            tasks = [
                asyncio.ensure_future(
                    wander(client, "orders.Orders", each, Random(seed * 10 + n), over)
                )
                for n, each in enumerate(listeners)
            ]
            names = [history.invoke(f"a{number}") for number in range(200)]
            publishing = asyncio.ensure_future(publish(it, history, names, random))
            for _ in range(6):
                await asyncio.sleep(random.uniform(0.1, 0.3))
                await disturb(it, between, random)
            async with asyncio.timeout(30):
                await publishing
            await eventually(
                lambda: all(len(set(each.names)) >= len(names) for each in listeners),
                limit=20,
                what=lambda: [len(set(each.names)) for each in listeners],
            )
            over.set()
            await asyncio.gather(*tasks)
            for each in listeners:
                assert not history.check(each.names)
                assert each.gaps == []


def _through(between: FaultProxy) -> Client:
    return Client(f"127.0.0.1:{between.port}")


async def publish(it: Broker, history: History, names: list[str], random: Random) -> None:
    for name in names:
        while set(await it.publish(name)) - {"ok", "again"}:
            await asyncio.sleep(0.02)
        history.settle(name, "ok")
        await asyncio.sleep(random.uniform(0.0, 0.008))


async def disturb(it: Broker, between: FaultProxy, random: Random) -> None:
    """One of the things that happen to subscribers and to brokers."""
    match random.randrange(5 if it.server is not None else 2):
        case 0:
            between.cut()
        case 1:
            between.script(Faults(refuse=True))
            between.cut()
            await asyncio.sleep(0.2)
            between.heal()
        case 2:
            it.nats.kill()
            await asyncio.to_thread(it.nats.start)
        case 3:
            it.wire.cut()
        case _:
            it.wire.script(Faults(blackhole=True))
            await asyncio.sleep(0.4)
            it.wire.heal()


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_websocket_subscriber_misses_nothing_in_silence(seed: int, tmp_path: Path) -> None:
    """L5: the upstream keeps nothing, so that numbers may be missing; but never without a gap in
    their place, and never twice or out of order."""
    random, over = Random(seed), asyncio.Event()
    async with feed_bench(tmp_path) as it:
        listeners = [Listener() for _ in range(4)]
        tasks = [
            asyncio.ensure_future(
                wander(it.client, "market.Ticks", each, Random(seed * 10 + n), over)
            )
            for n, each in enumerate(listeners)
        ]
        for _ in range(10):
            await asyncio.sleep(random.uniform(0.05, 0.25))
            await disturb_feed(it, random)
        mark = it.upstream.last + 30
        await eventually(lambda: all(f"A-{mark}" in each.names for each in listeners), limit=10)
        over.set()
        await asyncio.gather(*tasks)
        for each in listeners:
            assert each.wrong() == []
            assert len(each.names) > 50


async def disturb_feed(it: FeedBench, random: Random) -> None:
    """One of the things that happen to feeds."""
    match random.randrange(6):
        case 0:
            it.proxy.cut()
        case 1:
            it.upstream.abort()
        case 2:
            it.upstream.will_skip = random.randrange(1, 5)
        case 3:
            it.upstream.say("<html>")
        case 4:
            it.proxy.script(Faults(blackhole=True))
            await asyncio.sleep(random.uniform(0.1, 0.6))
            it.proxy.heal()
        case _:
            await it.upstream.close(1012)


async def test_a_stalled_subscriber_costs_bounded_memory_and_nobody_else(tmp_path: Path) -> None:
    """F24, L7: one subscriber reads nothing, twenty read on: they get everything, memory stays
    bounded, the stalled one is disconnected with its cursor, and can resume from it."""
    async with broker("memory", tmp_path, upstream={"keep_bytes": "64MiB"}) as it:
        assert await it.publish("a0") == ["ok"]
        request = pb.SubscribeRequest(feed="orders.Orders")
        request.start.oldest.SetInParent()
        overflow = Overflow.block(0.3, buffer=100)
        request.overflow.CopyFrom(overflow.message())
        stalled: Any = it.client._connection.feeds.Subscribe(request)
        await stalled.read()
        listeners = [Listener() for _ in range(20)]
        tasks = [
            asyncio.ensure_future(each.listen(it.client, "orders.Orders", start=Start.oldest()))
            for each in listeners
        ]
        await eventually(lambda: all(each.names for each in listeners))
        base, before = Usage.now(), resident()
        names = [f"a{number}" for number in range(1, 1_500)]
        for start in range(0, len(names), 50):
            told = await it.publish(*names[start : start + 50], size=1_000)
            assert set(told) == {"ok"}
        await eventually(lambda: all(len(each.names) == 1_500 for each in listeners), limit=20)
        assert all(each.names == ["a0", *names] for each in listeners)
        # 1.5 MB were sent; the topic, the ring and each of the listeners here hold them.
        assert resident() - before < 22 * 2 * MIB + 64 * MIB
        hub = it.service.app._hub
        await eventually(lambda: hub.states()["orders.Orders"].subscribers == 20)
        error, seen = await drain(stalled)
        assert isinstance(error, SlowConsumer)
        assert error.cursor
        missing = Listener()
        task = asyncio.ensure_future(
            missing.listen(it.client, "orders.Orders", start=Start.after(error.cursor))
        )
        await eventually(lambda: bool(missing.names) and missing.names[-1] == names[-1])
        assert [*seen, *missing.names] == ["a0", *names]
        for each in (*tasks, task):
            each.cancel()
        await asyncio.gather(*tasks, task, return_exceptions=True)
        assert base.tasks >= Usage.now().tasks


async def drain(stalled: Any) -> tuple[Exception, list[str]]:
    """Reads what was under way, up to the error."""
    seen: list[str] = []
    stream: ReadStream[pb.SubscribeResponse] = ReadStream(stalled)
    try:
        async with asyncio.timeout(10):
            while frame := await stream.read():
                seen += [event.id for event in frame.batch.events]
    except SlowConsumer as error:
        return error, seen
    raise AssertionError("it was never disconnected")


def resident() -> int:
    gc.collect()
    return int(psutil.Process().memory_info().rss)
