"""The memory kind's connector; what every source and sink must do is in `tests/conformance`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from memory_rig import DOCUMENT, MemoryRig

from interlaced.connectors.memory.config import Config
from interlaced.connectors.memory.connector import build
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import (
    Call,
    Confirmation,
    Delivery,
    Effect,
    Effort,
    Event,
    Gap,
    GapWhy,
    Publication,
    Reply,
    Settlement,
    Verdict,
)
from interlaced.core.ports import Connector, Start, StartKind, Tools
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver, make_tools
from interlaced.testing.source_suite import make_events


def make(tools: Tools, **parts: Any) -> Connector:
    document = {"upstream": {"memory": "main"}, **parts}
    return build("orders", Config.model_validate(document), tools)


async def publish(connector: Connector, *events: Event) -> Sequence[Confirmation]:
    asked = Publication(sink="orders.Orders", events=events, deadline=99.0, effort=Effort(0.0))
    return await connector.sinks["Orders"].publish(asked)


async def call(connector: Connector, name: str) -> Reply:
    asked = Call(connector="orders", operation=name, deadline=99.0, effort=Effort(0.0))
    return await connector.operations[name].attempt(asked)


def test_operations_carry_what_the_manifest_says() -> None:
    connector = make(
        make_tools(),
        operations={
            "Do": {"effect": "unsafe", "takes_key": True, "creates": True, "description": "d"}
        },
    )
    operation = connector.operations["Do"]
    assert (operation.effect, operation.takes_key, operation.creates) == (Effect.UNSAFE, True, True)
    assert (operation.name, operation.description) == ("Do", "d")


def test_a_played_failure_comes_so_many_times() -> None:
    clock = VirtualClock()
    fail = {"reason": "UPSTREAM_UNAVAILABLE", "times": 2, "retry_after": "3s", "reached": "maybe"}
    connector = make(make_tools(clock), operations={"Get": {"reply": 1, "fail": fail}})

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(Failure) as played:
                await call(connector, "Get")
            assert played.value.reason is Reason.UPSTREAM_UNAVAILABLE
            assert (played.value.retry_after, played.value.reached) == (3.0, Reached.MAYBE)
        assert (await call(connector, "Get")).payload.data == b"1"

    clock.run(main())


def test_an_answer_takes_its_time() -> None:
    clock = VirtualClock()
    connector = make(make_tools(clock), operations={"Get": {"delay": "250ms", "echo": True}})

    async def main() -> None:
        since = clock.now()
        await call(connector, "Get")
        assert clock.now() - since == 0.25

    clock.run(main())


def test_connectors_that_name_the_same_broker_share_it() -> None:
    clock = VirtualClock()
    tools = make_tools(clock)

    async def main() -> None:
        rig = MemoryRig(clock)
        rig.sink = make(tools, sinks={"In": {"topic": "Shared"}}).sinks["In"]
        reader = await make(tools, feeds={"Out": {"topic": "Shared"}}).feeds["Out"].open(Start())
        await rig.publish(make_events(1))
        (delivery,) = await reader.read()
        assert isinstance(delivery, Delivery)
        alone = Tools(clock=clock, random=tools.random, observer=tools.observer)
        other = (
            await make(alone, feeds={"Out": {"topic": "Shared"}})
            .feeds["Out"]
            .open(Start(StartKind.OLDEST))
        )
        assert other.epoch != reader.epoch

    clock.run(main())


def test_dead_letters_are_a_feed_that_can_be_worked_on() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = MemoryRig(clock)
        member = await rig.feed.join("billing")
        await rig.publish(make_events(1))
        (delivery,) = await member.read()
        assert isinstance(delivery, Delivery)
        await delivery.settle(Settlement(Verdict.REJECT, cause="bad"))
        undertaker = await rig.dead.join("undertaker")
        for attempt in range(1, 8):
            (letter,) = await undertaker.read()
            assert isinstance(letter, Delivery)
            assert letter.attempt == attempt
            await letter.settle(Settlement(Verdict.NACK, 0.0))
        (letter,) = await undertaker.read()
        assert isinstance(letter, Delivery)
        await letter.settle(Settlement(Verdict.REJECT))
        observer = rig._tools.observer
        assert isinstance(observer, FakeObserver)
        assert observer.feeds["orders", "Orders"].settlements == ["dead_letter"]
        assert observer.feeds["orders", "Orders.dead"].settlements == []

    clock.run(main())


def test_a_slow_broadcast_is_told_what_was_trimmed_under_it() -> None:
    """F18, L5."""
    clock = VirtualClock()

    async def main() -> None:
        rig = MemoryRig(clock)
        reader = await rig.feed.open(Start())
        await rig.publish(make_events(3))
        await rig.expire()
        await rig.publish(make_events(1, first=3))
        gap, delivery = await reader.read()
        assert gap == Gap(GapWhy.EXPIRED, "1", "3")
        assert isinstance(delivery, Delivery)

    clock.run(main())


def test_a_member_takes_no_more_than_it_has_room_for() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = MemoryRig(clock)
        member = await rig.feed.join("billing")
        await rig.publish(make_events(5))
        member.allow(2)
        assert len(await member.read()) == 2
        member.allow(9)
        assert len(await member.read()) == 3

    clock.run(main())


def test_a_cancelled_wait_leaves_no_watcher() -> None:
    clock = VirtualClock()

    async def main() -> None:
        rig = MemoryRig(clock)
        reader = await rig.feed.open(Start())
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        topic = reader._topic
        assert len(topic.watchers) == 1
        reading.cancel()
        await asyncio.wait([reading])
        assert topic.watchers == set()

    clock.run(main())


def test_the_rigs_document_is_a_manifest() -> None:
    assert Config.model_validate(DOCUMENT).upstream.memory == "main"


def test_events_groups_and_attempts_survive_a_reload_of_their_section() -> None:
    """F22: a changed section is a new connector on the same broker, and the newest rule holds."""
    clock = VirtualClock()
    tools = make_tools(clock)

    def section(most: int) -> Connector:
        return make(tools, feeds={"Orders": {"ack": {"max_deliver": most}}}, sinks={"Orders": {}})

    async def main() -> None:
        old = section(9)
        (event, other) = make_events(2)
        assert (await publish(old, event, other))[0].failure is None
        member = await old.feeds["Orders"].join("g")
        first = await member.read()
        assert isinstance(first[0], Delivery)
        await old.close()
        with pytest.raises(Failure) as closed:
            await publish(old, event)
        assert closed.value.reason is Reason.DRAINING
        new = section(2)
        assert (await publish(new, event))[0].is_duplicate
        await member.close()
        again = await (await new.feeds["Orders"].join("g")).read()
        assert [one.attempt for one in again if isinstance(one, Delivery)] == [2, 2]
        assert isinstance(again[0], Delivery)
        await again[0].settle(Settlement(Verdict.NACK))
        letters = await (await new.feeds["Orders.dead"].open(Start(StartKind.OLDEST))).read()
        assert [one.event.id for one in letters if isinstance(one, Delivery)] == [event.id]

    clock.run(main())


def test_a_verdict_that_was_refused_is_refused_again() -> None:
    """L4: a delivery that was given to another is not settled by asking twice."""
    clock = VirtualClock()

    async def main() -> None:
        connector = make(
            make_tools(clock), feeds={"Orders": {"ack": {"wait": "1s"}}}, sinks={"Orders": {}}
        )
        await publish(connector, *make_events(1))
        one, two = [await connector.feeds["Orders"].join("g") for _ in range(2)]
        (late,) = await one.read()
        await clock.sleep(2)
        assert len(await two.read()) == 1
        assert isinstance(late, Delivery)
        for _ in range(2):
            with pytest.raises(Failure) as stale:
                await late.settle(Settlement(Verdict.ACK))
            assert stale.value.reason is Reason.UPSTREAM_CONFLICT

    clock.run(main())
