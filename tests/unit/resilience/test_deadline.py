"""The deadline."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_rig import ANSWER, Stack, answers, cannot_connect, hangs, slowly, too_many, unavailable

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effect
from interlaced.resilience.admission import Admission, AdmissionGate
from interlaced.resilience.deadline import deadline_failure
from interlaced.resilience.whole_call import Terms, whole_call

from policy_rig import make_call, make_wiring  # isort: skip
from interlaced.testing.clock import VirtualClock


def test_a_call_with_300_ms_ends_by_then_and_nothing_is_scheduled_after():
    """P5: a 300 ms deadline against an upstream that sleeps 5 s."""
    stack = Stack(slowly(5.0))
    failure = stack.clock.run(stack.fail(deadline=0.3))
    assert failure.reason is Reason.UPSTREAM_TIMEOUT
    assert failure.reached is Reached.MAYBE
    assert stack.clock.now() == pytest.approx(1000.3)
    assert stack.upstream.attempts == 1
    assert stack.upstream.under_way == 0
    assert stack.observer.operations["shop", "Get"].retries == []


def test_a_caller_without_a_deadline_gets_the_policys_own():
    """P5, R6: no call waits for ever."""
    stack = Stack(hangs, {"deadline": "3s"})
    stack.clock.run(stack.fail())
    assert stack.clock.now() == pytest.approx(1003.0)


def test_a_spent_deadline_touches_nothing():
    stack = Stack(answers)
    failure = stack.clock.run(stack.fail(deadline=0.0))
    assert failure.reason is Reason.DEADLINE_SPENT
    assert stack.upstream.attempts == 0


def test_a_deadline_that_ends_in_a_queue_is_spent():
    stack = Stack(hangs, admission=Admission(1, queue=1))

    async def both() -> Failure:
        first = asyncio.create_task(stack.fail())
        await asyncio.sleep(0)
        failure = await stack.fail(deadline=0.5)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return failure

    assert stack.clock.run(both()).reason is Reason.DEADLINE_SPENT
    assert stack.is_idle


def test_an_unsafe_call_cut_off_after_sending_has_an_unknown_outcome():
    stack = Stack(hangs, effect=Effect.UNSAFE)
    assert stack.clock.run(stack.fail(deadline=1.0)).reason is Reason.OUTCOME_UNKNOWN


def test_a_callers_cancel_passes_through():
    stack = Stack(hangs)

    async def cancelled() -> bool:
        task = asyncio.create_task(stack.ask())
        await stack.clock.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert stack.clock.run(cancelled())


def test_a_timeout_error_of_somebody_else_is_not_ours():
    clock = VirtualClock()

    async def breaks(call):
        raise TimeoutError

    wiring = make_wiring(clock)
    terms = Terms(1.0, AdmissionGate(Admission(1), wiring), None)
    handler = whole_call(breaks, wiring, terms)
    call = make_call(clock)
    with pytest.raises(TimeoutError):
        clock.run(handler(call))


def test_the_end_of_the_time_means_what_was_under_way():
    call = make_call(VirtualClock())
    assert deadline_failure(call).reason is Reason.DEADLINE_SPENT
    call.effort.is_attempting = True
    assert deadline_failure(call).reason is Reason.UPSTREAM_TIMEOUT


@given(
    behave=st.sampled_from(
        [answers, hangs, cannot_connect, unavailable, slowly(0.7), too_many(1.0), too_many(60.0)]
    ),
    seconds=st.floats(0.01, 40.0),
    callers=st.integers(1, 8),
    in_flight=st.integers(1, 3),
    rate=st.sampled_from([None, {"rate": "2/s", "burst": 1}]),
    effect=st.sampled_from(list(Effect)),
)
def test_every_call_is_answered_by_its_deadline(behave, seconds, callers, in_flight, rate, effect):
    """L1: in virtual time to the moment, whatever the upstream does and however many call."""
    policy = {"bulkhead": {"in_flight": in_flight, "queue": 4}, "limit": rate}
    stack = Stack(behave, policy, effect=effect)

    async def crowd() -> list[object]:
        return await asyncio.gather(*(stack.ask(deadline=seconds) for _ in range(callers)))

    outcomes = stack.clock.run(crowd())
    assert stack.clock.now() <= 1000.0 + min(seconds, 30.0) + 1e-6
    assert all(outcome is ANSWER or isinstance(outcome, Failure) for outcome in outcomes)
    assert stack.is_idle
