"""The bulkhead, and the bound on sleepers."""

from __future__ import annotations

import asyncio

from policy_rig import ANSWER, OFF, MostChance, Stack, hangs, slowly, unavailable

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.resilience.bulkhead import Sleepers


def test_no_more_attempts_than_its_places_are_under_way():
    stack = Stack(slowly(1.0), {"bulkhead": {"in_flight": 3, "queue": 5}})

    async def crowd() -> list[object]:
        return await asyncio.gather(*(stack.ask() for _ in range(10)))

    outcomes = stack.clock.run(crowd())
    refused = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert stack.upstream.most_under_way == 3
    assert sum(outcome is ANSWER for outcome in outcomes) == 8
    assert {failure.reason for failure in refused} == {Reason.BULKHEAD_FULL}
    assert {failure.disposition for failure in refused} == {Disposition.PERSISTENT}
    assert all(failure.retry_after for failure in refused)
    assert stack.is_idle
    bulkhead = stack.observer.connectors["shop"].bulkhead
    assert bulkhead is not None
    assert [read() for read in bulkhead] == [0, 0]


def test_it_is_free_while_a_call_sleeps_before_its_next_attempt():
    """It counts attempts: with one place, ten calls that fail and wait 200 ms do not queue up."""
    stack = Stack(
        unavailable,
        {
            "bulkhead": {"in_flight": 1, "queue": 20},
            "breaker": None,
            "retry": {"attempts": 2, "backoff": "200ms..200ms"},
        },
        random=MostChance(),
    )

    async def crowd() -> None:
        await asyncio.gather(*(stack.ask() for _ in range(10)))

    stack.clock.run(crowd())
    assert stack.upstream.attempts == 20
    assert stack.clock.now() == 1000.2


def test_a_separate_total_bounds_the_sleepers():
    stack = Stack(
        unavailable, {"bulkhead": {"sleepers": 4}, "breaker": None, "retry": {"attempts": 2}}
    )

    async def crowd() -> list[object]:
        return await asyncio.gather(*(stack.ask() for _ in range(10)))

    outcomes = stack.clock.run(crowd())
    assert stack.upstream.attempts == 14
    assert all(outcome.disposition is Disposition.PERSISTENT for outcome in outcomes)
    assert stack.is_idle


def test_sleepers_are_counted():
    sleepers = Sleepers(1)
    assert sleepers.try_enter()
    assert not sleepers.try_enter()
    sleepers.leave()
    assert sleepers.try_enter()


def test_ten_thousand_cancels_leave_no_permits_and_no_waiters():
    """F26: callers go away while queued, under way, asleep before a retry, or paused."""
    for behave in (hangs, unavailable):
        stack = Stack(behave, {"bulkhead": {"in_flight": 10, "queue": 100}, "breaker": None})
        stack.guard.pause.until = 1001.0

        async def storm(stack: Stack = stack) -> None:
            for wave in range(50):
                tasks = [asyncio.create_task(stack.ask()) for _ in range(100)]
                await stack.clock.sleep(wave * 0.05)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

        stack.clock.run(storm())
        assert stack.is_idle
        assert stack.guard.in_flight == 0


def test_a_limit_with_timeouts_recovers_in_full():
    """P19: for ten minutes 30 % of the calls hang into their timeout at a limit of 20; then the
    upstream heals, and within 5 s throughput is what it was before."""
    is_ill = False
    count = 0

    async def behave(call, clock):
        nonlocal count
        count += 1
        if is_ill and count % 10 < 3:
            return await hangs(call, clock)
        return await slowly(0.1)(call, clock)

    stack = Stack(
        behave,
        {**OFF, "attempt_timeout": "1s", "bulkhead": {"in_flight": 20, "queue": 40}},
    )
    answered: list[float] = []

    async def caller() -> None:
        while True:
            if await stack.ask(deadline=5.0) is ANSWER:
                answered.append(stack.clock.now())

    async def soak() -> list[float]:
        nonlocal is_ill
        callers = [asyncio.create_task(caller()) for _ in range(40)]
        rates = []
        for ill, seconds in ((False, 10.0), (True, 600.0), (False, 5.0), (False, 10.0)):
            is_ill = ill
            before = len(answered)
            await stack.clock.sleep(seconds)
            rates.append((len(answered) - before) / seconds)
        for task in callers:
            task.cancel()
        await asyncio.wait(callers)
        return rates

    healthy, ill, _, healed = stack.clock.run(soak())
    assert ill < healthy / 2
    assert healed >= 0.99 * healthy
    assert stack.is_idle
