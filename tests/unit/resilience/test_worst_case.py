"""The printed worst case against what really happens."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_rig import (
    Stack,
    answers,
    cannot_connect,
    hangs,
    replied,
    slowly,
    too_many,
    unavailable,
)

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Effect
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.worst_case import describe, worst_case

BARELY = 1e-9

durations = st.floats(0.01, 60.0)
backoffs = st.tuples(durations, durations).map(lambda pair: Backoff(min(pair), max(pair)))
policies = st.fixed_dictionaries(
    {
        "deadline": st.floats(0.01, 300.0),
        "attempt_timeout": st.none() | durations,
        "retry": st.fixed_dictionaries(
            {
                "attempts": st.integers(1, 5),
                "backoff": backoffs,
                "budget": st.sampled_from([0.0, 0.1, 1.0]),
                "max_wait": st.sampled_from([0.0, 1.0, 30.0]),
            }
        ),
        "limit": st.none()
        | st.fixed_dictionaries(
            {
                "rate": st.sampled_from(["1/s", "50/s"]),
                "burst": st.integers(1, 5),
                "when_full": st.sampled_from(["wait", "fail"]),
            }
        ),
        "breaker": st.none() | st.fixed_dictionaries({"consecutive": st.integers(1, 10)}),
        "bulkhead": st.none()
        | st.fixed_dictionaries({"in_flight": st.integers(1, 4), "queue": st.integers(0, 4)}),
    }
)
effects = st.sampled_from(list(Effect))


async def slow_429(call: Call, clock) -> None:
    """Refuses as late as an attempt allows: retried whatever the effect, not a breaker's matter."""
    await clock.sleep(call.metadata["seconds"])
    raise replied(Reason.UPSTREAM_RATE_LIMITED, 429)


class BarelyFitting(Random):
    """Chance that draws the most that the deadline leaves room for."""

    stack: Stack

    def uniform(self, a: float, b: float) -> float:
        room = self.deadline - self.stack.clock.now()
        return min(b, room - min(BARELY, room / 2)) if room > 0 else b

    deadline = 0.0


@settings(max_examples=300)
@given(
    policy=policies,
    effect=effects,
    behave=st.sampled_from(
        [
            hangs,
            unavailable,
            cannot_connect,
            slowly(0.5),
            answers,
            *(too_many(wait) for wait in (None, 0.1, 1.0, 20.0)),
        ]
    ),
    callers=st.integers(1, 12),
    seed=st.integers(0, 2**32),
)
def test_no_call_ever_passes_the_printed_worst_case(policy, effect, behave, callers, seed):
    """L2, R19: neither in time nor in attempts, with others in the way, whatever is configured."""
    stack = Stack(behave, policy, effect=effect, random=Random(seed))
    worst = worst_case(stack.policy, effect, takes_key=False)

    async def one() -> tuple[float, Call]:
        since, call = stack.clock.now(), stack.call()
        with contextlib.suppress(Failure):
            await stack.handler(call)
        return stack.clock.now() - since, call

    async def crowd() -> list[tuple[float, Call]]:
        return await asyncio.gather(*(one() for _ in range(callers)))

    for seconds, call in stack.clock.run(crowd()):
        assert seconds <= worst.seconds + 1e-6
        assert call.effort.attempts <= worst.attempts
    assert worst.alone_seconds <= worst.seconds <= stack.policy.deadline


@settings(max_examples=300)
@given(policy=policies, effect=effects)
def test_the_printed_worst_case_really_happens(policy, effect):
    """L2, R19: an upstream that hangs as long as it may brings exactly the printed seconds, and
    one that refuses at once exactly the printed attempts."""
    policy |= {"limit": None}
    attempts = _worst_attempts(policy, effect)
    seconds = _worst_seconds(policy, effect)
    worst = worst_case(PolicyConfig().overlaid(policy), effect, takes_key=False)
    assert attempts == worst.attempts
    assert seconds == pytest.approx(worst.alone_seconds, abs=1e-6)


def _worst_attempts(policy, effect: Effect) -> int:
    class NoWait(Random):
        def uniform(self, a: float, b: float) -> float:
            return a

    stack = Stack(too_many(), policy, effect=effect, random=NoWait())
    stack.clock.run(stack.fail())
    return stack.upstream.attempts


def _worst_seconds(policy, effect: Effect) -> float:
    chance = BarelyFitting()
    stack = Stack(slow_429, policy, effect=effect, random=chance)
    config = stack.policy
    limit = config.deadline if config.attempt_timeout is None else config.attempt_timeout
    chance.stack, chance.deadline = stack, stack.clock.now() + config.deadline

    async def one() -> None:
        call = stack.call()
        call.metadata = {"seconds": limit - BARELY}
        with pytest.raises(Failure):
            await stack.handler(call)

    stack.clock.run(one())
    return stack.clock.now() - 1000.0


def test_a_queue_can_take_a_call_to_its_deadline():
    """L2: which is why the printed seconds are the deadline where calls may queue."""
    policy = {"deadline": "3s", "attempt_timeout": "1s", "breaker": None}
    policy |= {"retry": {"attempts": 1}, "bulkhead": {"in_flight": 1, "queue": 10}}
    stack = Stack(hangs, policy)
    worst = worst_case(stack.policy, Effect.SAFE, takes_key=False)
    assert (worst.seconds, worst.alone_seconds) == (3.0, 1.0)

    async def crowd() -> None:
        await asyncio.gather(*(stack.ask() for _ in range(5)))

    stack.clock.run(crowd())
    assert stack.clock.now() - 1000.0 == pytest.approx(worst.seconds)


def test_a_write_without_a_key_is_executed_once_at_most():
    """L3, R19."""
    policy = PolicyConfig()
    assert worst_case(policy, Effect.UNSAFE, takes_key=False).executions == 1
    assert worst_case(policy, Effect.UNSAFE, takes_key=True).executions == 3
    assert worst_case(policy, Effect.SAFE, takes_key=False).executions == 3


def test_the_lines_tell_the_policy_and_the_worst_case():
    policy = PolicyConfig().overlaid({"deadline": "10s", "attempt_timeout": "2s"})
    lines = describe(policy, effect=Effect.SAFE, takes_key=False)
    assert [line.split("  ")[0] for line in lines] == [
        "deadline", "attempt timeout", "retry", "breaker", "bulkhead", "limit", "worst case",
    ]  # fmt: skip
    assert "at most 3 attempts" in lines[2]
    assert "failures >= 50% of 20 calls in 10s, or 5 in a row" in lines[3]
    assert "10s, 3 upstream calls of which 3 may be acted on" in lines[-1]
    assert "alone 3 x 2s + 200ms + 400ms, at most 6.6s" in lines[-1]


def test_the_lines_tell_what_is_off():
    policy = PolicyConfig().overlaid(
        {"attempt_timeout": None, "retry": {"attempts": 1}, "breaker": None, "bulkhead": None}
    )
    text = "\n".join(describe(policy, effect=Effect.UNSAFE, takes_key=False))
    assert text.count("none") == 4
    assert "retry            never" in text


def test_the_lines_tell_when_a_write_is_tried_again():
    policy = PolicyConfig().overlaid({"retry": {"statuses": [429, 503]}, "limit": {"rate": "50/s"}})
    text = "\n".join(describe(policy, effect=Effect.UNSAFE, takes_key=True))
    assert "only if nothing was sent, or after a 429, or with an idempotency key" in text
    assert "statuses 429 503" in text
    assert "50/s, burst 10, when full wait" in text
