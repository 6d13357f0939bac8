"""The rate limit: how fast one connector may ask its upstream."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Request
from interlaced.core.ports import Clock, TimerHandle
from interlaced.core.units import Rate
from interlaced.resilience.wiring import Wiring

__all__ = ["Bucket", "RateGate"]

_LONGEST_QUEUE = 10_000
_ALMOST = 1e-9


class Bucket:
    """A token bucket: `burst` tokens, refilled at `rate`; those who wait are served in order.

    Nobody reserves: a token is taken at the moment it is used, so a waiter that is cancelled costs
    nothing. One timer serves the whole queue.
    """

    __slots__ = ("_burst", "_clock", "_per_second", "_stamp", "_timer", "_tokens", "_waiters")

    def __init__(self, rate: Rate, burst: int, clock: Clock) -> None:
        self._per_second = rate.per_second
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._stamp = float("-inf")  # full at first use; a loop's clock has no time before it runs
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a token."""
        return len(self._waiters)

    def try_take(self) -> bool:
        """Takes a token if one is there and nobody waits for it."""
        self._refill()
        if self._waiters or self._tokens < 1.0 - _ALMOST:
            return False
        self._tokens -= 1.0
        return True

    def put_back(self) -> None:
        """Puts a token back that was taken and not used."""
        self._tokens = min(self._tokens + 1.0, self._burst)
        self._serve()

    def wait(self) -> float:
        """Returns how long one who joins the queue now waits at most, in seconds."""
        self._refill()
        return max(len(self._waiters) + 1 - self._tokens, 0.0) / self._per_second

    async def take(self) -> None:
        """Waits in the queue for a token. Cancelling it leaves nothing behind."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[turn] = None
        self._arm()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.put_back()  # it was granted, not used
            self._waiters.pop(turn, None)
            raise

    def _refill(self) -> None:
        now = self._clock.now()
        self._tokens = min(self._burst, self._tokens + (now - self._stamp) * self._per_second)
        self._stamp = now

    def _serve(self) -> None:
        self._refill()
        while self._waiters and self._tokens >= 1.0 - _ALMOST:
            turn, _ = self._waiters.popitem(last=False)
            if not turn.done():
                self._tokens -= 1.0
                turn.set_result(None)
        self._arm()

    def _arm(self) -> None:
        if self._waiters and self._timer is None:
            missing = max(1.0 - self._tokens, 0.0)
            self._timer = self._clock.call_at(self._stamp + missing / self._per_second, self._due)

    def _due(self) -> None:
        self._timer = None
        self._serve()


class RateGate:
    """Lets attempts through at the bucket's rate.

    Raises RATE_LIMITED at once, with the wait as its `retry_after`, if the call cannot wait or the
    wait would not end before its deadline.
    """

    __slots__ = ("_bucket", "_can_wait", "_wiring")

    def __init__(self, bucket: Bucket, wiring: Wiring, *, can_wait: bool) -> None:
        self._bucket = bucket
        self._wiring = wiring
        self._can_wait = can_wait

    def try_enter(self) -> bool:
        """Takes a token if one is there."""
        return self._bucket.try_take()

    async def enter(self, request: Request) -> None:
        """Waits for a token."""
        bucket, wiring = self._bucket, self._wiring
        since = wiring.clock.now()
        wait = bucket.wait()
        is_full = bucket.waiting >= _LONGEST_QUEUE
        if not self._can_wait or is_full or since + wait >= request.deadline:
            raise wiring.refused(request, "limiter", _failure(wait))
        await bucket.take()
        wiring.waited(request, "limiter", since, "local_limit")

    def leave(self) -> None:
        """Keeps the token: it was used."""

    def revoke(self) -> None:
        """Puts the token back."""
        self._bucket.put_back()


def _failure(wait: float) -> Failure:
    return Failure(
        Reason.RATE_LIMITED,
        "the connector's own rate limit leaves no room for this call",
        retry_after=wait,
    )
