"""The deadline: what the end of a call's time means."""

from __future__ import annotations

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Request

__all__ = ["deadline_failure"]


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
