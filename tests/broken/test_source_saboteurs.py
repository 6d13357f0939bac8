"""Every clause of the source suite has a twin that breaks it, and is caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from memory_rig import FEED, MemoryCase, MemoryRig

from interlaced.connectors.competing import UNSETTLED
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Delivery, Gap, Settlement, Verdict
from interlaced.core.ports import Capability, Durability, Feed, Order, Reader, Start, StartKind
from interlaced.testing.source_suite import SourceSuite

Item = Delivery | Gap
CORE = Capability(durability=Durability.NONE, order=Order.NONE)
CAN = frozenset({"expire", "rebuild", "dead", "cut"})


class HonestReader:
    """Passes everything on; a saboteur breaks one thing."""

    def __init__(self, feed: HonestFeed, inner: Reader, *, group: str = "") -> None:
        self.feed = feed
        self.inner = inner
        self.group = group

    @property
    def epoch(self) -> int:
        return self.inner.epoch

    async def read(self) -> Sequence[Item]:
        return [self.change(item) for item in await self.inner.read()]

    def change(self, item: Item) -> Item:
        return item

    async def close(self) -> None:
        await self.inner.close()


class HonestFeed:
    """As above."""

    reader = HonestReader

    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        self.inner = inner
        self.rig = rig
        self.name = inner.name
        self.description = inner.description
        self.capability = inner.capability

    async def open(self, start: Start) -> Reader:
        return self.reader(self, await self.inner.open(start))

    async def join(self, group: str) -> Reader:
        return self.reader(self, await self.inner.join(group), group=group)


class Boasts(HonestFeed):
    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.capability = replace(inner.capability, durability=Durability.FSYNC)


class Shortens(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        def change(self, item: Item) -> Item:
            if self.group or isinstance(item, Gap):
                return item
            return replace(item, event=replace(item.event, subject=""))


class SettlesForAll(HonestFeed):
    """The verdict of one broadcast subscriber ends the event for all others."""

    gone: set[str]

    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.gone = set()

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def read(self) -> Sequence[Item]:
            while True:
                items = [self.change(item) for item in await self.inner.read()]
                left = [item for item in items if not self._is_gone(item)]
                if left:
                    return left

        def _is_gone(self, item: Item) -> bool:
            gone = self.feed.gone
            return not self.group and isinstance(item, Delivery) and item.event.id in gone

        def change(self, item: Item) -> Item:
            if self.group or isinstance(item, Gap):
                return item

            async def settle(_: Settlement) -> None:
                self.feed.gone.add(item.event.id)

            return replace(item, settle=settle)


class DropsWhenCancelled(HonestFeed):
    """Takes from the broker first, and is cancelled before it has returned that."""

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def read(self) -> Sequence[Item]:
            items = await self.inner.read()
            if not self.group:
                await self.feed.rig.clock.sleep(0.01)
            return items


class ClosesOnce(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        is_closed = False

        async def close(self) -> None:
            if self.is_closed:
                raise RuntimeError("closed twice")
            self.is_closed = True
            await self.inner.close()


class Hangs(HonestFeed):
    """Its connection is cut, and it goes on waiting."""


class LetsAnyoneJoin(HonestFeed):
    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.capability = CORE


class Stamps(HonestFeed):
    """Claims not to replay, and does."""

    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.capability = CORE

    async def join(self, group: str) -> Reader:
        raise Failure(Reason.NOT_ACKABLE, "not here")


def _starts(kind: StartKind, instead: Start) -> type[HonestFeed]:
    class Starts(HonestFeed):
        async def open(self, start: Start) -> Reader:
            return await super().open(instead if start.kind is kind else start)

    return Starts


class StartsAt(HonestFeed):
    """Inclusive instead of exclusive."""

    async def open(self, start: Start) -> Reader:
        if start.kind is StartKind.AFTER and len(start.position) == 8:
            place = int.from_bytes(start.position, "big") - 1
            start = replace(start, position=place.to_bytes(8, "big"))
        return await super().open(start)


class CountsConnections(HonestFeed):
    """Its epoch is that of the connection."""

    connections = 0

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        mine = 0

        @property
        def epoch(self) -> int:
            if not self.mine:
                CountsConnections.connections += 1
                self.mine = CountsConnections.connections
            return self.mine


class OneHistory(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        @property
        def epoch(self) -> int:
            return 7


class TakesAnyPosition(HonestFeed):
    async def open(self, start: Start) -> Reader:
        try:
            return await super().open(start)
        except Failure:
            return await super().open(Start())


class HidesGaps(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def read(self) -> Sequence[Item]:
            while True:
                items = [item for item in await self.inner.read() if isinstance(item, Delivery)]
                if items:
                    return items


class SettlingFeed(HonestFeed):
    """The base of those that spoil settling."""

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        def change(self, item: Item) -> Item:
            if not self.group or isinstance(item, Gap):
                return item
            return replace(item, settle=lambda verdict: self.settle(item, verdict))

        async def settle(self, item: Delivery, settlement: Settlement) -> None:
            await item.settle(settlement)


class ForgetsAcks(SettlingFeed):
    class reader(SettlingFeed.reader):  # noqa: N801  # stands for an attribute
        async def settle(self, item: Delivery, settlement: Settlement) -> None:
            if settlement.verdict is not Verdict.ACK:
                await item.settle(settlement)


class IgnoresDelay(SettlingFeed):
    class reader(SettlingFeed.reader):  # noqa: N801  # stands for an attribute
        async def settle(self, item: Delivery, settlement: Settlement) -> None:
            delay = settlement.delay and 0.0
            await item.settle(replace(settlement, delay=delay))


class SettlesAgain(HonestFeed):
    """A second verdict overrules the first."""

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        def change(self, item: Item) -> Item:
            if not self.group or isinstance(item, Gap):
                return item
            settled: list[Verdict] = []

            async def settle(settlement: Settlement) -> None:
                await item.settle(settlement)
                settled.append(settlement.verdict)
                if settled == [Verdict.ACK, Verdict.ACK, Verdict.NACK]:
                    await self.feed.rig.publish([replace(item.event, id=f"{item.event.id}again")])

            return replace(item, settle=settle)


class KeepsOnClose(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def close(self) -> None:
            """Gives nothing back."""


class NeverRedelivers(HonestFeed):
    """What comes again since it was not settled is settled behind the consumer's back."""

    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        self.excused: set[str] = set()

    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def read(self) -> Sequence[Item]:
            while True:
                items = [await self._pass(item) for item in await self.inner.read()]
                left = [item for item in items if item is not None]
                if left:
                    return left

        async def _pass(self, item: Item) -> Item | None:
            if not self.group or isinstance(item, Gap):
                return item
            excused: set[str] = self.feed.excused
            if item.attempt > 1 and item.event.id not in excused:
                await item.settle(Settlement(Verdict.ACK))
                return None
            excused.discard(item.event.id)
            return replace(item, settle=lambda verdict: self._settle(item, verdict))

        async def _settle(self, item: Delivery, settlement: Settlement) -> None:
            if settlement.verdict is Verdict.NACK:
                self.feed.excused.add(item.event.id)
            await item.settle(settlement)

        async def close(self) -> None:
            held = {str(number) for number in range(9)}
            self.feed.excused.update(held)
            await self.inner.close()


class Multiplies(HonestFeed):
    """Each member is a group of its own."""

    members = 0

    async def join(self, group: str) -> Reader:
        Multiplies.members += 1
        mine = f"{group}{Multiplies.members}" if group == "group" else group
        return self.reader(self, await self.inner.join(mine), group=group)


class OneGroup(HonestFeed):
    async def join(self, group: str) -> Reader:
        mine = "one" if group == "two" else group
        return self.reader(self, await self.inner.join(mine), group=group)


class TakesAnyGroup(HonestFeed):
    async def join(self, group: str) -> Reader:
        mine = group if group.isalnum() and len(group) < 10 else "some"
        return self.reader(self, await self.inner.join(mine), group=group)


class NeverGivesUp(SettlingFeed):
    """The last attempt is not the last."""

    class reader(SettlingFeed.reader):  # noqa: N801  # stands for an attribute
        async def settle(self, item: Delivery, settlement: Settlement) -> None:
            if settlement.verdict is Verdict.NACK and item.attempt == 3:
                settlement = Settlement(Verdict.ACK)
            await item.settle(settlement)


class HidesUnsettled(HonestFeed):
    class reader(HonestReader):  # noqa: N801  # stands for an attribute
        async def read(self) -> Sequence[Item]:
            while True:
                items = [item for item in await self.inner.read() if isinstance(item, Delivery)]
                causes = (item.event.attributes["interlacecause"] for item in items)
                if UNSETTLED not in causes:
                    return items


class DropsUnsettled(HonestFeed):
    """After the last attempt what nobody settled is dropped instead of buried."""

    def __init__(self, inner: Feed, rig: MemoryRig) -> None:
        super().__init__(inner, rig)
        rig.dead = HidesUnsettled(rig.dead, rig)


class NacksRejected(SettlingFeed):
    class reader(SettlingFeed.reader):  # noqa: N801  # stands for an attribute
        async def settle(self, item: Delivery, settlement: Settlement) -> None:
            if settlement.verdict is Verdict.REJECT:
                settlement = Settlement(Verdict.NACK, 0.0)
            await item.settle(settlement)


SABOTEURS: dict[str, type[HonestFeed]] = {
    "it_declares_what_the_suite_was_told": Boasts,
    "what_is_published_is_read_whole_and_in_order": Shortens,
    "a_broadcast_settles_nothing_for_others": SettlesForAll,
    "a_cancelled_read_loses_nothing": DropsWhenCancelled,
    "closing_twice_is_harmless": ClosesOnce,
    "a_lost_connection_is_told_as_not_connected": Hangs,
    "a_feed_that_cannot_be_settled_refuses_groups": LetsAnyoneJoin,
    "without_replay_there_is_no_position_and_no_epoch": Stamps,
    "now_begins_behind_what_is_there": _starts(StartKind.NOW, Start(StartKind.OLDEST)),
    "oldest_begins_with_the_first": _starts(StartKind.OLDEST, Start()),
    "after_is_exclusive_and_skips_nothing": StartsAt,
    "time_begins_with_what_was_stored_since": _starts(StartKind.TIME, Start(StartKind.OLDEST)),
    "the_epoch_stays_over_a_reconnect": CountsConnections,
    "a_position_that_is_none_is_refused": TakesAnyPosition,
    "what_is_no_longer_kept_is_reported_first": HidesGaps,
    "a_new_history_has_a_new_epoch": OneHistory,
    "what_is_acknowledged_never_comes_again": ForgetsAcks,
    "a_nack_comes_again_after_its_delay_and_counts": IgnoresDelay,
    "settling_twice_does_nothing": SettlesAgain,
    "a_close_gives_back_what_is_unsettled": KeepsOnClose,
    "what_stays_unsettled_comes_again": NeverRedelivers,
    "members_of_a_group_share": Multiplies,
    "each_group_gets_everything": OneGroup,
    "a_group_that_cannot_be_named_is_refused": TakesAnyGroup,
    "after_so_many_attempts_it_is_a_dead_letter": NeverGivesUp,
    "what_nobody_settles_becomes_a_dead_letter": DropsUnsettled,
    "a_rejected_delivery_is_a_dead_letter_at_once": NacksRejected,
}
ALSO: dict[str, set[str]] = {
    # What begins at the wrong place cannot be compared with anything that begins there.
    "oldest_begins_with_the_first": {
        "after_is_exclusive_and_skips_nothing",
        "what_is_no_longer_kept_is_reported_first",
    },
    # What never comes again does not run out of attempts either.
    "what_stays_unsettled_comes_again": {"what_nobody_settles_becomes_a_dead_letter"},
    # What is acknowledged comes again wherever it is waited for.
    "what_is_acknowledged_never_comes_again": {
        "settling_twice_does_nothing",
        "a_close_gives_back_what_is_unsettled",
    },
    # With a group for each member nothing is left to the next one.
    "members_of_a_group_share": {
        "a_close_gives_back_what_is_unsettled",
        "after_so_many_attempts_it_is_a_dead_letter",
        "what_is_acknowledged_never_comes_again",
    },
}
"""Clauses that the same break must break, too."""


class Whole(SourceSuite):
    """Every clause, of feeds with and without everything."""

    capability = FEED
    can = CAN


CLAUSES = sorted(name[5:] for name in dir(SourceSuite) if name.startswith("test_"))
BARE = {"a_feed_that_cannot_be_settled_refuses_groups"}
BARE |= {"without_replay_there_is_no_position_and_no_epoch"}
NETWORK = {"a_lost_connection_is_told_as_not_connected"}


def _breaks(clause: str, saboteur: type[HonestFeed]) -> bool:
    """Whether a clause catches a saboteur."""

    def put(rig: MemoryRig) -> None:
        rebuild = rig.rebuild

        async def rebuilt() -> None:
            await rebuild()
            rig.feed = saboteur(rig.feed, rig)

        async def cut() -> None:
            """There is no connection, and the saboteur never notices."""

        rig.rebuild = rebuilt
        rig.cut = cut
        rig.feed = saboteur(rig.feed, rig)

    suite = Whole()
    try:
        # A clause that does not apply was taken out of the class: the base has it.
        getattr(SourceSuite, f"test_{clause}")(suite, MemoryCase(put))
    except (AssertionError, TimeoutError, RuntimeError, Failure):
        return True
    return False


def test_every_clause_has_its_saboteur() -> None:
    assert sorted(SABOTEURS) == CLAUSES


@pytest.mark.parametrize("clause", CLAUSES)
def test_the_saboteur_of_a_clause_is_caught_by_it(clause: str) -> None:
    assert _breaks(clause, SABOTEURS[clause])


@pytest.mark.parametrize("clause", sorted(set(CLAUSES) - BARE - NETWORK))
def test_a_saboteur_is_caught_by_nothing_else(clause: str) -> None:
    others = set(CLAUSES) - BARE - NETWORK - {clause}
    caught = {other for other in others if _breaks(other, SABOTEURS[clause])}
    assert caught == ALSO.get(clause, set())


@pytest.mark.parametrize("clause", sorted(set(CLAUSES) - BARE - NETWORK))
def test_an_honest_feed_passes(clause: str) -> None:
    assert not _breaks(clause, HonestFeed)


def test_clauses_select_themselves_by_capability() -> None:
    class Core(SourceSuite):
        capability = CORE

    names = [name for name in dir(Core) if name.startswith("test_")]
    kept = {name[5:] for name in names if getattr(Core, name)}
    assert kept >= BARE
    assert not kept & (NETWORK | {"what_is_acknowledged_never_comes_again"})
