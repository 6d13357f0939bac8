"""What policies tell about themselves."""

from __future__ import annotations

from policy_rig import make_call, make_wiring

from interlaced.core.failure import Failure, Reason
from interlaced.testing.clock import VirtualClock


def test_a_refusal_reaches_the_observer_and_the_ledger():
    clock = VirtualClock()
    wiring, call = make_wiring(clock), make_call(clock)
    failure = Failure(Reason.BULKHEAD_FULL, "full")
    assert wiring.refused(call, "bulkhead", failure) is failure
    assert wiring.observer.rejections == [("bulkhead", failure)]
    (step,) = call.effort.ledger
    assert (step.step, step.reason) == ("bulkhead", "BULKHEAD_FULL")


def test_a_wait_reaches_the_observer_and_the_ledger():
    clock = VirtualClock()
    wiring, call = make_wiring(clock), make_call(clock)
    since = clock.now()
    clock.run(clock.sleep(2.0))
    wiring.waited(call, "limiter", since, "local_limit")
    assert wiring.observer.waits == [("limiter", 2.0)]
    (step,) = call.effort.ledger
    assert (step.step, step.start, step.duration, step.reason) == (
        "limiter", 0.0, 2.0, "local_limit",
    )  # fmt: skip


def test_without_a_ledger_nothing_is_written():
    clock = VirtualClock()
    wiring, call = make_wiring(clock), make_call(clock)
    call.effort.ledger = None
    wiring.waited(call, "limiter", clock.now())
    wiring.refused(call, "limiter", Failure(Reason.RATE_LIMITED, "full"))
    assert call.effort.ledger is None
    assert (len(wiring.observer.waits), len(wiring.observer.rejections)) == (1, 1)
