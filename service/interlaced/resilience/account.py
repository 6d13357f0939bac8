"""The account of an attempt: what the observer, the ledger and the effort are told of it."""

from __future__ import annotations

from interlaced.core.failure import Failure, Kind, Reached, Reason
from interlaced.core.model import Request, Step
from interlaced.resilience.deadline import deadline_failure
from interlaced.resilience.wiring import Wiring

__all__ = ["cancelled", "settle_failed", "tell_failed", "too_slow"]


def settle_failed(request: Request, wiring: Wiring, since: float, failure: Failure) -> None:
    """Ends an attempt that began at `since` and failed, if it ever became one."""
    effort = request.effort
    effort.is_attempting = False
    if _was_made(failure):
        tell_failed(request, wiring, since, failure)
    else:
        effort.attempts -= 1


def too_slow(request: Request) -> Failure:
    """Returns what an attempt is told whose own time is over."""
    return Failure(
        Reason.UPSTREAM_TIMEOUT,
        "the upstream did not answer within the attempt's time",
        reached=request.effort.reached,
    )


def _was_made(failure: Failure) -> bool:
    """Whether there was an attempt: a request that does not fit its operation never became one."""
    return failure.reached is not Reached.NOT_SENT or failure.kind is not Kind.INVALID


def cancelled(request: Request, now: float) -> Failure:
    """Returns what is told of an attempt that was ended at `now` by its call's end."""
    if now >= request.deadline:
        return deadline_failure(request)
    return Failure(Reason.CALLER_CANCELLED, "the caller gave up", reached=request.effort.reached)


def tell_failed(request: Request, wiring: Wiring, since: float, failure: Failure) -> None:
    """Tells of an attempt that began at `since`, a time of the clock, and was not answered."""
    seconds = wiring.clock.now() - since
    wiring.observer.attempted(seconds, failure)
    effort = request.effort
    if effort.ledger is not None:
        status = failure.context.get("upstream_status", "")
        start = since - effort.started
        effort.note(Step("attempt", start, seconds, failure.reason, status, effort.breaker))
