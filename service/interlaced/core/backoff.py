"""Jittered delays."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: uniform in [0, min(cap, base * 2**n)], in seconds.

    Full jitter after M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    base: float
    cap: float

    def ceiling(self, attempt: int) -> float:
        """Returns the longest wait before retry number `attempt`, counted from 0."""
        return min(self.cap, self.base * 2.0 ** min(attempt, 60))

    def delay(self, attempt: int, random: Random) -> float:
        """Draws the wait before retry number `attempt`, counted from 0."""
        return random.uniform(0.0, self.ceiling(attempt))
