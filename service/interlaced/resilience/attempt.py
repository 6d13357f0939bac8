"""The attempt: counted, timed, cut off, and written into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic

from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Handler, Request, RequestT, ResultT, Step
from interlaced.resilience.account import (
    cancelled,
    settle_failed,
    tell_failed,
    too_slow,
)
from interlaced.resilience.breaker import Breaker, Verdict, judge, judge_cancel
from interlaced.resilience.gates import Gate
from interlaced.resilience.wiring import Wiring

__all__ = ["Before", "Reading", "Timing", "attempt"]


@dataclass(frozen=True, slots=True)
class Reading(Generic[ResultT]):
    """How policies read the results of one kind of request.

    `status` and `size` (bytes) are for the ledger; `verdict` tells the breaker what a result says
    about the upstream; `reached` is assumed until the transport says how far it got.
    """

    status: Callable[[ResultT], str]
    size: Callable[[ResultT], int]
    verdict: Callable[[ResultT], Verdict]
    reached: Reached = Reached.NOT_SENT


@dataclass(frozen=True, slots=True)
class Before:
    """What stands before an attempt: the breaker, then the gates, outermost first."""

    breaker: Breaker | None
    gates: Sequence[Gate]


@dataclass(frozen=True, slots=True)
class Timing:
    """How long an attempt may take, in seconds, and who learns from a failure when to come back."""

    timeout: float | None
    learn: Callable[[Failure], None]


def attempt(
    follow: Handler[RequestT, ResultT],
    wiring: Wiring,
    *,
    before: Before,
    timing: Timing,
    reading: Reading[ResultT],
) -> Handler[RequestT, ResultT]:
    """Makes one attempt, once the breaker and every gate let it through.

    Raises BREAKER_OPEN, what a gate refuses with, and UPSTREAM_TIMEOUT at the end of its time.
    Every attempt counts for the breaker, and holds its places only while it runs. It is one
    function and not a layer for each, since a layer costs as much as what it does.
    """
    breaker, now, timeout = before.breaker, wiring.clock.now, timing.timeout
    entries = tuple((gate.try_enter, gate.enter) for gate in before.gates)
    exits = tuple(gate.leave for gate in before.gates)
    assumed, judge_result, learn = reading.reached, reading.verdict, timing.learn

    async def run(request: RequestT) -> ResultT:
        ticket = 0 if breaker is None else _enter(breaker, request, wiring)
        since, passed, verdict = now(), 0, Verdict.NOTHING
        try:
            for try_enter, enter in entries:
                if not try_enter():
                    await _wait_at(enter, request)
                passed += 1
            began = _begin(request, now(), assumed, timeout)
            try:
                result = await follow(request)
            except (Failure, asyncio.CancelledError) as error:
                raise _ended(error, request, wiring, began, learn) from error.__cause__
            request.effort.is_attempting = False
            _tell_answered(request, wiring, began, reading, result)
            verdict = judge_result(result)
        except Failure as failure:
            verdict = judge(failure)
            raise
        except asyncio.CancelledError:
            verdict = judge_cancel(request, since, wiring.clock)
            raise
        else:
            return result
        finally:
            while passed:
                passed -= 1
                exits[passed]()
            if breaker is not None:
                breaker.leave(ticket, verdict)

    return run


def _enter(breaker: Breaker, request: Request, wiring: Wiring) -> int:
    effort = request.effort
    effort.breaker = breaker.state_text
    try:
        ticket = breaker.enter()
    except Failure as failure:
        raise wiring.refused(request, "breaker", failure) from None
    effort.breaker = breaker.state_text
    return ticket


async def _wait_at(enter: Callable[[Request], Awaitable[None]], request: Request) -> None:
    """Waits at a gate, by the deadline at most."""
    if request.alarm is not None:
        request.alarm.set(request.deadline)
    await enter(request)


def _begin(request: Request, now: float, assumed: Reached, timeout: float | None) -> float:
    """Counts an attempt and sets its time; returns when it began."""
    effort, until = request.effort, request.deadline
    effort.attempts += 1
    effort.reached = assumed
    effort.is_attempting = True
    if timeout is not None and now + timeout < until:
        until = now + timeout
    if request.alarm is not None:
        request.alarm.set(until)
    return now


def _ended(
    error: Failure | asyncio.CancelledError,
    request: Request,
    wiring: Wiring,
    began: float,
    learn: Callable[[Failure], None],
) -> Failure | asyncio.CancelledError:
    """Returns what an attempt that was not answered raises."""
    if isinstance(error, Failure):
        failure = error
    else:
        alarm = request.alarm
        if alarm is None or alarm.when >= request.deadline or not alarm.claim():
            # It stays `is_attempting`: the deadline and the breaker want to know.
            tell_failed(request, wiring, began, cancelled(request, wiring.clock.now()))
            return error
        failure = too_slow(request)
        failure.__cause__ = error
    settle_failed(request, wiring, began, failure)
    learn(failure)
    return failure


def _tell_answered(
    request: Request, wiring: Wiring, since: float, reading: Reading[ResultT], result: ResultT
) -> None:
    seconds = wiring.clock.now() - since
    wiring.observer.attempted(seconds, None)
    effort = request.effort
    if effort.ledger is not None:
        status, size = reading.status(result), reading.size(result)
        start = since - effort.started
        effort.note(Step("attempt", start, seconds, "", status, effort.breaker, size))
