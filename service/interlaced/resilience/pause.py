"""The pause: an upstream that said "come back in 30 s" is left alone by all of its callers."""

from __future__ import annotations

from random import Random

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.core.model import Request
from interlaced.core.ports import Clock
from interlaced.resilience.bulkhead import Sleepers
from interlaced.resilience.gates import no_op
from interlaced.resilience.wiring import Wiring

__all__ = ["Pause", "PauseGate", "release_spread"]

_OBEYED = frozenset({Reason.UPSTREAM_RATE_LIMITED, Reason.UPSTREAM_UNAVAILABLE})
_SHORTEST_SPREAD = 0.1
_LONGEST_SPREAD = 5.0


def release_spread(wait: float) -> float:
    """Returns over how many seconds the callers that waited `wait` seconds are let go.

    Half of the wait, within 0.1 s and 5 s: all at once would earn the next 429.
    """
    return min(max(wait / 2, _SHORTEST_SPREAD), _LONGEST_SPREAD)


class Pause:
    """Until when one upstream wants to be left alone, shared by all of its callers."""

    __slots__ = ("_clock", "_random", "_sleepers", "_spread", "until")

    def __init__(self, clock: Clock, random: Random, sleepers: Sleepers) -> None:
        self._clock = clock
        self._random = random
        self._sleepers = sleepers
        self._spread = 0.0
        self.until = 0.0

    @property
    def left(self) -> float:
        """How long it still lasts, in seconds; 0 if there is none."""
        return max(self.until - self._clock.now(), 0.0)

    def learn(self, failure: Failure) -> None:
        """Begins or lengthens the pause if the upstream asked for one; it never shortens it."""
        wait = failure.retry_after
        if not wait or failure.reason not in _OBEYED:
            return
        until = self._clock.now() + wait
        if until > self.until:
            self.until = until
            self._spread = release_spread(wait)

    async def sit_out(self, request: Request, latest: float) -> None:
        """Sleeps until some moment soon after the pause.

        Raises UPSTREAM_RATE_LIMITED at once, with the time that is left as its `retry_after`, if
        it ends after `latest` or not before the call's deadline, or if too many sleep already.
        """
        while self.left > 0:
            room = request.deadline - self.until
            if self.until > latest or room <= 0 or not self._sleepers.try_enter():
                raise self._failure()
            spread = min(self._spread, room / 2)
            try:
                await self._clock.sleep(self.left + self._random.uniform(0.0, spread))
            finally:
                self._sleepers.leave()

    def _failure(self) -> Failure:
        return Failure(
            Reason.UPSTREAM_RATE_LIMITED,
            "the upstream asked to be left alone for longer than this call can wait",
            disposition=Disposition.PERSISTENT,
            retry_after=self.left,
        )


class PauseGate:
    """Holds every call back while its upstream wants to be left alone, at most `max_wait` seconds.

    It stands on both sides of the bulkhead: outside, so that the calls it holds take no places,
    and inside, for those that were queued when the upstream spoke.
    """

    __slots__ = ("_max_wait", "_now", "_pause", "_wiring", "leave", "revoke")

    def __init__(self, pause: Pause, wiring: Wiring, *, max_wait: float) -> None:
        self._pause = pause
        self._wiring = wiring
        self._max_wait = max_wait
        self._now = wiring.clock.now
        self.leave = self.revoke = no_op

    def try_enter(self) -> bool:
        """Lets it through if there is no pause."""
        until = self._pause.until
        return until <= 0.0 or until <= self._now()

    async def enter(self, request: Request) -> None:
        """Sits the pause out."""
        since = self._now()
        try:
            await self._pause.sit_out(request, since + self._max_wait)
        except Failure as failure:
            raise self._wiring.refused(request, "pause", failure) from None
        self._wiring.waited(request, "pause", since, "upstream_asked")
