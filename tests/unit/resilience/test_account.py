"""What is told of an attempt, to the observer, the ledger and the effort."""

from __future__ import annotations

from policy_rig import make_call, make_wiring

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.resilience.account import cancelled, settle_failed, too_slow
from interlaced.testing.clock import VirtualClock


def test_a_request_that_never_became_an_attempt_is_none():
    clock = VirtualClock()
    wiring, call = make_wiring(clock), make_call(clock)
    call.effort.attempts, call.effort.is_attempting = 1, True
    settle_failed(call, wiring, clock.now(), Failure(Reason.INVALID_REQUEST, "no"))
    assert (call.effort.attempts, call.effort.is_attempting) == (0, False)
    assert (call.effort.ledger, wiring.observer.attempts) == ([], [])


def test_a_failed_attempt_is_told_to_the_observer_and_to_the_ledger():
    clock = VirtualClock()
    wiring, call = make_wiring(clock), make_call(clock)
    call.effort.attempts = 1
    failure = Failure(Reason.UPSTREAM_FAILED, "no", reached=Reached.REPLIED, upstream_status="500")
    settle_failed(call, wiring, clock.now(), failure)
    assert call.effort.attempts == 1
    (step,) = call.effort.ledger
    assert (step.step, step.reason, step.upstream_status) == ("attempt", "UPSTREAM_FAILED", "500")
    assert [told for _, told in wiring.observer.attempts] == [failure]


def test_an_attempt_that_its_call_ends_says_whose_time_it_was():
    clock = VirtualClock()
    call = make_call(clock, deadline=1.0)
    call.effort.reached, call.effort.is_attempting = Reached.MAYBE, True
    assert cancelled(call, clock.now()).reason is Reason.CALLER_CANCELLED
    assert cancelled(call, call.deadline).reason is Reason.UPSTREAM_TIMEOUT
    assert too_slow(call).reached is Reached.MAYBE
