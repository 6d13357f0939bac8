"""Calls that are under way without a task of their own: what nothing held up when it began."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from interlaced.core.clock import SharedTimer
from interlaced.core.failure import Failure
from interlaced.core.model import Call, Reply
from interlaced.core.ports import Clock, TimerHandle

if TYPE_CHECKING:
    from interlaced.core.dispatch import Tally

__all__ = ["Begin", "BeginFor", "Flight", "Flights", "Land"]


class Flight(Protocol):
    """A call whose request is sent, and which waits for nothing but the answer.

    It ends once: by what it calls when the answer is there, by `expire`, or by `cancel`. After that
    each of them does nothing.
    """

    call: Call
    until: float
    """When it is over, a time of the Clock; whoever began it sees to that."""
    place: int
    """Where its owner keeps it; the owner's to set."""
    tally: Tally | None
    """Counts it, while it is under way."""

    def watch(self) -> TimerHandle:
        """Sets a timer of its own that ends it in time; whoever asks for it calls it off."""
        ...

    def expire(self) -> None:
        """Ends it since its time is over, and lands it."""
        ...

    def cancel(self) -> None:
        """Ends it since nobody wants it any more; it does not land."""
        ...


Land: TypeAlias = Callable[[Flight, Reply | Failure | None], None]
"""Is told how a flight ended. None says that its attempt failed, and that the way goes on (it may
be tried again, or only has to be told): `call.tried` has the failure, and the call is now to be
performed by the coroutine that performs any other, which begins behind that attempt."""

Begin: TypeAlias = Callable[[Call, Land], Flight | None]
"""Sends a call without waiting for anything, and calls `Land` once, later, never before it returns.
It returns None where anything on the call's way would wait, refuse or do more than send: then
nothing has happened, and the coroutine does it all."""

BeginFor: TypeAlias = Callable[[Land], Callable[[Call], Flight | None]]
"""Makes what begins calls for one owner, as `Begin` does: what stands between a flight and its
owner is made once, and not for each."""


class Flights:
    """The flights of one owner, each at a place of the owner's choice, and one timer for all of
    them: they begin together, and hardly ever is one of them late."""

    __slots__ = ("_clock", "_flying", "_timer")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flying: dict[int, Flight] = {}
        self._timer = SharedTimer(clock)

    def __len__(self) -> int:
        return len(self._flying)

    def add(self, place: int, flight: Flight) -> None:
        """Keeps a flight until it is removed, and ends it in time."""
        self._flying[place] = flight
        flight.place = place
        if flight.until < self._timer.when:
            self._timer.ask(flight.until, self._ring)

    def remove(self, place: int) -> None:
        """Forgets the flight at a place: it has landed."""
        del self._flying[place]

    def cancel(self) -> None:
        """Ends every flight, in the order in which they began, and the timer."""
        self._timer.off()
        flying, self._flying = self._flying, {}
        for flight in flying.values():
            flight.cancel()

    def _ring(self) -> None:
        """Ends what is late, and sets the timer to what will be late next."""
        now = self._clock.now()
        for flight in [each for each in self._flying.values() if each.until <= now]:
            flight.expire()
        if self._flying:
            self._timer.ask(min(each.until for each in self._flying.values()), self._ring)
