"""Time: the Clock port on the running loop, and a limit on a block of code."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from interlaced.core.ports import Clock, TimerHandle

__all__ = ["Alarm", "CurrentTask", "LoopClock", "SharedTimer", "TimeLimit"]


class LoopClock:
    """The Clock of an asyncio loop: monotonic, in seconds. Use it on one loop at a time.

    It reads the system's clock and not the loop's, which uvloop rounds to milliseconds.
    """

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    # The system's own, without a call of ours around them: everything on a call's way asks.
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)

    def call_at(self, when: float, callback: Callable[[], object], /) -> TimerHandle:
        """Calls `callback` at `when`."""
        loop = self._loop
        if loop is None or loop.is_closed():
            loop = self._loop = asyncio.get_running_loop()
        return loop.call_later(max(0.0, when - time.monotonic()), callback)


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


class CurrentTask:
    """Finds the task that runs, on the one loop that it is used on.

    Python 3.11 asks the system for the number of the process whenever it is asked which loop runs,
    which costs more than all the rest of an Alarm: here that is asked once.
    """

    __slots__ = ("_loop",)

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def __call__(self) -> asyncio.Task[Any]:
        """Returns it; RuntimeError where none runs."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        if task is None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("no task is running")
        return task


class Alarm:
    """A limit that moves: it cancels a task at the time that was set last.

    Whoever catches the CancelledError asks `claim` whether the alarm was its cause, and may set it
    anew. `off` must follow in the end, whatever happened. One timer at a time, where a limit inside
    a limit would take two.
    """

    __slots__ = ("_cancelling", "_clock", "_handle", "_task", "has_rung", "when")

    def __init__(self, clock: Clock, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._cancelling = task.cancelling()
        self._clock = clock
        self._handle: TimerHandle | None = None
        self.has_rung = False
        self.when = math.inf

    def set(self, when: float) -> None:
        """Rings at `when`, a time of the Clock, and no longer at what was set before."""
        if when == self.when and self._handle is not None:
            return
        if self._handle is not None:
            self._handle.cancel()
        self.when = when
        self._handle = self._clock.call_at(when, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self.has_rung = True
        self._task.cancel()

    def claim(self) -> bool:
        """Whether the alarm alone cancelled the task; its cancellation is taken back."""
        if not self.has_rung:
            return False
        self.has_rung = False
        return self._task.uncancel() <= self._cancelling

    def off(self) -> None:
        """Ends it; doing it twice does nothing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.claim()


class SharedTimer:
    """One timer for many ends: it rings at the soonest of the times that were asked for since it
    last rang. Whoever is rung asks again for what is still to come.

    `when` is the time of the Clock at which it rings next, infinite for none. It knows whom to ring
    only until then, so that it keeps nobody in memory.
    """

    __slots__ = ("_clock", "_handle", "_ring", "when")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._handle: TimerHandle | None = None
        self._ring: Callable[[], object] | None = None
        self.when = math.inf

    def ask(self, when: float, ring: Callable[[], object]) -> None:
        """Calls `ring` at `when`, unless it rings sooner."""
        if when >= self.when:
            return
        self.off()
        self.when, self._ring = when, ring
        self._handle = self._clock.call_at(when, self._call)

    def _call(self) -> None:
        ring, self._ring = self._ring, None
        self._handle, self.when = None, math.inf
        if ring is not None:
            ring()

    def off(self) -> None:
        """Ends it; doing it twice does nothing."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._ring, self.when = None, None, math.inf
