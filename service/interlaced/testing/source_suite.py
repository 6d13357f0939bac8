"""What every feed must do, clause by clause; inherit it, say what the feed promises, give a rig.

Clauses select themselves when the class is made, by the declared capability and by what the rig
`can` do to the broker: a clause that does not apply is not there, so nothing is ever skipped.
"""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Protocol, TypeVar

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Capability, Clock, Feed, Reader, Start, StartKind

__all__ = ["SourceCase", "SourceRig", "SourceSuite", "make_events", "needs", "select"]

ACK = Settlement(Verdict.ACK)
NACK = Settlement(Verdict.NACK, 0.0)
OLDEST = Start(StartKind.OLDEST)
_LONGEST = 20.0
"""How long something may take that has to come, in seconds."""

ClauseT = TypeVar("ClauseT", bound=Callable[..., None])


class SourceRig(Protocol):
    """A feed, and the broker behind it."""

    clock: Clock
    """The time that the feed runs on."""
    feed: Feed
    """The feed under test; nobody else publishes to it."""
    dead: Feed
    """The feed of its dead letters; the feed itself where it has none."""
    max_deliver: int
    """How often an event is delivered before it goes to the dead letters."""
    wait: float
    """The time in which an unsettled delivery comes again, in seconds."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publishes behind the feed's back; returns once the broker has the events."""
        ...

    async def expire(self) -> None:
        """Makes the broker forget every event that it holds, but not its history."""
        ...

    async def rebuild(self) -> None:
        """Makes the broker begin a new history."""
        ...

    async def cut(self) -> None:
        """Cuts the connection of every reader; new ones are let in."""
        ...


class SourceCase(Protocol):
    """Makes a fresh rig for each clause, and the loop that it runs on."""

    def run(self, clause: Callable[[SourceRig], Awaitable[None]]) -> None:
        """Runs a clause on a rig of its own."""
        ...


def needs(*what: str) -> Callable[[ClauseT], ClauseT]:
    """Marks a clause with what it needs: fields of Capability, or what a rig can do; `no_replay`
    and the like stand for the absence of one."""

    def mark(clause: ClauseT) -> ClauseT:
        clause.needs = what  # type: ignore[attr-defined]  # read by select below
        return clause

    return mark


def select(suite: type, capability: Capability, can: frozenset[str]) -> None:
    """Takes the clauses out of a class that do not apply to it."""
    given = {name for name in ("ack", "replay", "delay") if getattr(capability, name)} | can
    for name in dir(suite):
        for need in getattr(getattr(suite, name), "needs", ()):
            if (need.removeprefix("no_") in given) == need.startswith("no_"):
                setattr(suite, name, None)


def make_events(count: int, *, first: int = 0) -> list[Event]:
    """Makes events whose ids are numbers."""
    return [
        Event(
            id=str(number),
            source="/suite",
            type="made",
            data=f'{{"number": {number}}}'.encode(),
            subject=f"thing-{number % 3}",
            time=1_700_000_000.25 + number,
            key=f"key-{number % 2}",
            attributes={"traceparent": f"00-{number:032x}"},
        )
        for number in range(first, first + count)
    ]


async def _take(rig: SourceRig, reader: Reader, count: int) -> list[Delivery]:
    """Reads until so many deliveries have come; a gap is a failure."""
    taken: list[Delivery] = []
    with TimeLimit(rig.clock, rig.clock.now() + _LONGEST):
        while len(taken) < count:
            for item in await reader.read():
                assert isinstance(item, Delivery), f"a gap came that nobody caused: {item}"
                taken.append(item)
    return taken


async def _is_quiet(rig: SourceRig, reader: Reader, seconds: float) -> bool:
    """Whether nothing comes for a while."""
    try:
        with TimeLimit(rig.clock, rig.clock.now() + seconds):
            await reader.read()
    except TimeoutError:
        return True
    return False


def _ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.event.id for delivery in deliveries]


def _names(first: int, end: int) -> list[str]:
    return [str(number) for number in range(first, end)]


async def _settle(deliveries: Sequence[Delivery], settlement: Settlement = ACK) -> None:
    for delivery in deliveries:
        await delivery.settle(settlement)


class SourceSuite:
    """The clauses of a feed."""

    capability: ClassVar[Capability]
    can: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        if hasattr(cls, "capability"):
            select(cls, cls.capability, cls.can)

    def test_it_declares_what_the_suite_was_told(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            assert rig.feed.capability == self.capability

        case.run(clause)

    def test_what_is_published_is_read_whole_and_in_order(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            reader = await rig.feed.open(Start())
            events = make_events(20)
            await rig.publish(events)
            taken = [delivery.event for delivery in await _take(rig, reader, 20)]
            assert _plain(taken) == _plain(events)
            assert all(event.attributes["traceparent"] for event in taken)
            await reader.close()

        case.run(clause)

    def test_a_broadcast_settles_nothing_for_others(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            first, second = await rig.feed.open(Start()), await rig.feed.open(Start())
            await rig.publish(make_events(5))
            await _settle(await _take(rig, first, 5), Settlement(Verdict.REJECT, cause="mine"))
            assert _ids(await _take(rig, second, 5)) == _names(0, 5)
            await first.close()
            await second.close()

        case.run(clause)

    def test_a_cancelled_read_loses_nothing(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            reader = await rig.feed.open(Start())
            ids: list[str] = []
            for number in range(15):
                reading = asyncio.create_task(_read(reader))
                await asyncio.sleep(0)
                await rig.publish(make_events(1, first=number))
                reading.cancel()
                ids += await _what_came(reading)
            ids += _ids(await _take(rig, reader, 15 - len(ids))) if len(ids) < 15 else []
            assert ids == _names(0, 15)
            await reader.close()

        case.run(clause)

    def test_closing_twice_is_harmless(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            reader = await rig.feed.open(Start())
            await reader.close()
            await reader.close()
            if self.capability.ack:
                member = await rig.feed.join("twice")
                await member.close()
                await member.close()

        case.run(clause)

    @needs("cut")
    def test_a_lost_connection_is_told_as_not_connected(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            reader = await rig.feed.open(Start())
            await rig.publish(make_events(1))
            await _take(rig, reader, 1)
            await rig.cut()
            try:
                with TimeLimit(rig.clock, rig.clock.now() + _LONGEST):
                    while True:
                        await reader.read()
            except NotConnected:
                await reader.close()

        case.run(clause)

    @needs("no_ack")
    def test_a_feed_that_cannot_be_settled_refuses_groups(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            assert await _refusal(rig.feed.join("group")) is Reason.NOT_ACKABLE

        case.run(clause)

    @needs("no_replay")
    def test_without_replay_there_is_no_position_and_no_epoch(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(3))
            reader = await rig.feed.open(OLDEST)
            await rig.publish(make_events(1, first=3))
            taken = await _take(rig, reader, 1)
            assert _ids(taken) == ["3"]
            assert (reader.epoch, taken[0].event.position) == (0, b"")
            await reader.close()

        case.run(clause)

    # replay

    @needs("replay")
    def test_now_begins_behind_what_is_there(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(5))
            reader = await rig.feed.open(Start())
            await rig.publish(make_events(2, first=5))
            assert _ids(await _take(rig, reader, 2)) == _names(5, 7)
            await reader.close()

        case.run(clause)

    @needs("replay")
    def test_oldest_begins_with_the_first(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(5))
            reader = await rig.feed.open(OLDEST)
            assert _ids(await _take(rig, reader, 5)) == _names(0, 5)
            await reader.close()

        case.run(clause)

    @needs("replay")
    def test_after_is_exclusive_and_skips_nothing(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(6))
            reader = await rig.feed.open(OLDEST)
            taken = await _take(rig, reader, 6)
            await reader.close()
            for number in (0, 3, 4):
                position = taken[number].event.position
                again = await rig.feed.open(Start(StartKind.AFTER, position))
                assert _ids(await _take(rig, again, 5 - number)) == _names(number + 1, 6)
                await again.close()
            last = await rig.feed.open(Start(StartKind.AFTER, taken[5].event.position))
            await rig.publish(make_events(1, first=6))
            assert _ids(await _take(rig, last, 1)) == ["6"]
            await last.close()

        case.run(clause)

    @needs("replay")
    def test_time_begins_with_what_was_stored_since(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(3))
            await rig.clock.sleep(0.1)
            time = rig.clock.wall()
            await rig.clock.sleep(0.1)
            await rig.publish(make_events(3, first=3))
            reader = await rig.feed.open(Start(StartKind.TIME, time=time))
            assert _ids(await _take(rig, reader, 3)) == _names(3, 6)
            await reader.close()

        case.run(clause)

    @needs("replay")
    def test_the_epoch_stays_over_a_reconnect(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            first = await rig.feed.open(Start())
            await first.close()
            second = await rig.feed.open(OLDEST)
            assert first.epoch == second.epoch
            assert 0 <= first.epoch < 2**32
            await second.close()

        case.run(clause)

    @needs("replay")
    def test_a_position_that_is_none_is_refused(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            opening = rig.feed.open(Start(StartKind.AFTER, b"none of ours"))
            assert await _refusal(opening) is Reason.BAD_CURSOR

        case.run(clause)

    @needs("replay", "expire")
    def test_what_is_no_longer_kept_is_reported_first(self, case: SourceCase) -> None:
        """F18: never silent."""

        async def clause(rig: SourceRig) -> None:
            await rig.publish(make_events(3))
            reader = await rig.feed.open(OLDEST)
            position = (await _take(rig, reader, 3))[0].event.position
            await reader.close()
            await rig.expire()
            await rig.publish(make_events(2, first=3))
            again = await rig.feed.open(Start(StartKind.AFTER, position))
            items = list(await again.read())
            assert isinstance(items[0], Gap)
            assert items[0].why is GapWhy.EXPIRED
            rest = [item for item in items if isinstance(item, Delivery)]
            rest += await _take(rig, again, 2 - len(rest)) if len(rest) < 2 else []
            assert _ids(rest) == _names(3, 5)
            await again.close()

        case.run(clause)

    @needs("replay", "rebuild")
    def test_a_new_history_has_a_new_epoch(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            first = await rig.feed.open(Start())
            await first.close()
            await rig.rebuild()
            second = await rig.feed.open(Start())
            assert first.epoch != second.epoch
            await second.close()

        case.run(clause)

    # groups

    @needs("ack")
    def test_what_is_acknowledged_never_comes_again(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(3))
            taken = await _take(rig, member, 3)
            assert [delivery.attempt for delivery in taken] == [1, 1, 1]
            await _settle(taken)
            assert await _is_quiet(rig, member, rig.wait)
            await member.close()
            other = await rig.feed.join("group")
            assert await _is_quiet(rig, other, 0.2)
            await other.close()

        case.run(clause)

    @needs("ack", "delay")
    def test_a_nack_comes_again_after_its_delay_and_counts(self, case: SourceCase) -> None:
        """F25: nack all."""

        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(1))
            (first,) = await _take(rig, member, 1)
            since = rig.clock.now()
            await first.settle(Settlement(Verdict.NACK, 0.4))
            (second,) = await _take(rig, member, 1)
            # The broker's clock need not agree with ours to the last millisecond.
            assert rig.clock.now() - since >= 0.39
            assert (second.event.id, second.attempt) == ("0", 2)
            await second.settle(ACK)
            await member.close()

        case.run(clause)

    @needs("ack")
    def test_settling_twice_does_nothing(self, case: SourceCase) -> None:
        """F25: ack twice."""

        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(2))
            first, second = await _take(rig, member, 2)
            await first.settle(ACK)
            await first.settle(ACK)
            await first.settle(NACK)
            await second.settle(NACK)
            await second.settle(ACK)
            again = await _take(rig, member, 1)
            assert [(one.event.id, one.attempt) for one in again] == [("1", 2)]
            await _settle(again)
            assert await _is_quiet(rig, member, 0.2)
            await member.close()

        case.run(clause)

    @needs("ack")
    def test_a_close_gives_back_what_is_unsettled(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            first = await rig.feed.join("group")
            await rig.publish(make_events(4))
            taken = await _take(rig, first, 4)
            await _settle(taken[:2])
            await first.close()
            second = await rig.feed.join("group")
            since = rig.clock.now()
            again = await _take(rig, second, 2)
            # At once, not when the lease has run out.
            assert rig.clock.now() - since < rig.wait / 2
            assert sorted(_ids(again)) == ["2", "3"], [(o.event.id, o.attempt) for o in again]
            await _settle(again)
            await second.close()

        case.run(clause)

    @needs("ack")
    def test_what_stays_unsettled_comes_again(self, case: SourceCase) -> None:
        """F25: never acks."""

        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(1))
            await _take(rig, member, 1)
            (again,) = await _take(rig, member, 1)
            assert (again.event.id, again.attempt) == ("0", 2)
            await again.settle(ACK)
            await member.close()

        case.run(clause)

    @needs("ack")
    def test_members_of_a_group_share(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            members = [await rig.feed.join("group") for _ in range(2)]
            ids: list[str] = []
            tasks = [asyncio.create_task(_work(member, ids)) for member in members]
            await rig.publish(make_events(40))
            until = rig.clock.now() + _LONGEST
            while len(ids) < 40 and rig.clock.now() < until:
                await rig.clock.sleep(0.01)
            await rig.clock.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert sorted(ids, key=int) == _names(0, 40)
            for member in members:
                await member.close()

        case.run(clause)

    @needs("ack")
    def test_each_group_gets_everything(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            first, second = await rig.feed.join("one"), await rig.feed.join("two")
            await rig.publish(make_events(3))
            for member in (first, second):
                taken = await _take(rig, member, 3)
                assert sorted(_ids(taken)) == _names(0, 3)
                await _settle(taken)
                await member.close()

        case.run(clause)

    @needs("ack")
    def test_a_group_that_cannot_be_named_is_refused(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            for group in ("", "a.b", "a b", "x" * 65, "*"):
                assert await _refusal(rig.feed.join(group)) is Reason.INVALID_REQUEST

        case.run(clause)

    @needs("ack", "dead")
    def test_after_so_many_attempts_it_is_a_dead_letter(self, case: SourceCase) -> None:
        """P10: exactly N attempts, then among the dead letters with all that it had."""

        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(1))
            for attempt in range(1, rig.max_deliver + 1):
                (delivery,) = await _take(rig, member, 1)
                assert delivery.attempt == attempt
                await delivery.settle(NACK)
            assert await _is_quiet(rig, member, 0.3)
            await member.close()
            letter = await _letter(rig)
            assert letter.attributes["interlacecause"] == "nack"
            assert letter.attributes["interlaceattempts"] == str(rig.max_deliver)
            assert letter.attributes["interlacegroup"] == "group"
            assert _plain([letter]) == _plain(make_events(1))
            assert letter.attributes["traceparent"]

        case.run(clause)

    @needs("ack", "dead")
    def test_what_nobody_settles_becomes_a_dead_letter(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(1))
            for _ in range(rig.max_deliver):
                await _take(rig, member, 1)
            assert await _is_quiet(rig, member, rig.wait)
            await member.close()
            letter = await _letter(rig)
            assert letter.attributes["interlaceattempts"] == str(rig.max_deliver)

        case.run(clause)

    @needs("ack", "dead")
    def test_a_rejected_delivery_is_a_dead_letter_at_once(self, case: SourceCase) -> None:
        async def clause(rig: SourceRig) -> None:
            member = await rig.feed.join("group")
            await rig.publish(make_events(1))
            await _settle(
                await _take(rig, member, 1), Settlement(Verdict.REJECT, cause="no such order")
            )
            letter = await _letter(rig)
            assert letter.attributes["interlacecause"] == "no such order"
            assert letter.attributes["interlaceattempts"] == "1"
            assert await _is_quiet(rig, member, 0.2)
            await member.close()

        case.run(clause)


def _plain(events: Sequence[Event]) -> list[tuple[object, ...]]:
    """What has to survive the broker."""
    return [
        (one.id, one.source, one.type, one.subject, one.time, one.key, one.media_type, one.data)
        for one in events
    ]


async def _read(reader: Reader) -> Sequence[Delivery | Gap]:
    return await reader.read()


async def _what_came(reading: asyncio.Task[Sequence[Delivery | Gap]]) -> list[str]:
    """Returns what a read that was cancelled had returned all the same."""
    await asyncio.wait([reading])
    if reading.cancelled():
        return []
    return _ids([item for item in reading.result() if isinstance(item, Delivery)])


async def _work(member: Reader, ids: list[str]) -> None:
    while True:
        for item in await member.read():
            assert isinstance(item, Delivery)
            ids.append(item.event.id)
            await item.settle(ACK)


async def _letter(rig: SourceRig) -> Event:
    reader = await rig.dead.open(OLDEST)
    (delivery,) = await _take(rig, reader, 1)
    await reader.close()
    return delivery.event


async def _refusal(opening: Awaitable[Reader]) -> Reason | None:
    try:
        reader = await opening
    except Failure as failure:
        return failure.reason
    await reader.close()
    return None
