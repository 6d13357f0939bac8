"""What every policy of one operation is given, and how policies tell what they did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from interlaced.core.failure import Failure
from interlaced.core.model import Request, Step
from interlaced.core.ports import Clock, OperationObserver
from interlaced.resilience.permits import Permits, QueueFull
from interlaced.resilience.repeat import Repeat

__all__ = ["Wiring"]


@dataclass(frozen=True, slots=True)
class Wiring:
    """Time, chance, somebody to tell, and what may be repeated."""

    clock: Clock
    random: Random
    observer: OperationObserver
    repeat: Repeat

    def refused(self, request: Request, policy: str, failure: Failure) -> Failure:
        """Tells the observer and the ledger that `policy` refused, and returns the failure."""
        self.observer.rejected(policy, failure)
        effort = request.effort
        if effort.ledger is not None:
            start = self.clock.now() - effort.started
            effort.note(Step(policy, start, 0.0, failure.reason.value, breaker=effort.breaker))
        return failure

    async def queue(
        self, request: Request, policy: str, permits: Permits, full: Callable[[], Failure]
    ) -> None:
        """Waits for a permit in the name of `policy`; raises what `full` says if none is left."""
        since = self.clock.now()
        try:
            await permits.take()
        except QueueFull:
            raise self.refused(request, policy, full()) from None
        self.waited(request, policy, since)

    def waited(self, request: Request, policy: str, since: float, reason: str = "") -> None:
        """Tells that `policy` made the call wait from `since`, a time of the clock, until now."""
        seconds = self.clock.now() - since
        self.observer.waited(policy, seconds)
        effort = request.effort
        if effort.ledger is not None:
            effort.note(Step(policy, since - effort.started, seconds, reason))
