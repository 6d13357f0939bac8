"""Column E: publishing through the whole service, to the embedded broker and to a real NATS server,
under every fault that can meet it.

OK means that the broker has confirmed. What is unknown may be published again under its id: the
broker knows it, and stores it once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from fault_broker import Broker, broker, one, stored_in
from fault_rig import Usage
from history import History

from interlaced.testing.fault_proxy import Faults

DEADLINE = 2.0
UNKNOWN = "OUTCOME_UNKNOWN"


@dataclass(frozen=True)
class Row:
    """A fault, how it begins, what a publication gets meanwhile, and how it ends."""

    fault: str
    begin: Callable[[Broker], object]
    expect: frozenset[str]
    end: Callable[[Broker], object] = lambda it: it.wire.heal()

    def __str__(self) -> str:
        return self.fault


def on_wire(**faults: object) -> Callable[[Broker], object]:
    return lambda it: it.wire.script(Faults(**faults))  # type: ignore[arg-type]  # named as there


def on_next_wire(**faults: object) -> Callable[[Broker], object]:
    """The connection is cut, and the next ones have the fault."""

    def begin(it: Broker) -> None:
        it.wire.script(Faults(**faults))  # type: ignore[arg-type]  # named as there
        it.wire.cut()

    return begin


def kill(it: Broker) -> None:
    it.nats.kill()


def restart(it: Broker) -> None:
    it.nats.start()


NOT_THERE = frozenset({"UPSTREAM_CONNECT", "UPSTREAM_UNAVAILABLE"})
LOST = NOT_THERE | {UNKNOWN}

# fault, its injection, what one of these a publication gets meanwhile, and the cure
TABLE = [
    Row("F1 slow for longer than it may take", on_wire(latency=0.9), frozenset({UNKNOWN})),
    Row("F2 trickles", on_wire(bandwidth=20), frozenset({UNKNOWN})),
    Row("F3 reset within the publication", on_wire(reset_request_after=3), LOST),
    Row("F4 reset instead of the confirmation", on_wire(reset_after=0), LOST),
    Row("F6 half-open", on_wire(blackhole=True), frozenset({UNKNOWN})),
    Row("F6 frozen", lambda it: it.nats.pause(), frozenset({UNKNOWN}), lambda it: it.nats.resume()),
    Row("F7 refused", on_next_wire(refuse=True), LOST),
    Row("F17 killed", kill, LOST, restart),
]


@pytest.mark.live
@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_e_publish(row: Row, tmp_path: Path) -> None:
    """L1, L8: in time, and honest; afterwards the same ids go through, and each is there once."""
    async with broker("nats", tmp_path) as it:
        assert await it.publish("a0", "b0") == ["ok", "ok"]
        base, history = Usage.now(), History()
        for name in ("a0", "b0"):
            history.settle(history.invoke(name), "ok")
        row.begin(it)
        names = [history.invoke(name) for name in ("a1", "b1")]
        began = time.monotonic()
        told = await it.publish(*names)
        assert time.monotonic() - began < DEADLINE + 2
        assert set(told) <= row.expect, told
        for name, outcome in zip(names, told, strict=True):
            history.settle(name, "unknown" if outcome == UNKNOWN else outcome)
        row.end(it)
        again = await publish_until_taken(it, *names)
        for name, outcome in zip(names, again, strict=True):
            assert outcome == "ok" or name in history.unknown, "NOT_SENT means that it was not"
            history.settle(name, "ok")
        await base.returns()
        assert not history.check(await stored_in(it.client, at_least=4))


async def publish_until_taken(it: Broker, *names: str) -> list[str]:
    """The patience of a careful publisher: the same ids until the broker has confirmed them."""
    for _ in range(40):
        told = await it.publish(*names)
        if set(told) <= {"ok", "again"}:
            return told
        await asyncio.sleep(0.1)
    raise AssertionError(f"the broker never took them: {told}")


@pytest.mark.parametrize("kind", ["memory", pytest.param("nats", marks=pytest.mark.live)])
async def test_an_event_over_the_limit_harms_no_other(kind: str, tmp_path: Path) -> None:
    """F14: the broker's own limit (1 MiB) refuses one event of three, before it is sent."""
    async with broker(kind, tmp_path, upstream={"keep_bytes": "1MiB"}) as it:
        events = [one("a1"), one("b1", 1_100_000), one("c1")]
        outcomes = await it.client.publish("orders.Orders", events)
        told = [each.error.reason if each.error else "ok" for each in outcomes]
        assert told == ["ok", "TOO_LARGE", "ok"]
        assert list(await stored_in(it.client, at_least=2)) == ["a1", "c1"]


@pytest.mark.parametrize("kind", ["memory", pytest.param("nats", marks=pytest.mark.live)])
async def test_a_repeat_is_known_by_its_id(kind: str, tmp_path: Path) -> None:
    """F4: what the caller could not know is settled by publishing it again."""
    async with broker(kind, tmp_path) as it:
        assert await it.publish("a1", "b1") == ["ok", "ok"]
        assert await it.publish("a1", "c1") == ["again", "ok"]
        assert list(await stored_in(it.client, at_least=3)) == ["a1", "b1", "c1"]


@pytest.mark.parametrize("kind", ["memory", pytest.param("nats", marks=pytest.mark.live)])
async def test_publishers_that_leave_take_nothing_with_them(kind: str, tmp_path: Path) -> None:
    """F26, L8: what was accepted stays accepted, and nothing else is left."""
    async with broker(kind, tmp_path) as it:
        history = History()
        assert await it.publish(history.invoke("a0")) == ["ok"]
        history.settle("a0", "ok")
        base = Usage.now()
        for number in range(200):
            name = history.invoke(f"b{number}")
            call = asyncio.ensure_future(it.publish(name))
            await asyncio.sleep(0.0005 * (number % 5))
            call.cancel()
            (told,) = await asyncio.gather(call, return_exceptions=True)
            history.settle(name, "ok" if told == ["ok"] else "unknown")
        await base.returns()
        assert not history.check(await stored_in(it.client, at_least=1), ordered=False)


@pytest.mark.live
async def test_a_broker_that_keeps_dying_loses_nothing_that_it_confirmed(tmp_path: Path) -> None:
    """F17, L5: kills, cuts and freezes at random, a publisher that repeats what is unknown: every
    confirmed event is there, once, and nothing else is."""
    random, history = Random(20), History()
    async with broker("nats", tmp_path) as it:
        over = asyncio.Event()

        async def publisher(key: str) -> None:
            number = 0
            while not over.is_set():
                names = [history.invoke(f"{key}{number + n}") for n in range(3)]
                number += 3
                waiting = names
                while waiting:
                    told = await it.publish(*waiting, timeout=2.5)
                    for name, outcome in zip(waiting, told, strict=True):
                        is_taken = outcome in ("ok", "again")
                        history.settle(name, "ok" if is_taken else "unknown")
                    waiting = [name for name in waiting if name not in history.ok]
                    await asyncio.sleep(0.005)

        tasks = [asyncio.ensure_future(publisher(key)) for key in "abcd"]
        for _ in range(6):
            await asyncio.sleep(random.uniform(0.1, 0.4))
            await disturb(it, random)
        over.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*tasks)
        assert not history.unknown | history.failed
        assert len(history.ok) > 30
        arrived = await stored_in(it.client, at_least=len(history.ok))
        assert not history.check(arrived, ordered=False)
        for key in "abcd":
            mine = [name for name in arrived if name.startswith(key)]
            assert mine == sorted(mine, key=lambda name: int(name[1:]) // 3), "per publisher"


async def disturb(it: Broker, random: Random) -> None:
    """One of the things that happen to brokers."""
    match random.randrange(4):
        case 0:
            it.nats.kill()
            await asyncio.sleep(random.uniform(0.0, 0.5))
            await asyncio.to_thread(it.nats.start)
        case 1:
            it.wire.cut()
        case 2:
            it.nats.pause()
            await asyncio.sleep(random.uniform(0.1, 1.0))
            it.nats.resume()
        case _:
            it.wire.script(Faults(blackhole=True))
            await asyncio.sleep(random.uniform(0.1, 1.0))
            it.wire.heal()
