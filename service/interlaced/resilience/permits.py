"""Counted permits with a bounded queue, first come first served, safe against cancellation."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

__all__ = ["Permits", "QueueFull"]


class QueueFull(Exception):  # noqa: N818  # a state of the queue, turned into a Failure by its owner
    """No permit is free and no place to wait is left."""


class Permits:
    """`limit` permits, and `queue` places to wait for one.

    A permit that is given back goes straight to the first in the queue: no late-comer overtakes.
    asyncio.Semaphore has no bound on its waiters, and libraries that woke several waiters per
    release, or none after a cancel, hung for good: here a permit is either free, or held, or on
    its way to exactly one waiter.
    """

    __slots__ = ("_free", "_queue", "_waiters", "limit")

    def __init__(self, limit: int, queue: int) -> None:
        self.limit = limit
        self._free = limit
        self._queue = queue
        self._waiters: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def held(self) -> int:
        """How many permits are taken, those on their way to a waiter included."""
        return self.limit - self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiters)

    def try_take(self) -> bool:
        """Takes a permit if one is free; it must be given back exactly once."""
        if self._free == 0:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Waits in the queue for a permit, which must be given back exactly once.

        Raises QueueFull at once if the queue is full. Cancelling it leaves nothing behind.
        """
        if len(self._waiters) >= self._queue:
            raise QueueFull
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()  # the permit was already on its way
            else:
                self._waiters.pop(turn, None)
            raise

    def give_back(self) -> None:
        """Gives a permit back, to the first who waits."""
        while self._waiters:
            turn, _ = self._waiters.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
