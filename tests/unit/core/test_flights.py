"""Flights of one owner end in time, under one timer."""

from __future__ import annotations

from interlaced.core.dispatch import Tally
from interlaced.core.flights import Flights
from interlaced.core.model import Call, Effort
from interlaced.core.ports import TimerHandle
from interlaced.testing.clock import VirtualClock


class Plane:
    """A flight that writes down how it ended."""

    tally: Tally | None = None
    place = -1

    def __init__(self, log: list[str], name: str, until: float) -> None:
        self.until, self.name, self.log = until, name, log
        self.call = Call(deadline=until, effort=Effort(0.0), connector="c", operation="o")

    def watch(self) -> TimerHandle:
        raise NotImplementedError  # its owner has a timer

    def expire(self) -> None:
        self.log.append(f"{self.name} expired")

    def cancel(self) -> None:
        self.log.append(f"{self.name} cancelled")


class Field:
    """Flights whose end removes them, as a landing does."""

    def __init__(self) -> None:
        self.clock, self.log = VirtualClock(), list[str]()
        self.timers = 0
        self.flights = Flights(self.clock)

    def add(self, place: int, name: str, until: float) -> None:
        plane = Plane(self.log, name, self.clock.now() + until)

        def expire() -> None:
            self.flights.remove(plane.place)
            self.log.append(f"{name} at {self.clock.now() - self.start:g}")

        plane.expire = expire  # type: ignore[method-assign]  # as a landing does
        self.flights.add(place, plane)

    async def main(self) -> None:
        self.start = self.clock.now()
        gone = 4
        planned = ("b", 2.0), ("a", 1.0), ("c", 3.0), ("also a", 1.0), ("gone", 2.5)
        for place, (name, until) in enumerate(planned):
            self.add(place, name, until)
        await self.clock.sleep(2.2)
        self.flights.remove(gone)
        await self.clock.sleep(5)


def test_each_is_ended_at_its_own_time_and_what_has_landed_is_not() -> None:
    field = Field()
    field.clock.run(field.main())
    assert field.log == ["a at 1", "also a at 1", "b at 2", "c at 3"]
    assert len(field.flights) == 0


def test_what_is_cancelled_neither_lands_nor_expires() -> None:
    clock, log = VirtualClock(), list[str]()
    flights = Flights(clock)

    async def main() -> None:
        for place, name in enumerate(("one", "two")):
            flights.add(place, Plane(log, name, clock.now() + 1.0))
        flights.cancel()
        await clock.sleep(2.0)
        flights.cancel()

    clock.run(main())
    assert log == ["one cancelled", "two cancelled"]


def test_a_flight_that_begins_while_another_expires_is_watched_too() -> None:
    """A first attempt that is too late may begin a branch that waited for its outcome."""
    clock, log = VirtualClock(), list[str]()
    flights = Flights(clock)

    async def main() -> None:
        late = Plane(log, "late", clock.now() + 1.0)

        def expire() -> None:
            flights.remove(late.place)
            flights.add(1, following)

        following = Plane(log, "next", clock.now() + 2.0)

        def follow() -> None:
            flights.remove(following.place)
            log.append("next")

        following.expire = follow  # type: ignore[method-assign]  # as a landing does
        late.expire = expire  # type: ignore[method-assign]  # as a landing does
        flights.add(0, late)
        flights.add(2, Plane(log, "far", clock.now() + 9.0))
        await clock.sleep(2.5)

    clock.run(main())
    assert log == ["next"]
