"""A rolling window over the last seconds, kept in slices."""

from __future__ import annotations

import math
from collections import deque

__all__ = ["Window"]

_SLICES = 10


class _Slice:
    """What happened in a tenth of the window."""

    __slots__ = ("marked", "start", "total")

    def __init__(self, start: float) -> None:
        self.start = start
        self.total = 0
        self.marked = 0


class Window:
    """Counts what happened in the last `seconds`, and how much of it was marked.

    Slices leave whole, so the window is exact to a tenth; memory is eleven slices whatever the
    load. Call `advance` before reading `total` and `marked`.
    """

    __slots__ = ("_full_at", "_newest", "_seconds", "_slices", "marked", "total")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slices: deque[_Slice] = deque()
        self.clear()

    def advance(self, now: float) -> None:
        """Forgets what is older than the window."""
        slices = self._slices
        while slices and slices[0].start <= now - self._seconds:
            old = slices.popleft()
            self.total -= old.total
            self.marked -= old.marked

    def count(self, now: float) -> None:
        """Counts one that is not marked, at `now`."""
        if now >= self._full_at:
            self._turn(now)
        self._newest.total += 1
        self.total += 1

    def mark(self, now: float) -> None:
        """Marks one, at `now`; `count` counts it."""
        if now >= self._full_at:
            self._turn(now)
        self._newest.marked += 1
        self.marked += 1

    def clear(self) -> None:
        """Forgets everything."""
        self._slices.clear()
        self._newest, self._full_at = _Slice(0.0), -math.inf
        self.total = self.marked = 0

    def _turn(self, now: float) -> None:
        """Begins a slice, and forgets what is too old by then."""
        self.advance(now)
        self._newest, self._full_at = _Slice(now), now + self._seconds / _SLICES
        self._slices.append(self._newest)
