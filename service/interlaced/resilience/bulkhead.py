"""The bulkhead: how many attempts one connector has under way, and how many calls sleep."""

from __future__ import annotations

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Request
from interlaced.core.ports import ConnectorObserver
from interlaced.resilience.permits import Permits
from interlaced.resilience.wiring import Wiring

__all__ = ["Bulkhead", "BulkheadGate", "Sleepers"]

_COME_BACK = 1.0


class Bulkhead:
    """The places of one connector: `in_flight` attempts, and `queue` that wait for a place."""

    __slots__ = ("permits",)

    def __init__(self, in_flight: int, queue: int, observer: ConnectorObserver) -> None:
        permits = self.permits = Permits(in_flight, queue)
        observer.watch_bulkhead(lambda: permits.held, lambda: permits.waiting)

    def failure(self) -> Failure:
        """What a call that finds no place is told."""
        return Failure(
            Reason.BULKHEAD_FULL,
            "as many attempts as this connector allows are in flight and queued",
            retry_after=_COME_BACK,
            limit=str(self.permits.limit),
        )


class BulkheadGate:
    """Holds a place of the bulkhead for each attempt; raises BULKHEAD_FULL if none is left."""

    __slots__ = ("_bulkhead", "_wiring", "leave", "revoke", "try_enter")

    def __init__(self, bulkhead: Bulkhead, wiring: Wiring) -> None:
        self._bulkhead = bulkhead
        self._wiring = wiring
        self.try_enter = bulkhead.permits.try_take
        self.leave = self.revoke = bulkhead.permits.give_back

    async def enter(self, request: Request) -> None:
        """Waits for a place in the queue."""
        bulkhead = self._bulkhead
        await self._wiring.queue(request, "bulkhead", bulkhead.permits, bulkhead.failure)


class Sleepers:
    """Bounds how many calls of a connector sleep before their next attempt.

    A sleeping call holds no place of the bulkhead, so without this bound an outage could gather
    any number of them.
    """

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0

    def try_enter(self) -> bool:
        """Takes a place if there is one; `leave` must follow."""
        if self.count >= self.limit:
            return False
        self.count += 1
        return True

    def leave(self) -> None:
        """Frees the place."""
        self.count -= 1
