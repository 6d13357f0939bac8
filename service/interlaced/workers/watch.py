"""Watches a worker that serves: one that answers nothing any more is as good as dead.

It takes connections from the kernel all the same, and keeps the feeds that it owns.
"""

from __future__ import annotations

from typing import Final, Protocol

from interlaced.core.failure import Failure
from interlaced.core.ports import Clock
from interlaced.telemetry.log import log
from interlaced.workers.keeper import Keeper, State

__all__ = ["Answerer", "Watch"]

_QUESTIONS: Final = 3


class Answerer(Protocol):
    """A worker that can be asked."""

    async def is_alive(self, seconds: float) -> bool:
        """Returns whether it answers within so many seconds; raises Failure if it cannot be
        asked."""


class Watch:
    """Kills the worker of one seat once it has let three questions in a row go unanswered, with a
    third of `limit`, in seconds of the Clock, for each; the keeper then starts the next one.

    Questions are counted and not the time between them, so that a pause of the whole machine, or
    of the watcher alone, costs nobody's life.
    """

    def __init__(self, keeper: Keeper, worker: Answerer, clock: Clock, limit: float) -> None:
        self._keeper = keeper
        self._worker = worker
        self._clock = clock
        self._limit = limit

    async def run(self) -> None:
        """Watches until it is cancelled."""
        clock, keeper, patience = self._clock, self._keeper, self._limit / _QUESTIONS
        missed, last = 0, None
        next_at = clock.now() + patience
        while True:
            await clock.sleep(next_at - clock.now())
            next_at = clock.now() + patience
            asked = keeper.pid
            try:
                if keeper.state is not State.SERVING or await self._worker.is_alive(patience):
                    missed = 0
                    continue
            except Failure as failure:
                # No descriptor left, perhaps: that must not end those who serve.
                log.warning("worker.not_asked", worker=keeper.index, exc_info=failure)
                continue
            missed, last = (missed + 1 if asked == last else 1), asked
            if missed >= _QUESTIONS and keeper.pid == asked:
                log.error("worker.hung", worker=keeper.index, pid=asked, seconds=self._limit)
                keeper.kill()
                missed = 0  # it takes a moment to end, and no second kill
