"""The pause: an upstream that said "come back in 30 s" is left alone by all of its callers."""

from __future__ import annotations

from random import Random

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.core.model import Handler, Request, RequestT, ResultT
from interlaced.core.ports import Clock
from interlaced.resilience.bulkhead import Sleepers
from interlaced.resilience.wiring import Wiring

__all__ = ["Pause", "learn_pause", "release_spread", "respect_pause"]

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


def respect_pause(
    follow: Handler[RequestT, ResultT], wiring: Wiring, *, pause: Pause, max_wait: float
) -> Handler[RequestT, ResultT]:
    """Holds every call back while its upstream wants to be left alone, at most `max_wait` seconds.

    It stands on both sides of the bulkhead: outside, so that the calls it holds take no places,
    and inside, for those that were queued when the upstream spoke.
    """
    clock = wiring.clock

    async def run(request: RequestT) -> ResultT:
        since = clock.now()
        if pause.until > since:
            try:
                await pause.sit_out(request, since + max_wait)
            except Failure as failure:
                raise wiring.refused(request, "pause", failure) from None
            wiring.waited(request, "pause", since, "upstream_asked")
        return await follow(request)

    return run


def learn_pause(follow: Handler[RequestT, ResultT], *, pause: Pause) -> Handler[RequestT, ResultT]:
    """Takes note of what every attempt is told about coming back."""

    async def run(request: RequestT) -> ResultT:
        try:
            return await follow(request)
        except Failure as failure:
            pause.learn(failure)
            raise

    return run
