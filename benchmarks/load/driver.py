"""What every load generator is to the one who measures: counters that only grow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Driver", "Tally"]

_ERRORS_KEPT = 5


@dataclass(slots=True)
class Tally:
    """What happened since it was made: good answers, errors, and latencies in seconds.

    An error is whatever is not exactly the answer that was expected; it is never a call.
    """

    done: int = 0
    errors: int = 0
    latencies: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    offered: float = 0.0
    """Calls per second that an open loop offers; 0 for a closed one."""
    late: float = 0.0
    """How late an open loop sent what it had planned, at worst, in seconds."""

    def fail(self, why: str) -> None:
        """Count an error and keep the first few texts."""
        self.errors += 1
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
