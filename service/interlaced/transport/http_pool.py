"""The idle connections to one origin."""

from __future__ import annotations

from collections import deque
from typing import Final

from interlaced.core.clock import SharedTimer
from interlaced.core.ports import Clock
from interlaced.transport.http_wire import Wire

__all__ = ["MOST_IDLE", "Pool"]

MOST_IDLE: Final = 256
"""How many idle connections to one origin are kept; more are closed when their answer is there."""


class Pool:
    """Keeps connections for `idle` seconds of the Clock, or for less where the server says so, the
    freshest to be used first, so that the rest grow old and go."""

    __slots__ = ("_idle", "_now", "_timer", "_wires")

    def __init__(self, clock: Clock, idle: float) -> None:
        self._now = clock.now
        self._idle = idle
        self._wires: deque[Wire] = deque()
        self._timer = SharedTimer(clock)

    def __len__(self) -> int:
        return len(self._wires)

    def take(self) -> Wire | None:
        """Returns a connection that is well and young enough, or None."""
        wires = self._wires
        if not wires:
            return None
        now = self._now()
        while wires:
            wire = wires.pop()
            if wire.is_open:
                if wire.stale_at > now:
                    return wire
                wire.drop()
        return None

    def put(self, wire: Wire) -> None:
        """Keeps a connection for the next request, or closes it where there are enough."""
        wires = self._wires
        if not wire.is_open:
            return
        if len(wires) >= MOST_IDLE:
            wire.drop()
            return
        idle = self._idle
        if wire.idle_limit < idle:  # noqa: PLR1730  # at a third of the price of min()
            idle = wire.idle_limit
        wire.stale_at = when = self._now() + idle
        wires.append(wire)
        if when < self._timer.when:
            self._timer.ask(when, self._ring)

    def _ring(self) -> None:
        """Closes what is too old, and sets the timer to what will be next."""
        wires, now = self._wires, self._now()
        for _ in range(len(wires)):
            wire = wires.popleft()
            if wire.is_open and wire.stale_at > now:
                wires.append(wire)
            else:
                wire.drop()
        if wires:
            self._timer.ask(min(wire.stale_at for wire in wires), self._ring)

    def close(self) -> None:
        """Forgets every connection, and its timer; whoever made them closes them."""
        self._timer.off()
        self._wires.clear()
