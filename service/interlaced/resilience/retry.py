"""Retry: whether, when and out of whose budget an upstream is asked again."""

from __future__ import annotations

from dataclasses import dataclass

from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Request, Step
from interlaced.resilience.budget import RetryBudget
from interlaced.resilience.bulkhead import Sleepers
from interlaced.resilience.pause import release_spread
from interlaced.resilience.wiring import Wiring

__all__ = ["RetryPlan", "next_wait", "sleep_before_retry", "with_past"]


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How often, after which waits, and out of whose budget. `max_wait` in seconds."""

    attempts: int
    backoff: Backoff
    max_wait: float
    budget: RetryBudget
    sleepers: Sleepers


def with_past(failure: Failure, *, was_seen: bool) -> Failure:
    """A last attempt that was not sent does not undo an earlier one that may have arrived."""
    if was_seen and failure.reached is Reached.NOT_SENT:
        return failure.but(reached=Reached.MAYBE)
    return failure


def next_wait(
    request: Request,
    failure: Failure,
    retries: int,
    wiring: Wiring,
    plan: RetryPlan,
) -> float | None:
    """Returns how long to wait before the next attempt, in seconds, or None if there is none.

    No wait is begun that could not be finished: one that the deadline would cut, or that the
    upstream asks for beyond `max_wait`, ends the call at once, and the caller learns the wait.
    """
    if retries + 1 >= plan.attempts or not wiring.repeat.can_retry(request, failure):
        return None
    wait = plan.backoff.delay(retries, wiring.random)
    asked = failure.retry_after or 0.0
    room = request.deadline - wiring.clock.now()
    if asked > plan.max_wait or max(asked, wait) >= room:
        return None
    if asked > 0:
        spread = min(release_spread(asked), (room - asked) / 2)
        wait = max(wait, asked + wiring.random.uniform(0.0, spread))
    return wait if plan.budget.try_spend() else None


async def sleep_before_retry(
    request: Request,
    failure: Failure,
    wait: float,
    wiring: Wiring,
    plan: RetryPlan,
) -> None:
    """Sleeps before the next attempt, if there is room for one more sleeper."""
    if not plan.sleepers.try_enter():
        raise wiring.repeat.as_final(request, failure) from failure
    since = wiring.clock.now()
    wiring.observer.retry_scheduled(wait, failure)
    try:
        await wiring.clock.sleep(wait)
    finally:
        plan.sleepers.leave()
    effort = request.effort
    if effort.ledger is not None:
        start = since - effort.started
        effort.note(Step("retry", start, wiring.clock.now() - since, failure.reason.value))
