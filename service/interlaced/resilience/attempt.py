"""The attempt: counted, timed, cut off, and written into the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, Kind, Reached, Reason
from interlaced.core.model import Handler, Request, RequestT, ResultT, Step
from interlaced.core.ports import Clock
from interlaced.resilience.breaker import Verdict
from interlaced.resilience.deadline import deadline_failure
from interlaced.resilience.wiring import Wiring

__all__ = ["Reading", "Timing", "attempt"]


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
class Timing:
    """How long an attempt may take, in seconds, and who learns from a failure when to come back."""

    timeout: float | None
    learn: Callable[[Failure], None]


def attempt(
    follow: Handler[RequestT, ResultT],
    wiring: Wiring,
    *,
    timing: Timing,
    reading: Reading[ResultT],
) -> Handler[RequestT, ResultT]:
    """Makes one attempt; raises UPSTREAM_TIMEOUT at the end of its time.

    A timer is only set where the deadline does not come first.
    """
    clock, timeout = wiring.clock, timing.timeout

    async def run(request: RequestT) -> ResultT:
        effort = request.effort
        effort.attempts += 1
        effort.reached = reading.reached
        effort.is_attempting = True
        since = clock.now()
        try:
            if timeout is None or since + timeout >= request.deadline:
                result = await follow(request)
            else:
                with _AttemptLimit(clock, since + timeout, request):
                    result = await follow(request)
        except Failure as failure:
            effort.is_attempting = False
            if _was_made(failure):
                _tell_failed(request, wiring, since, failure)
            else:
                effort.attempts -= 1
            timing.learn(failure)
            raise
        except asyncio.CancelledError:
            # It stays `is_attempting`: the deadline and the breaker want to know.
            _tell_failed(request, wiring, since, _cancelled(request, clock.now()))
            raise
        effort.is_attempting = False
        _tell_answered(request, wiring, since, reading, result)
        return result

    return run


class _AttemptLimit(TimeLimit):
    """The time of one attempt."""

    __slots__ = ("_request",)

    def __init__(self, clock: Clock, when: float, request: Request) -> None:
        super().__init__(clock, when)
        self._request = request

    def expired(self) -> Exception:
        """Says that the upstream was too slow."""
        return Failure(
            Reason.UPSTREAM_TIMEOUT,
            "the upstream did not answer within the attempt's time",
            reached=self._request.effort.reached,
        )


def _was_made(failure: Failure) -> bool:
    """Whether there was an attempt: a request that does not fit its operation never became one."""
    return failure.reached is not Reached.NOT_SENT or failure.kind is not Kind.INVALID


def _cancelled(request: Request, now: float) -> Failure:
    if now >= request.deadline:
        return deadline_failure(request)
    return Failure(Reason.CALLER_CANCELLED, "the caller gave up", reached=request.effort.reached)


def _tell_failed(request: Request, wiring: Wiring, since: float, failure: Failure) -> None:
    seconds = wiring.clock.now() - since
    wiring.observer.attempted(seconds, failure)
    effort = request.effort
    if effort.ledger is not None:
        status = failure.context.get("upstream_status", "")
        start = since - effort.started
        effort.note(Step("attempt", start, seconds, failure.reason, status, effort.breaker))


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
