"""The rate limit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_rig import ANSWER, OFF, Stack, answers, slowly

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.core.units import Rate
from interlaced.resilience.limiter import Bucket
from interlaced.testing.clock import VirtualClock


def limited(rate: str, burst: int, when_full: str = "wait") -> dict[str, object]:
    return {**OFF, "limit": {"rate": rate, "burst": burst, "when_full": when_full}}


def crowd(stack: Stack, size: int, deadline: float = 30.0) -> list[object]:
    async def ask() -> list[object]:
        return await asyncio.gather(*(stack.ask(deadline=deadline) for _ in range(size)))

    return stack.clock.run(ask())


def test_attempts_wait_for_the_rate_in_order():
    stack = Stack(answers, limited("10/s", 2))
    assert all(outcome is ANSWER for outcome in crowd(stack, 5))
    offsets = [moment - 1000.0 for moment in stack.upstream.arrivals]
    assert offsets == pytest.approx([0.0, 0.0, 0.1, 0.2, 0.3])
    assert stack.is_idle


def test_a_wait_that_does_not_fit_the_deadline_fails_at_once_and_says_how_long():
    stack = Stack(slowly(0.0), limited("1/s", 1))
    outcomes = crowd(stack, 10, deadline=2.5)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(refused) == 7
    assert {failure.reason for failure in refused} == {Reason.RATE_LIMITED}
    assert {failure.disposition for failure in refused} == {Disposition.PERSISTENT}
    assert refused[0].retry_after == pytest.approx(3.0)
    assert stack.upstream.attempts == 3


def test_with_fail_nothing_waits():
    stack = Stack(answers, limited("10/s", 3, "fail"))
    outcomes = crowd(stack, 5)
    assert sum(outcome is ANSWER for outcome in outcomes) == 3
    assert stack.clock.now() == 1000.0


def test_a_cancelled_waiter_costs_nothing():
    """F26: ten thousand waiters leave; the next one waits no longer than if it came first."""
    stack = Stack(answers, limited("1/s", 1) | {"deadline": "300s"})

    async def play() -> float:
        await stack.ask()
        for _ in range(100):
            tasks = [asyncio.create_task(stack.ask()) for _ in range(100)]
            await stack.clock.sleep(0.001)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        await stack.ask()
        return stack.clock.now()

    assert stack.clock.run(play()) == pytest.approx(1001.0)
    assert stack.is_idle


def test_a_bucket_can_be_made_before_any_loop_runs():
    bucket = Bucket(Rate(1.0, 1.0), 3, VirtualClock())
    assert [bucket.try_take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait() == pytest.approx(1.0)


@given(
    st.lists(st.tuples(st.floats(0.0, 0.5), st.booleans()), max_size=40),
    st.integers(1, 5),
)
def test_no_schedule_passes_the_rate(steps: list[tuple[float, bool]], burst: int):
    """In any stretch of t seconds at most burst + rate * t attempts pass, cancels or not."""
    clock = VirtualClock()
    bucket = Bucket(Rate(5.0, 1.0), burst, clock)
    passed: list[float] = []

    async def take() -> None:
        if not bucket.try_take():
            await bucket.take()
        passed.append(clock.now())

    async def play() -> None:
        tasks = []
        for wait, is_cancelled in steps:
            tasks.append(asyncio.create_task(take()))
            await clock.sleep(wait)
            if is_cancelled:
                tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    clock.run(play())
    for index, first in enumerate(passed):
        for later, last in enumerate(passed[index:]):
            assert later + 1 <= burst + 5.0 * (last - first) + 1e-6
    assert bucket.waiting == 0
