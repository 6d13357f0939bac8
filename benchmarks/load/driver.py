"""What every load generator is to the one who measures: counters that only grow."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Driver", "Tally"]

_ERRORS_KEPT = 5
_KIND_WORDS = 2


@dataclass(slots=True)
class Tally:
    """What happened since it was made: good answers, errors, and latencies in seconds.

    An error is whatever is not exactly the answer that was expected; it is never a call. Each
    latency has its beginning beside it, so that a window can have those that began in it.
    """

    done: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    """When each of the latencies began, by `time.perf_counter`; in an open loop, was planned."""
    told: list[str] = field(default_factory=list)
    offered: float = 0.0
    """Calls per second that an open loop offers; 0 for a closed one."""
    planned: list[tuple[float, float]] = field(default_factory=list)
    """When an open loop planned each call, and how many seconds late it sent it."""
    kinds: Counter[str] = field(default_factory=Counter)
    """How often each kind of error came; a kind is the first words of its text."""

    def land(self, since: float) -> None:
        """Keep the latency of what began at `since` and has come back whole just now."""
        self.begun.append(since)
        self.latencies.append(time.perf_counter() - since)

    def forget(self) -> None:
        """Empty what is kept of single calls; the counters stay."""
        for kept in (self.latencies, self.begun, self.planned, self.told):
            kept.clear()
        self.kinds.clear()

    def fail(self, why: str) -> None:
        """Count an error and keep the first few texts."""
        self.errors += 1
        self.kinds[" ".join(why.split()[:_KIND_WORDS])] += 1
        if len(self.told) < _ERRORS_KEPT:
            self.told.append(why)


class Driver(Protocol):
    """A load that is switched on and off again."""

    @property
    def tally(self) -> Tally:
        """The counters."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """Issue nothing more, and return once everything under way has come back."""
