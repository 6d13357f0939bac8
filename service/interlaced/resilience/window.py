"""A rolling window over the last seconds, kept in slices."""

from __future__ import annotations

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

    __slots__ = ("_seconds", "_slices", "marked", "total")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._slices: deque[_Slice] = deque()
        self.total = 0
        self.marked = 0

    def advance(self, now: float) -> None:
        """Forgets what is older than the window."""
        slices = self._slices
        while slices and slices[0].start <= now - self._seconds:
            old = slices.popleft()
            self.total -= old.total
            self.marked -= old.marked

    def add(self, now: float, *, total: int = 0, marked: int = 0) -> None:
        """Counts something at `now`."""
        self.advance(now)
        slices = self._slices
        if not slices or slices[-1].start + self._seconds / _SLICES <= now:
            slices.append(_Slice(now))
        slices[-1].total += total
        slices[-1].marked += marked
        self.total += total
        self.marked += marked

    def clear(self) -> None:
        """Forgets everything."""
        self._slices.clear()
        self.total = self.marked = 0
