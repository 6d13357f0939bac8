"""The whole call: one alarm for its deadline, its waits and its attempts."""

from __future__ import annotations

import asyncio

import pytest
from policy_rig import OFF, Stack, answers, hangs, slowly, unavailable

from interlaced.core.failure import Reason
from interlaced.core.model import Effect
from interlaced.resilience.admission import Admission


def test_an_attempts_time_ends_the_attempt_and_the_deadline_the_call() -> None:
    policy = {"deadline": "2500ms", "attempt_timeout": "1s", "breaker": None}
    stack = Stack(hangs, {**policy, "retry": {"attempts": 5, "backoff": "1ms..1ms"}})
    failure = stack.clock.run(stack.fail())
    assert failure.reason is Reason.UPSTREAM_TIMEOUT
    assert stack.upstream.attempts == 3
    assert stack.clock.now() == pytest.approx(1002.5, abs=0.01)
    assert stack.is_idle


def test_the_wait_between_attempts_outlives_the_attempts_own_time() -> None:
    """The alarm of an attempt must not ring while its call sleeps."""
    policy = {"attempt_timeout": "1s", "retry": {"attempts": 2, "backoff": "3s..3s"}}
    stack = Stack(unavailable, {**OFF, **policy})
    call = stack.call(ledger=True)
    failure = stack.clock.run(_end(stack, call))
    assert failure == Reason.UPSTREAM_UNAVAILABLE.value
    assert stack.upstream.attempts == 2


async def _end(stack: Stack, call: object) -> str:
    try:
        await stack.handler(call)  # type: ignore[arg-type]  # it is one
    except Exception as failure:  # noqa: BLE001  # whatever it is, the test looks at it
        return str(getattr(failure, "reason", failure).value)
    return "answered"


def test_a_wait_at_a_gate_ends_by_the_deadline() -> None:
    stack = Stack(hangs, {"bulkhead": {"in_flight": 1, "queue": 5}, "attempt_timeout": None})

    async def both() -> Reason:
        first = asyncio.create_task(stack.fail(deadline=9.0))
        await asyncio.sleep(0)
        second = await stack.fail(deadline=0.5)
        await first
        return second.reason

    assert stack.clock.run(both()) is Reason.DEADLINE_SPENT
    assert stack.is_idle


def test_nothing_of_the_alarm_is_left_on_an_answered_call() -> None:
    stack = Stack(slowly(0.5))
    call = stack.call(deadline=30.0)

    async def main() -> None:
        await stack.handler(call)
        assert call.alarm is None
        await stack.clock.sleep(100.0)

    stack.clock.run(main())
    assert stack.upstream.attempts == 1


def test_one_permit_serves_all_attempts_and_is_given_back() -> None:
    stack = Stack(unavailable, effect=Effect.SAFE, admission=Admission(1))
    stack.clock.run(stack.fail())
    assert stack.upstream.attempts > 1
    assert stack.is_idle
    assert stack.clock.run(Stack(answers, admission=Admission(1)).ask()) is not None
