"""Time: the Clock port on the running loop, and a limit on a block of code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from interlaced.core.ports import Clock, TimerHandle

__all__ = ["LoopClock", "TimeLimit"]


class LoopClock:
    """The Clock of the running asyncio loop: monotonic, in seconds.

    It reads the system's clock and not the loop's, which uvloop rounds to milliseconds.
    """

    __slots__ = ()

    def now(self) -> float:
        """Returns the system's monotonic time."""
        return time.monotonic()

    def wall(self) -> float:
        """Returns the time of day in seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], object], /) -> TimerHandle:
        """Calls `callback` at `when`."""
        return asyncio.get_running_loop().call_later(max(0.0, when - time.monotonic()), callback)


class TimeLimit:
    """Cancels a block at a time of the Clock and raises TimeoutError from it.

    A plain (not async) context manager, since that costs a third of `asyncio.timeout`. A
    cancellation that came from elsewhere is passed on, also when both happen.
    """

    __slots__ = ("_cancelling", "_clock", "_handle", "_task", "_when", "is_over")

    def __init__(self, clock: Clock, when: float) -> None:
        self._clock = clock
        self._when = when
        self.is_over = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a TimeLimit needs a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._handle = self._clock.call_at(self._when, self._expire)
        return self

    def _expire(self) -> None:
        self.is_over = True
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._handle.cancel()
        if not self.is_over:
            return
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
