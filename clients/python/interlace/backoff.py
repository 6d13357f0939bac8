"""When a lost stream is opened again."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["Backoff", "Reconnect"]

_CHANCE = random.Random()  # noqa: S311  # spreads reconnects; nothing secret hangs on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconnect:
    """How to reconnect; times in seconds.

    Each wait is drawn evenly from 0 to a ceiling that begins at `initial` and doubles up to
    `maximum`. When failures have followed each other for `patience`, the last error is raised; None
    means never.
    """

    initial: float = 0.25
    maximum: float = 30.0
    patience: float | None = 300.0


class Backoff:
    """Counts failures in a row. `now` is a monotonic time in seconds, given by the caller."""

    def __init__(self, reconnect: Reconnect, *, chance: random.Random = _CHANCE) -> None:
        self._reconnect = reconnect
        self._chance = chance
        self._failures = 0
        self._since = 0.0

    def succeeded(self) -> None:
        """Notes a sign of life."""
        self._failures = 0

    def wait(self, now: float, at_least: float | None = None) -> float | None:
        """Notes a failure and returns the seconds to wait, or None once patience is over."""
        patience = self._reconnect.patience
        if not self._failures:
            self._since = now
        elif patience is not None and now - self._since >= patience:
            return None
        ceiling = min(self._reconnect.maximum, self._reconnect.initial * 2.0**self._failures)
        self._failures = min(self._failures + 1, 62)
        return (at_least or 0.0) + self._chance.uniform(0.0, ceiling)

    def after(self, seconds: float) -> float:
        """Returns the wait for a server that said when to come back: never earlier, and spread
        over a little time, since it said so to everybody."""
        return seconds + self._chance.uniform(0.0, min(self._reconnect.initial, 0.1 * seconds))
