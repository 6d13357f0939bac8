"""The retry budget: what retries may add to the load of an upstream."""

from __future__ import annotations

from interlaced.core.ports import Clock, ConnectorObserver
from interlaced.resilience.window import Window

__all__ = ["RetryBudget"]

_WINDOW = 10.0
_FEWEST_PER_SECOND = 1.0


class RetryBudget:
    """Allows as many retries in ten seconds as `share` of the calls in them, or one a second if
    that is more, so that a quiet connector can still retry.

    The larger of the two and not their sum: under load the upstream sees `1 + share` times the
    calls and nothing on top. A share of 0 allows none. Shape after Finagle's RetryBudget.
    """

    __slots__ = ("_clock", "_fewest", "_observer", "_share", "_window")

    def __init__(self, share: float, clock: Clock, observer: ConnectorObserver) -> None:
        self._share = share
        self._fewest = _FEWEST_PER_SECOND * _WINDOW if share > 0 else 0.0
        self._clock = clock
        self._observer = observer
        self._window = Window(_WINDOW)

    @property
    def left(self) -> float:
        """How many retries are allowed now."""
        self._window.advance(self._clock.now())
        return max(self._share * self._window.total, self._fewest) - self._window.marked

    def add_call(self, now: float) -> None:
        """Counts a call that begins `now`, not its retries."""
        self._window.count(now)

    def try_spend(self) -> bool:
        """Takes one retry out of the budget if there is one."""
        left = self.left
        if left < 1.0:
            return False
        self._window.mark(self._clock.now())
        self._observer.budget_changed(left - 1.0)
        return True
