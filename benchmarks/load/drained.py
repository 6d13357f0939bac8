"""A load that knows what it has under way, and stops once that has come back."""

from __future__ import annotations

import asyncio

from benchmarks.load.driver import Tally

__all__ = ["Drained", "DrainedLoad"]

_DRAIN_LIMIT = 60.0


class Drained:
    """Counts what is under way, and waits until nothing is."""

    def __init__(self) -> None:
        self.under_way = 0
        self._is_empty = asyncio.Event()

    def begin(self) -> None:
        """One more is under way."""
        self.under_way += 1

    def end(self) -> None:
        """One has come back."""
        self.under_way -= 1
        if not self.under_way:
            self._is_empty.set()

    async def wait(self) -> None:
        """Return once nothing is under way. Raise TimeoutError after a minute."""
        async with asyncio.timeout(_DRAIN_LIMIT):
            while self.under_way:
                self._is_empty.clear()
                await self._is_empty.wait()


class DrainedLoad:
    """What every load has that counts its calls one by one: whether it is on, and its books."""

    def __init__(self) -> None:
        self._drained = Drained()
        self._is_on = False
        self._tally = Tally()

    @property
    def tally(self) -> Tally:
        """The counters."""
        return self._tally

    async def stop(self) -> None:
        """Issue nothing more and await what is under way; what is open stays open."""
        self._is_on = False
        await self._drained.wait()
