"""Column F: subscriptions through the whole service, under every fault that can meet a feed.

L5: a subscriber sees every number of the upstream's once and in order, or a Gap in its place. The
stream to the subscriber outlives whatever happens to the upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_broker import Broker, broker
from fault_feed import FeedBench, Listener, feed_bench, listening
from fault_rig import Usage, eventually

from interlace import Start
from interlaced.testing.fault_proxy import Faults

FEED = "market.Ticks"
TICK = '{"op": "tick", "symbol": "%s", "seq": %d}'


@dataclass(frozen=True)
class Row:
    """A fault, how it begins and ends, and the gaps that subscribers are told."""

    fault: str
    begin: Callable[[FeedBench], Awaitable[None] | None]
    gaps: set[str]
    lasts: float = 0.0
    end: Callable[[FeedBench], None] = lambda it: it.proxy.heal()
    is_reconnect: bool = True

    def __str__(self) -> str:
        return self.fault


def on_wire(faults: Faults) -> Callable[[FeedBench], None]:
    return lambda it: it.proxy.script(faults)


def say(frame: object) -> Callable[[FeedBench], None]:
    return lambda it: it.upstream.say(frame)


def refuse(it: FeedBench) -> None:
    it.proxy.script(Faults(refuse=True))
    it.proxy.cut()


def skip(it: FeedBench) -> None:
    it.upstream.will_skip = 3


def repeat(it: FeedBench) -> None:
    it.upstream.say(TICK % ("A", it.upstream.last))


def speak_early(it: FeedBench) -> None:
    """The server sends an event before it has confirmed the subscription."""
    it.upstream.early = TICK % ("B", 1)
    it.proxy.cut()


LARGE = TICK.replace("}", ', "pad": "%s"}')
FRAGMENTS = [
    f'{{"op": "tick", "symbol": "C", "seq": 1, "pad": "{"x" * 30_000}',
    *["y"] * 10_000,
    '"}',
]
AGAIN, HOLE = {"reconnected"}, {"upstream_sequence"}

# fault, its injection, the gaps that every subscriber is told
TABLE = [
    Row("F1 slow, but alive", on_wire(Faults(latency=0.05)), set(), 0.3, is_reconnect=False),
    Row("F2 in slices of a byte", on_wire(Faults(slicer=1)), set(), 0.3, is_reconnect=False),
    Row("F3 F4 reset", lambda it: it.proxy.cut(), AGAIN),
    Row("F5 cut off within a frame", on_wire(Faults(limit_data=20)), AGAIN, 0.2),
    Row("F5 half-closed", on_wire(Faults(half_close=True)), AGAIN, 0.3),
    Row("F6 half-open", on_wire(Faults(blackhole=True)), AGAIN, 0.8),
    Row("F7 refused for a while", refuse, AGAIN, 0.5),
    Row("F12 no JSON", say("<html>"), {"unknown", *HOLE}, is_reconnect=False),
    Row("F14 a frame over the limit", say(LARGE % ("A", 1, "x" * 70_000)), AGAIN),
    Row("F33 missed pongs", on_wire(Faults(latency=1.0)), AGAIN, 0.8),
    Row("F33 10,000 fragments", say(FRAGMENTS), set(), is_reconnect=False),
    Row("F33 invalid UTF-8", say(b'{"op": "\xff\xfe"}'), AGAIN),
    Row("F33 close 1006", lambda it: it.upstream.abort(), AGAIN),
    Row("F33 close 1012", lambda it: it.upstream.close(1012), AGAIN),
    Row("F33 close 1013", lambda it: it.upstream.close(1013), AGAIN),
    Row("F33 a hole in the sequence", skip, HOLE, is_reconnect=False),
    Row("F33 a number again", repeat, set(), is_reconnect=False),
    Row("F33 an event before the confirmation", speak_early, AGAIN),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_f_subscribe(row: Row, tmp_path: Path) -> None:
    """L5, L8: both subscribers keep their stream, are told the gap, and go on; when they have left
    nothing but the lingering feed is there."""
    async with feed_bench(tmp_path) as it, listening(it.client, FEED) as (first,):
        await eventually(lambda: len(first.names) > 3)
        base = await Usage.at_most()
        async with listening(it.client, FEED) as (second,):
            both = (first, second)
            await eventually(lambda: len(second.names) > 3)
            connections = it.server.connections
            began = row.begin(it)
            if began is not None:
                await began
            await asyncio.sleep(row.lasts)
            row.end(it)
            if row.is_reconnect:
                await eventually(lambda: it.server.connections > connections)
            if row.gaps:
                await eventually(lambda: all(each.gaps for each in both))
            await go_on(it, first, second)
            for each in both:
                assert each.error is None
                assert set(each.gaps) <= row.gaps
                assert wrong(each) == []
        await base.returns()


async def go_on(it: FeedBench, *listeners: Listener) -> None:
    """Waits until everybody has what the upstream sends from now on."""
    mark = it.upstream.last + 20
    await eventually(
        lambda: all(f"A-{mark}" in each.names for each in listeners),
        what=lambda: [each.items[-3:] for each in listeners],
    )


def wrong(listener: Listener) -> list[str]:
    """What breaks L5 among the numbers of A; B and C are there to disturb."""
    only = Listener([item for item in listener.items if getattr(item, "key", "A") == "A"])
    return only.wrong()


async def test_three_hundred_subscribers_are_one_upstream_connection(tmp_path: Path) -> None:
    """P22, within one process, through the whole service: and after a cut it is one again."""
    async with feed_bench(tmp_path, interval=0.05) as it:
        base: Usage | None = None
        async with listening(it.client, FEED):
            await eventually(lambda: it.upstream.last > 1)
            base = await Usage.at_most()
        async with listening(it.client, FEED, 300) as everybody:
            await eventually(lambda: all(len(each.names) > 2 for each in everybody), limit=20)
            assert it.server.connections == 1
            it.proxy.cut()
            await eventually(lambda: all(each.gaps for each in everybody), limit=20)
            seen = len(everybody[0].names)
            await eventually(lambda: all(len(each.names) > seen for each in everybody), limit=20)
            assert it.server.connections == it.upstream.subscribed == 2
            assert it.server.open == 1
            assert [wrong(each) for each in everybody if wrong(each)] == []
        await base.returns()


def kill_and_restart(it: Broker) -> None:
    it.nats.kill()
    it.nats.start()


BROKEN: list[tuple[str, Callable[[Broker], object], Callable[[Broker], object]]] = [
    ("F3 F4 reset", lambda it: it.wire.cut(), lambda it: it.wire.heal()),
    ("F6 half-open", lambda it: it.wire.script(Faults(blackhole=True)), lambda it: it.wire.heal()),
    ("F6 frozen", lambda it: it.nats.pause(), lambda it: it.nats.resume()),
    ("F17 killed and restarted", kill_and_restart, lambda it: it.wire.heal()),
]


@pytest.mark.live
@pytest.mark.parametrize(("fault", "begin", "end"), BROKEN, ids=[row[0] for row in BROKEN])
async def test_f_subscribe_nats(
    fault: str,
    begin: Callable[[Broker], object],
    end: Callable[[Broker], object],
    tmp_path: Path,
) -> None:
    """L5: a stream replays, so that nothing is lost, repeated or reordered, and there is no gap."""
    async with broker("nats", tmp_path) as it:
        assert await it.publish("a0") == ["ok"]
        async with listening(it.client, "orders.Orders", 2, start=Start.oldest()) as both:
            await eventually(lambda: all(each.names for each in both))
            begin(it)
            names = [f"a{number}" for number in range(1, 60)]
            publishing = asyncio.ensure_future(_publish_all(it, names))
            await asyncio.sleep(0.7)
            end(it)
            await publishing
            await eventually(
                lambda: all(len(each.names) >= 60 for each in both),
                limit=15,
                what=lambda: [each.names[-3:] for each in both],
            )
            for each in both:
                assert each.names == ["a0", *names], fault
                assert each.gaps == []


async def _publish_all(it: Broker, names: list[str]) -> None:
    """One after the other, each until the broker has it."""
    for name in names:
        while set(await it.publish(name)) - {"ok", "again"}:
            await asyncio.sleep(0.02)
