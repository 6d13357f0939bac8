"""The deadline: one timer per call, around everything."""

from __future__ import annotations

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Handler, Request, RequestT, ResultT
from interlaced.resilience.wiring import Wiring

__all__ = ["deadline", "deadline_failure"]


def deadline(
    follow: Handler[RequestT, ResultT], wiring: Wiring, *, seconds: float
) -> Handler[RequestT, ResultT]:
    """Answers by the caller's deadline or after `seconds`, whichever comes first.

    Raises DEADLINE_SPENT without touching anything if the time is over already, and at the end of
    it UPSTREAM_TIMEOUT (or OUTCOME_UNKNOWN) if an attempt was under way, else DEADLINE_SPENT.
    """
    clock, repeat = wiring.clock, wiring.repeat

    async def run(request: RequestT) -> ResultT:
        now = clock.now()
        request.deadline = min(request.deadline, now + seconds)
        if request.deadline <= now:
            raise wiring.refused(request, "deadline", deadline_failure(request))
        limit = TimeLimit(clock, request.deadline)
        try:
            with limit:
                return await follow(request)
        except TimeoutError as error:
            if not limit.is_over:
                raise
            raise repeat.as_final(request, deadline_failure(request)) from error

    return run


def deadline_failure(request: Request) -> Failure:
    """Tells what the end of the time means: it depends on whether an attempt was under way."""
    effort = request.effort
    if effort.is_attempting:
        return Failure(
            Reason.UPSTREAM_TIMEOUT,
            "the upstream did not answer before the deadline",
            reached=effort.reached,
        )
    return Failure(Reason.DEADLINE_SPENT, "the deadline passed with no attempt under way")
