"""The whole call: its deadline, its admission, and as many attempts as can help."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from interlaced.core.clock import Alarm, CurrentTask
from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Handler, Request, RequestT, ResultT
from interlaced.resilience.admission import AdmissionGate
from interlaced.resilience.deadline import deadline_failure
from interlaced.resilience.retry import RetryPlan, next_wait, sleep_before_retry, with_past
from interlaced.resilience.wiring import Wiring

__all__ = ["Terms", "whole_call"]


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a call is made: how long it may take at most, in seconds, who admits it, and
    how often it is tried. Without a plan it is tried once, and an unknown outcome is told apart
    from a known one: who asked may try again."""

    seconds: float
    admission: AdmissionGate
    plan: RetryPlan | None


def whole_call(
    follow: Handler[RequestT, ResultT], wiring: Wiring, terms: Terms
) -> Handler[RequestT, ResultT]:
    """Answers by the caller's deadline or within the terms' time, whichever comes first.

    Raises DEADLINE_SPENT without touching anything if the time is over already, OVERLOADED if the
    process has no room, and at the end of the time UPSTREAM_TIMEOUT (or OUTCOME_UNKNOWN) if an
    attempt was under way, else DEADLINE_SPENT. Retries hold the one permit of their call. A call
    that was `tried` in flight begins behind its first attempt.
    """
    clock, seconds, gate = wiring.clock, terms.seconds, terms.admission
    try_enter, leave, current_task = gate.try_enter, gate.leave, CurrentTask()
    plan = terms.plan
    add_call = None if plan is None else plan.budget.add_call

    async def run(request: RequestT) -> ResultT:
        now, tried = clock.now(), request.tried
        deadline = request.deadline = min(request.deadline, now + seconds)
        if deadline <= now and tried is None:
            raise wiring.refused(request, "deadline", deadline_failure(request))
        alarm = request.alarm = Alarm(clock, current_task())
        is_in = False
        try:
            if tried is not None:
                is_in = try_enter()
                return await _after_flight(follow, request, tried, wiring, plan if is_in else None)
            if not try_enter():
                alarm.set(deadline)
                await gate.enter(request)
            is_in = True
            if add_call is not None:
                add_call(clock.now())
            try:
                return await follow(request)
            except Failure as failure:
                return await _again(follow, request, failure, wiring, plan)
        except asyncio.CancelledError as error:
            if not alarm.claim():
                raise
            raise wiring.repeat.as_final(request, deadline_failure(request)) from error
        finally:
            alarm.off()
            request.alarm = None
            if is_in:
                leave()

    return run


async def _after_flight(
    follow: Handler[RequestT, ResultT],
    request: RequestT,
    tried: Exception,
    wiring: Wiring,
    plan: RetryPlan | None,
) -> ResultT:
    """Goes on after a first attempt that was made in flight. Its permit was given back there.
    It ends here without a plan, which is where the process has no room for it any more, and where
    its time is over."""
    request.tried = None
    if not isinstance(tried, Failure):
        raise tried
    if plan is None or request.deadline <= wiring.clock.now():
        final = wiring.repeat.as_final(request, tried)
        raise final from final.__cause__
    return await _again(follow, request, tried, wiring, plan)


async def _again(
    follow: Handler[RequestT, ResultT],
    request: RequestT,
    failure: Failure,
    wiring: Wiring,
    plan: RetryPlan | None,
) -> ResultT:
    """Goes on after the first attempt has failed: tries again while that can help, does no harm,
    fits the deadline and is in the budget.

    What it raises in the end is final: a temporary failure becomes PERSISTENT, and a write that
    may have been done becomes OUTCOME_UNKNOWN.
    """
    if plan is None:
        told = wiring.repeat.as_told(request, failure)
        raise told from told.__cause__
    retries = 0
    while True:
        was_seen = failure.reached is Reached.MAYBE
        wait = next_wait(request, failure, retries, wiring, plan)
        if wait is None:
            final = wiring.repeat.as_final(request, failure)
            raise final from final.__cause__
        _expect(request)
        await sleep_before_retry(request, failure, wait, wiring, plan)
        retries += 1
        try:
            return await follow(request)
        except Failure as error:
            failure = with_past(error, was_seen=was_seen)


def _expect(request: Request) -> None:
    """Ends the wait for the next attempt by the deadline; the attempt's own time is over."""
    if request.alarm is not None:
        request.alarm.set(request.deadline)
