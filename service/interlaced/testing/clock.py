"""Virtual time: a Clock whose waits take no time, and the loop that runs on it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["VirtualClock"]

ResultT = TypeVar("ResultT")


class _Timer:
    """A timer of the virtual clock."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None  # as a loop's timer, it keeps nothing alive that it will not call


class VirtualClock:
    """A Clock for tests: time jumps to the next timer as soon as nothing else can run.

    `clock.run(main())` runs a coroutine on a loop of its own and returns its result. Waiting for
    something that no timer and no socket will bring raises RuntimeError instead of hanging.
    """

    def __init__(self, start: float = 1000.0, wall: float = 1_700_000_000.0) -> None:
        self._now = start
        self._wall_offset = wall - start
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Returns virtual time."""
        return self._now

    def wall(self) -> float:
        """Returns the virtual time of day."""
        return self._now + self._wall_offset

    def jump_wall(self, seconds: float) -> None:
        """Moves the time of day alone, as a clock correction does."""
        self._wall_offset += seconds

    def call_at(self, when: float, callback: Callable[[], object], /) -> _Timer:
        """Calls `callback` at virtual time `when`."""
        timer = _Timer(callback)
        heapq.heappush(self._timers, (max(when, self._now), next(self._order), timer))
        return timer

    async def sleep(self, seconds: float) -> None:
        """Waits in virtual time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_at(self._now + seconds, wake)
        try:
            await done
        finally:
            timer.cancel()

    def run(self, main: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs `main` to its end on a loop that jumps over every wait."""
        loop = asyncio.SelectorEventLoop(_JumpingSelector(self))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)

    def fire_next(self) -> bool:
        """Jumps to the next timer and calls it; returns False when there is none."""
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if timer.callback is None:
                continue
            self._now = max(self._now, when)
            timer.callback()
            return True
        return False


class _JumpingSelector(selectors.DefaultSelector):
    """Polls sockets, and lets virtual time jump where a loop would block."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._clock.fire_next():
            return []
        if timeout is None and not self._has_sockets():
            raise RuntimeError("nothing left to wait for: no timer and no socket is pending")
        return super().select(timeout)

    def _has_sockets(self) -> bool:
        """Whether any socket but the loop's own wake-up pair is watched."""
        return len(self.get_map()) > 1
