"""Permits: counted, queued, and never lost to a cancel."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.resilience.permits import Permits, QueueFull
from interlaced.testing.clock import VirtualClock


async def test_a_full_queue_refuses_at_once():
    permits = Permits(1, 0)
    assert permits.try_take()
    assert not permits.try_take()
    with pytest.raises(QueueFull):
        await permits.take()


async def test_those_who_wait_are_served_in_order():
    permits = Permits(1, 3)
    permits.try_take()
    served: list[int] = []

    async def wait(number: int) -> None:
        await permits.take()
        served.append(number)
        permits.give_back()

    tasks = [asyncio.create_task(wait(number)) for number in range(3)]
    await asyncio.sleep(0)
    assert permits.waiting == 3
    permits.give_back()
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]
    assert permits.held == permits.waiting == 0


async def test_a_late_comer_does_not_overtake():
    permits = Permits(1, 1)
    permits.try_take()
    waiter = asyncio.create_task(permits.take())
    await asyncio.sleep(0)
    permits.give_back()
    assert not permits.try_take(), "the permit is on its way to the waiter"
    await waiter
    permits.give_back()


async def test_a_waiter_cancelled_with_the_permit_on_its_way_gives_it_back():
    permits = Permits(1, 2)
    permits.try_take()
    first = asyncio.create_task(permits.take())
    second = asyncio.create_task(permits.take())
    await asyncio.sleep(0)
    permits.give_back()
    first.cancel()
    await second
    assert first.cancelled() or await asyncio.gather(first, return_exceptions=True)
    assert permits.held == 1
    permits.give_back()
    assert permits.held == 0


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 6))
def test_no_schedule_of_calls_and_cancels_loses_a_permit(seed: int, limit: int, queue: int):
    """P28, F26: waves of calls and cancels leave no permit taken and nobody waiting."""
    clock, random, permits = VirtualClock(), Random(seed), Permits(limit, queue)
    most = 0

    async def hold() -> None:
        nonlocal most
        if not permits.try_take():
            try:
                await permits.take()
            except QueueFull:
                return
        most = max(most, permits.held)
        try:
            await clock.sleep(random.choice([0.0, 0.1, 0.2]))
        finally:
            permits.give_back()

    async def storm() -> None:
        tasks = []
        for _ in range(40):
            tasks.append(asyncio.create_task(hold()))
            if random.random() < 0.5:
                random.choice(tasks).cancel()
            await clock.sleep(random.choice([0.0, 0.05]))
        await asyncio.gather(*tasks, return_exceptions=True)

    clock.run(storm())
    assert permits.held == permits.waiting == 0
    assert most <= limit
