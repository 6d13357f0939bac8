"""What every sink must do, clause by clause; inherit it, say what the sink promises, give a rig."""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import ClassVar, Protocol

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Confirmation, Effort, Event, Publication
from interlaced.core.ports import Capability, Clock, Connector, Sink
from interlaced.testing.source_suite import make_events, needs, select

__all__ = ["SinkCase", "SinkRig", "SinkSuite"]

_AWKWARD = 'a "quoted" 100% caf\u00e9 \u2603\ttab \r\nline: x, trailing '


class SinkRig(Protocol):
    """A sink, and the broker behind it."""

    clock: Clock
    """The time that the sink runs on."""
    connector: Connector
    """The sink's connector; the rig closes it, too."""
    sink: Sink
    """The sink under test; nobody else publishes there."""
    limit: int
    """The size in bytes from which on an event is too large."""

    async def stored(self, count: int) -> Sequence[Event]:
        """Returns what the broker holds, in order, once it is `count` events or time is over."""
        ...

    async def unreach(self) -> None:
        """Makes the broker unreachable: no connection stands and none can be made."""
        ...

    async def freeze(self) -> None:
        """Makes the broker answer nothing, while its connections stand."""
        ...

    async def thaw(self) -> None:
        """Lets a frozen broker go on."""
        ...


class SinkCase(Protocol):
    """Makes a fresh rig for each clause, and the loop that it runs on."""

    def run(self, clause: Callable[[SinkRig], Awaitable[None]]) -> None:
        """Runs a clause on a rig of its own."""
        ...


def _publication(rig: SinkRig, events: Sequence[Event], seconds: float = 10.0) -> Publication:
    now = rig.clock.now()
    return Publication(
        deadline=now + seconds, effort=Effort(now), sink=rig.sink.name, events=events
    )


async def _publish(rig: SinkRig, events: Sequence[Event]) -> Sequence[Confirmation]:
    return await rig.sink.publish(_publication(rig, events))


async def _failures(rig: SinkRig, publication: Publication) -> Sequence[Failure | None]:
    """What became of each event, whether the sink raises or tells it one by one."""
    try:
        return [one.failure for one in await rig.sink.publish(publication)]
    except Failure as failure:
        return [failure for _ in publication.events]


def _facts(events: Sequence[Event]) -> list[tuple[object, ...]]:
    return [
        (
            (one.id, one.source, one.type, one.subject, one.time, one.key),
            (one.media_type, one.data, dict(one.attributes)),
        )
        for one in events
    ]


class SinkSuite:
    """The clauses of a sink."""

    capability: ClassVar[Capability]
    can: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "capability"):
            select(cls, cls.capability, cls.can)

    def test_it_declares_what_the_suite_was_told(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            assert rig.sink.capability == self.capability

        case.run(clause)

    def test_each_event_has_its_confirmation(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            publication = _publication(rig, make_events(7))
            results = await rig.sink.publish(publication)
            assert [one.failure for one in results] == [None] * 7
            assert publication.effort.reached is Reached.REPLIED

        case.run(clause)

    def test_publishing_nothing_confirms_nothing(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            assert list(await _publish(rig, [])) == []

        case.run(clause)

    def test_what_is_confirmed_is_there_whole_and_in_order(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            events = make_events(20)
            await _publish(rig, events[:12])
            await _publish(rig, events[12:])
            assert _facts(await rig.stored(20)) == _facts(events)

        case.run(clause)

    def test_awkward_texts_survive(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            event = Event(
                id=_AWKWARD,
                source="/caf\u00e9 bar",
                type=_AWKWARD,
                data=b"\x00\xff\r\n\r\n",
                media_type='text/plain; charset="utf-8"',
                subject=_AWKWARD,
                key=_AWKWARD,
                attributes={"note": _AWKWARD},
            )
            await _publish(rig, [event])
            assert _facts(await rig.stored(1)) == _facts([event])

        case.run(clause)

    @needs("positions")
    def test_positions_are_those_of_the_broker(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            results = await _publish(rig, make_events(4))
            stored = [event.position for event in await rig.stored(4)]
            assert [one.position for one in results] == stored

        case.run(clause)

    @needs("dedupe")
    def test_an_event_published_again_is_a_duplicate(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            first = await _publish(rig, make_events(3))
            again = await _publish(rig, make_events(4))
            assert [one.is_duplicate for one in first] == [False, False, False]
            assert [one.is_duplicate for one in again] == [True, True, True, False]
            assert [one.failure for one in again] == [None] * 4
            assert [event.id for event in await rig.stored(4)] == ["0", "1", "2", "3"]

        case.run(clause)

    @needs("dedupe")
    def test_the_same_id_from_another_source_is_another_event(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            (event,) = make_events(1)
            results = await _publish(rig, [event, replace(event, source="/other")])
            assert [one.is_duplicate for one in results] == [False, False]
            assert [one.source for one in await rig.stored(2)] == ["/suite", "/other"]

        case.run(clause)

    @needs("limit")
    def test_an_event_that_is_too_large_fails_alone(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            events = make_events(3)
            events[1] = replace(events[1], data=b"x" * rig.limit)
            failures = [one.failure for one in await _publish(rig, events)]
            assert (failures[0], failures[2]) == (None, None)
            assert failures[1] is not None
            assert failures[1].reason is Reason.TOO_LARGE
            assert failures[1].context["limit"] == str(rig.limit)
            assert [event.id for event in await rig.stored(2)] == ["0", "2"]

        case.run(clause)

    @needs("unreach")
    def test_an_unreachable_broker_is_never_a_success(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            await _publish(rig, make_events(1))
            await rig.unreach()
            publication = _publication(rig, make_events(3, first=1), seconds=3.0)
            failures = await _failures(rig, publication)
            assert len(failures) == 3
            assert all(failure is not None for failure in failures)
            later = _publication(rig, make_events(1, first=4), seconds=3.0)
            (failure,) = await _failures(rig, later)
            assert failure is not None
            assert failure.reached is Reached.NOT_SENT
            assert failure.disposition is Disposition.TEMPORARY

        case.run(clause)

    @needs("freeze")
    def test_a_confirmation_that_stays_out_is_unknown_and_in_time(self, case: SinkCase) -> None:
        """F19: unknown on a lost confirmation; the same id on a retry."""

        async def clause(rig: SinkRig) -> None:
            await _publish(rig, make_events(1))
            await rig.freeze()
            publication = _publication(rig, make_events(2, first=1), seconds=1.0)
            failures = await _failures(rig, publication)
            late = rig.clock.now() - publication.deadline
            await rig.thaw()
            assert late < 1.5
            assert [one and one.reason for one in failures] == [Reason.OUTCOME_UNKNOWN] * 2
            assert [one and one.reached for one in failures] == [Reached.MAYBE] * 2
            await _publish(rig, make_events(2, first=1))
            assert [event.id for event in await rig.stored(3)] == ["0", "1", "2"]

        case.run(clause)

    def test_a_closed_connector_takes_nothing(self, case: SinkCase) -> None:
        async def clause(rig: SinkRig) -> None:
            await rig.connector.close()
            await rig.connector.close()
            failures = await _failures(rig, _publication(rig, make_events(1)))
            assert [one and one.reason for one in failures] == [Reason.DRAINING]

        case.run(clause)
