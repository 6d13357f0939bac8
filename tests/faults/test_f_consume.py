"""Column F: competing consumers through the whole service, on the embedded broker and on a real
NATS server.

L5: acked, in flight, waiting and dead together are what was published; nothing is skipped. What was
not acknowledged comes again; duplicates are allowed, and carry their attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from fault_broker import QUICK, Broker, broker, stored_in
from fault_feed import listening
from fault_rig import Usage, eventually

from interlace import Delivery, DeliveryLost, Event, InterlaceError, Start
from interlace.v1 import feed_service_pb2 as pb
from interlaced.testing.fault_proxy import Faults

KINDS = ["memory", pytest.param("nats", marks=pytest.mark.live)]
FEED = "orders.Orders"


class Group:
    """Members of one group, and what they have seen."""

    def __init__(self, it: Broker) -> None:
        self.it = it
        self.seen: Counter[str] = Counter()
        self.attempts: dict[str, list[int]] = {}
        self.acked: set[str] = set()
        self.unknown: set[str] = set()

    def note(self, delivery: Delivery) -> None:
        self.seen[delivery.event.id] += 1
        self.attempts.setdefault(delivery.event.id, []).append(delivery.attempt)

    async def ack(self, delivery: Delivery) -> None:
        """Acknowledges. Where no answer came the broker may have taken it, and then it does not
        come again."""
        name = delivery.event.id
        self.unknown.add(name)
        with contextlib.suppress(InterlaceError):
            await delivery.ack()
            self.acked.add(name)
            self.unknown.discard(name)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_never_settled_comes_again_and_ends_in_the_dead_letters(
    kind: str, tmp_path: Path
) -> None:
    """F25: a member that crashes time and again: redelivery with its attempt, and after the third
    the event is dead."""
    async with broker(kind, tmp_path) as it:
        assert await it.publish("a1") == ["ok"]
        attempts = []
        for _ in range(3):
            async with it.client.consume(FEED, "work", reconnect=QUICK) as member:
                async with asyncio.timeout(10):
                    delivery = await anext(member)
                attempts.append(delivery.attempt)
        assert attempts == [1, 2, 3]
        async with it.client.consume(FEED, "work", reconnect=QUICK) as member:
            await it.publish("a2")
            async with asyncio.timeout(10):
                delivery = await anext(member)
            assert delivery.event.id == "a2", "the poison does not block what is behind it"
            await delivery.ack()
            assert await dead(it, 1) == ["a1"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_nacked_every_time_is_dead_after_the_third(kind: str, tmp_path: Path) -> None:
    """F25: attempts are counted by the broker; the dead letter says the cause and how often."""
    async with broker(kind, tmp_path) as it:
        names = [f"a{number}" for number in range(8)]
        assert set(await it.publish(*names)) == {"ok"}
        group = Group(it)
        async with it.client.consume(FEED, "work", reconnect=QUICK) as member, asyncio.timeout(20):
            while sum(group.seen.values()) < 3 * len(names):
                delivery = await anext(member)
                group.note(delivery)
                await delivery.nack(0.01)
        assert all(group.attempts[name] == [1, 2, 3] for name in names)
        assert sorted(await dead(it, len(names))) == names


@pytest.mark.parametrize("kind", KINDS)
async def test_a_member_that_holds_on_gets_nothing_more_than_its_credit(
    kind: str, tmp_path: Path
) -> None:
    """F24, L7: credit bounds what is in flight; settling makes room."""
    async with broker(kind, tmp_path) as it:
        await it.publish(*[f"a{number}" for number in range(40)])
        async with it.client.consume(FEED, "work", credit=5, reconnect=QUICK) as member:
            async with asyncio.timeout(10):
                held = [await anext(member) for _ in range(5)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(member)
            await held[0].ack()
            async with asyncio.timeout(10):
                assert (await anext(member)).event.id == "a5"


@pytest.mark.parametrize("kind", KINDS)
async def test_double_and_unknown_verdicts_harm_nothing(kind: str, tmp_path: Path) -> None:
    """F25: a second ack is taken and changes nothing, an unknown tag is INVALID_REQUEST, and the
    stream lives."""
    async with broker(kind, tmp_path) as it:
        await it.publish("a1")
        stream: Any = it.client._connection.feeds.Consume()
        opening = pb.ConsumeOpen(feed=FEED, group="work", credit=4)
        await stream.write(pb.ConsumeRequest(open=opening))
        (one,) = (await _next(stream, "deliveries")).deliveries.deliveries
        for tag, reason in ((one.tag, ""), (one.tag, ""), (4711, "INVALID_REQUEST")):
            settlement = pb.Settlement(tag=tag, ack=pb.Ack())
            await stream.write(pb.ConsumeRequest(settle=pb.ConsumeSettle(settlements=[settlement])))
            (result,) = (await _next(stream, "results")).results.results
            assert result.tag == tag
            assert reason in str(result.status), result
            assert result.HasField("status") is bool(reason)
        await it.publish("a2")
        (two,) = (await _next(stream, "deliveries")).deliveries.deliveries
        assert two.event.id == "a2"
        stream.cancel()


async def _next(stream: Any, kind: str) -> Any:
    """The next response of a kind; heartbeats are passed over."""
    async with asyncio.timeout(10):
        while True:
            response = await stream.read()
            if response.HasField(kind):
                return response


@pytest.mark.parametrize("kind", KINDS)
async def test_a_member_that_vanishes_gives_everything_back(kind: str, tmp_path: Path) -> None:
    """F26, L8: whoever comes next gets what was unsettled at once, and nothing is left."""
    async with broker(kind, tmp_path, ack={"wait": "60s"}) as it:
        names = [f"a{number}" for number in range(20)]
        await it.publish(*names)
        base = Usage.now()
        async with it.client.consume(FEED, "work", reconnect=QUICK) as member:
            async with asyncio.timeout(10):
                held = [await anext(member) for _ in names]
        with pytest.raises(DeliveryLost):
            await held[0].ack()
        group = Group(it)
        async with it.client.consume(FEED, "work", reconnect=QUICK) as member, asyncio.timeout(10):
            while len(group.acked) < len(names):
                delivery = await anext(member)
                group.note(delivery)
                await group.ack(delivery)
        assert set(group.seen) == set(names)
        assert all(attempts[0] == 2 for attempts in group.attempts.values())
        await it.client.close()
        await base.returns()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_that_was_published_is_skipped(kind: str, seed: int, tmp_path: Path) -> None:
    """L5: members come, crash, nack and reject at random, and the broker is disturbed: in the end
    everything published was acknowledged or is dead, and what is dead had its three attempts or
    was rejected."""
    random = Random(seed)
    async with broker(kind, tmp_path) as it:
        names = [f"a{number}" for number in range(150)]
        group = Group(it)
        over = asyncio.Event()
        rejected: set[str] = set()

        async def member(chance: Random) -> None:
            while not over.is_set():
                with contextlib.suppress(InterlaceError, TimeoutError, StopAsyncIteration):
                    async with (
                        asyncio.timeout(chance.uniform(0.3, 1.5)),
                        it.client.consume(FEED, "work", credit=7, reconnect=QUICK) as deliveries,
                    ):
                        async for delivery in deliveries:
                            group.note(delivery)
                            await decide(group, delivery, chance, rejected)

        members = [asyncio.ensure_future(member(Random(seed * 100 + n))) for n in range(4)]
        publishing = asyncio.ensure_future(publish(it, names, random))
        for _ in range(4):
            await asyncio.sleep(0.3)
            if kind == "nats":
                await disturb(it, random)
        async with asyncio.timeout(30):
            await publishing
        async with listening(it.client, f"{FEED}.dead", start=Start.oldest()) as (graveyard,):
            await eventually(
                lambda: set(names) <= group.acked.union(group.unknown, graveyard.names),
                limit=30,
                what=lambda: set(names) - group.acked.union(group.unknown, graveyard.names),
            )
            assert len(group.unknown - group.acked) < 30, "the exception, not the rule"
            over.set()
            await asyncio.gather(*members)
            assert set(group.seen) <= set(names), "phantoms"
            assert len(graveyard.names) == len(set(graveyard.names)), "buried once"
            for letter in graveyard.items:
                assert isinstance(letter, Event)
                is_rejected = letter.attributes["interlacecause"] == "poison"
                assert letter.id in rejected if is_rejected else True
                # A broker that dies while a letter is being buried counts one delivery more.
                assert is_rejected or int(letter.attributes["interlaceattempts"]) >= 3
            assert max(map(max, group.attempts.values())) <= 3, "no member sees a fourth"


async def decide(group: Group, delivery: Delivery, chance: Random, rejected: set[str]) -> None:
    """What members do: mostly work, sometimes fail, sometimes forget."""
    draw = chance.random()
    if draw < 0.80:
        await group.ack(delivery)
    elif draw < 0.90:
        await delivery.nack(0.01)
    elif draw < 0.95:
        rejected.add(delivery.event.id)
        await delivery.reject("poison")


async def publish(it: Broker, names: list[str], random: Random) -> None:
    """A publisher that repeats until the broker has confirmed."""
    for name in names:
        while set(await it.publish(name)) - {"ok", "again"}:
            await asyncio.sleep(0.02)
        await asyncio.sleep(random.uniform(0.0, 0.01))


async def disturb(it: Broker, random: Random) -> None:
    """One of the things that happen to brokers."""
    match random.randrange(3):
        case 0:
            it.nats.kill()
            await asyncio.to_thread(it.nats.start)
        case 1:
            it.wire.cut()
        case _:
            it.wire.script(Faults(blackhole=True))
            await asyncio.sleep(0.4)
            it.wire.heal()


async def dead(it: Broker, count: int) -> list[str]:
    """The ids of the events in the dead letters."""
    return list(await stored_in(it.client, f"{FEED}.dead", at_least=count, quiet=0.2))
