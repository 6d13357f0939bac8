"""Retry."""

from __future__ import annotations

import asyncio
import math
from random import Random

import pytest
from policy_rig import (
    ANSWER,
    Stack,
    answers,
    cannot_connect,
    hangs,
    not_found,
    replied,
    too_many,
    unavailable,
)

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Effect

NO_BREAKER = {"breaker": None}


def test_an_outage_is_not_made_worse_by_retries():
    """P1, R3: 100 % failure, 1,000 calls, budget 10 %: at most 1,100 attempts go upstream."""
    stack = Stack(unavailable, NO_BREAKER)

    async def load() -> None:
        tasks = []
        for _ in range(1000):
            tasks.append(asyncio.create_task(stack.ask()))
            await stack.clock.sleep(0.005)
        await asyncio.gather(*tasks)

    stack.clock.run(load())
    assert 1000 < stack.upstream.attempts <= 1100
    assert stack.is_idle


def test_a_404_is_tried_once():
    """P1."""
    stack = Stack(not_found)
    failure = stack.clock.run(stack.fail())
    assert failure.reason is Reason.UPSTREAM_NOT_FOUND
    assert failure.disposition is Disposition.PERMANENT
    assert stack.upstream.attempts == 1


def test_a_write_without_a_key_that_timed_out_after_sending_is_tried_once():
    """P1, L3."""
    stack = Stack(hangs, {"attempt_timeout": "1s"}, effect=Effect.UNSAFE)
    failure = stack.clock.run(stack.fail())
    assert failure.reason is Reason.OUTCOME_UNKNOWN
    assert stack.upstream.attempts == 1


def test_a_write_with_a_key_is_tried_again():
    stack = Stack(hangs, {"attempt_timeout": "1s"}, effect=Effect.UNSAFE, takes_key=True)
    failure = stack.clock.run(stack.fail(key="order-1"))
    assert failure.reason is Reason.UPSTREAM_TIMEOUT
    assert stack.upstream.attempts == 3


@pytest.mark.parametrize("behave", [cannot_connect, too_many()])
def test_a_write_is_tried_again_when_nothing_was_done(behave):
    stack = Stack(behave, effect=Effect.UNSAFE)
    stack.clock.run(stack.fail())
    assert stack.upstream.attempts == 3


def test_a_success_after_failures_is_a_success():
    count = 0

    async def behave(call, clock):
        nonlocal count
        count += 1
        return await (answers if count == 3 else unavailable)(call, clock)

    stack = Stack(behave)
    assert stack.clock.run(stack.ask()) is ANSWER
    retries = stack.observer.operations["shop", "Get"].retries
    assert [failure.reason for _, failure in retries] == [Reason.UPSTREAM_UNAVAILABLE] * 2


def test_spent_retries_end_persistent():
    stack = Stack(unavailable)
    failure = stack.clock.run(stack.fail())
    assert failure.disposition is Disposition.PERSISTENT
    assert failure.context["upstream_status"] == "503"


def test_an_open_breaker_stops_the_retry():
    stack = Stack(unavailable, {"breaker": {"consecutive": 2}, "retry": {"attempts": 5}})
    failure = stack.clock.run(stack.fail())
    assert failure.reason is Reason.BREAKER_OPEN
    assert stack.upstream.attempts == 2


def test_no_wait_begins_that_the_deadline_would_cut():
    """R2."""
    stack = Stack(unavailable, {"retry": {"attempts": 5, "backoff": "10s..10s"}})
    for _ in range(20):
        before = stack.clock.now()
        stack.clock.run(stack.fail(deadline=0.1))
        assert stack.clock.now() < before + 0.1


def test_a_retry_waits_at_least_as_long_as_the_upstream_asks():
    stack = Stack(too_many(1.5))
    failure = stack.clock.run(stack.fail())
    assert failure.retry_after == 1.5
    first, second, third = stack.upstream.arrivals
    assert second - first >= 1.5
    assert third - second >= 1.5


def test_callers_refused_together_do_not_come_back_together():
    """F8: the wait that an upstream asks for is spread, too."""

    async def behave(call, clock):
        is_early = clock.now() < 1002.0
        await clock.sleep(0.1)
        return await (too_many(2.0) if is_early else answers)(call, clock)

    stack = Stack(behave, {"retry": {"attempts": 2}})

    async def load() -> None:
        await asyncio.gather(*(stack.ask() for _ in range(10)))

    stack.clock.run(load())
    again = stack.upstream.arrivals[10:]
    assert len(set(again)) == len(again) == 10
    assert max(again) - min(again) > 0.3


def test_a_status_that_the_policy_names_is_tried_again():
    async def failed(call, clock):
        raise replied(Reason.UPSTREAM_FAILED, 500)

    for statuses, attempts in (([500], 3), ([503], 1), ([], 1)):
        stack = Stack(failed, {"retry": {"statuses": statuses}})
        stack.clock.run(stack.fail())
        assert stack.upstream.attempts == attempts


def test_a_cancel_while_asleep_leaves_no_sleeper():
    stack = Stack(unavailable, {"retry": {"backoff": "10s..10s"}})

    async def play() -> None:
        task = asyncio.create_task(stack.ask())
        await stack.clock.sleep(0.001)
        assert stack.guard.sleepers.count == 1
        task.cancel()
        await asyncio.wait([task])

    stack.clock.run(play())
    assert stack.is_idle


@pytest.mark.parametrize("retry", [0, 1, 2, 6])
def test_twenty_thousand_delays_fit_full_jitter(retry: int):
    """R4: a Kolmogorov-Smirnov test against the uniform distribution in [0, min(cap, base 2^n)],
    at p > 0.01."""
    backoff, random, size = Backoff(0.2, 5.0), Random(20_000 + retry), 20_000
    ceiling = min(5.0, 0.2 * 2**retry)
    sample = sorted(backoff.delay(retry, random) / ceiling for _ in range(size))
    distance = max(
        max((index + 1) / size - value, value - index / size) for index, value in enumerate(sample)
    )
    assert sample[0] >= 0.0
    assert sample[-1] <= 1.0
    assert _ks_probability(distance * math.sqrt(size)) > 0.01


def _ks_probability(scaled: float) -> float:
    """The chance of a larger distance if the sample is what it is said to be (Kolmogorov 1933)."""
    terms = ((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return 2 * sum(terms)


def test_the_kolmogorov_test_can_fail():
    assert _ks_probability(0.5) > 0.9
    assert _ks_probability(1.63) < 0.0101


def test_delays_of_real_calls_fit_full_jitter():
    """R4: what the stack really waits, not only what is drawn."""
    stack = Stack(unavailable, {**NO_BREAKER, "retry": {"attempts": 2}, "bulkhead": None})
    size = 400

    async def load() -> None:
        for _ in range(size):
            await stack.ask()
            await stack.clock.sleep(1.0)

    stack.clock.run(load())
    waits = [wait for wait, _ in stack.observer.operations["shop", "Get"].retries]
    assert len(waits) == size
    sample = sorted(wait / 0.2 for wait in waits)
    distance = max(abs((index + 0.5) / size - value) for index, value in enumerate(sample))
    assert _ks_probability(distance * math.sqrt(size)) > 0.01


def test_the_final_failure_keeps_its_cause():
    origin = ConnectionResetError("what the library said")

    async def behave(call, clock):
        raise Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE) from origin

    stack = Stack(behave)
    assert stack.clock.run(stack.fail()).__cause__ is origin


def test_a_last_attempt_that_was_not_sent_does_not_undo_an_earlier_one():
    """A keyed write that may have arrived, and then found no connection, may still be done."""
    behaviours = [unavailable, cannot_connect, cannot_connect]

    async def behave(call, clock):
        return await behaviours.pop(0)(call, clock)

    stack = Stack(behave, effect=Effect.UNSAFE, takes_key=True)
    failure = stack.clock.run(stack.fail(key="order-1"))
    assert failure.reason is Reason.UPSTREAM_CONNECT
    assert failure.reached is Reached.MAYBE
