"""The pause that an upstream asks for."""

from __future__ import annotations

import asyncio

import pytest
from policy_rig import ANSWER, Stack, answers, replied, too_many

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.resilience.pause import release_spread


def storm(until: float, retry_after: float):
    """Answers 429 until a time of the clock."""

    async def behave(call, clock):
        if clock.now() < until:
            raise replied(Reason.UPSTREAM_RATE_LIMITED, 429, retry_after)
        return await answers(call, clock)

    return behave


def test_a_retry_after_of_an_hour_fails_a_two_second_call_at_once():
    """P17: Retry-After 3600 with a 2 s deadline: an error at once that carries 3600."""
    stack = Stack(too_many(3600.0))
    failure = stack.clock.run(stack.fail(deadline=2.0))
    assert failure.reason is Reason.UPSTREAM_RATE_LIMITED
    assert failure.retry_after == 3600.0
    assert failure.disposition is Disposition.PERSISTENT
    assert stack.clock.now() == 1000.0
    assert stack.upstream.attempts == 1


def test_a_wait_beyond_max_wait_fails_at_once_even_if_it_fits_the_deadline():
    """P17."""
    stack = Stack(too_many(6.0), {"retry": {"max_wait": "5s"}})
    failure = stack.clock.run(stack.fail())
    assert (failure.retry_after, stack.clock.now()) == (6.0, 1000.0)


def test_a_wait_that_fits_is_waited_and_the_call_succeeds():
    """F8."""
    stack = Stack(storm(1002.0, 2.0))
    assert stack.clock.run(stack.ask(deadline=10.0)) is ANSWER
    assert stack.upstream.attempts == 2
    assert stack.upstream.arrivals[1] >= 1002.0


def test_one_429_pauses_all_callers_of_that_upstream():
    """F8: nobody asks again before the time, and those who cannot wait are told how long."""
    stack = Stack(storm(1005.0, 5.0), {"bulkhead": {"in_flight": 4, "queue": 0}})

    async def play() -> tuple[list[object], list[object]]:
        first = asyncio.create_task(stack.ask())
        await stack.clock.sleep(1.0)
        patient = [asyncio.create_task(stack.ask()) for _ in range(500)]
        hurried = await asyncio.gather(*(stack.ask(deadline=2.0) for _ in range(20)))
        assert stack.clock.now() == 1001.0, "the hurried ones are told at once"
        stack.guard.bulkhead.permits.limit = stack.guard.bulkhead.permits._free = 1000
        return await asyncio.gather(first, *patient), hurried

    patient, hurried = stack.clock.run(play())
    assert all(outcome is ANSWER for outcome in patient)
    for failure in hurried:
        assert failure.reason is Reason.UPSTREAM_RATE_LIMITED
        assert failure.retry_after == pytest.approx(4.0)
        assert failure.disposition is Disposition.PERSISTENT
    assert len([moment for moment in stack.upstream.arrivals if moment < 1005.0]) == 1


def test_the_release_is_no_stampede():
    """F8: 500 waiting callers come back spread over half of the wait, not at once."""
    stack = Stack(storm(1004.0, 4.0))

    async def play() -> None:
        await asyncio.gather(stack.ask(), *(stack.ask() for _ in range(499)))

    stack.guard.bulkhead.permits._free = 500
    stack.clock.run(play())
    after = sorted(moment for moment in stack.upstream.arrivals if moment >= 1004.0)
    busiest = max(sum(m <= moment < m + 0.1 for moment in after) for m in after)
    assert len(after) >= 30
    assert busiest <= 0.2 * len(after)
    assert after[-1] - after[0] > 1.0


def test_callers_of_another_upstream_are_not_held():
    """F8: a pause belongs to one connector."""
    ill, well = Stack(too_many(20.0)), Stack(answers)
    ill.clock.run(ill.fail(deadline=1.0))
    assert ill.guard.pause.left == 20.0
    assert well.clock.run(well.ask()) is ANSWER
    assert well.clock.now() == 1000.0


def test_a_pause_never_gets_shorter():
    stack = Stack(answers)
    pause = stack.guard.pause
    pause.learn(replied(Reason.UPSTREAM_RATE_LIMITED, 429, 10.0))
    pause.learn(replied(Reason.UPSTREAM_RATE_LIMITED, 429, 1.0))
    assert pause.left == 10.0


@pytest.mark.parametrize(
    "failure",
    [
        replied(Reason.UPSTREAM_RATE_LIMITED, 429),
        replied(Reason.UPSTREAM_RATE_LIMITED, 429, 0.0),
        replied(Reason.UPSTREAM_NOT_FOUND, 404, 10.0),
    ],
)
def test_only_an_upstream_that_asks_for_it_is_left_alone(failure: Failure):
    stack = Stack(answers)
    stack.guard.pause.learn(failure)
    assert stack.guard.pause.left == 0.0


def test_a_pause_that_comes_while_a_call_is_queued_holds_it_as_well():
    count = 0

    async def behave(call, clock):
        nonlocal count
        count += 1
        if count == 1:
            await clock.sleep(1.0)
            raise replied(Reason.UPSTREAM_RATE_LIMITED, 429, 3.0)
        return await answers(call, clock)

    stack = Stack(behave, {"bulkhead": {"in_flight": 1, "queue": 5}, "retry": {"attempts": 1}})

    async def play() -> list[object]:
        return await asyncio.gather(stack.ask(), stack.ask())

    first, second = stack.clock.run(play())
    assert first.retry_after == 3.0
    assert second is ANSWER
    assert stack.upstream.arrivals[1] >= 1004.0


@pytest.mark.parametrize(("wait", "spread"), [(0.01, 0.1), (2.0, 1.0), (3600.0, 5.0)])
def test_the_spread_grows_with_the_wait_within_bounds(wait: float, spread: float):
    assert release_spread(wait) == spread
