"""A member of a group: credit, tags, settling, and what goes back when it leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

import pytest
from feed_rig import event, lost

from interlaced.core.backoff import Backoff
from interlaced.core.consume import (
    ConsumeFrame,
    ConsumeSession,
    ConsumeTools,
    CreditReader,
    Farewell,
    Handed,
    Settled,
    TagSettlement,
)
from interlaced.core.failure import EndOfFeed, Failure, Reason
from interlaced.core.model import Delivery, Event, Gap, Settlement, Verdict
from interlaced.core.ports import Capability, Durability, Order, Start
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeFeedObserver

ACK = Settlement(Verdict.ACK)


@dataclass
class Queue:
    """A broker's group: hands out, takes back, redelivers; `batch` may exceed any credit."""

    clock: VirtualClock
    ack: bool = True
    batch: int = 2
    waiting: list[tuple[Event, int]] = field(default_factory=list)
    settled: list[tuple[str, str]] = field(default_factory=list)
    members: set[object] = field(default_factory=set)
    refusals: int = 0
    is_over: bool = False
    is_broken: bool = False
    slow: asyncio.Event | None = None
    name: str = "Jobs"
    description: str = ""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    allowed: list[int] = field(default_factory=list)

    @property
    def capability(self) -> Capability:
        return Capability(durability=Durability.MEMORY, order=Order.NONE, ack=self.ack)

    def add(self, *numbers: int) -> None:
        self.waiting += [(event(number), 1) for number in numbers]
        self.news.set()

    async def open(self, start: Start) -> QueueReader:
        raise AssertionError("a group is joined, not opened")

    async def join(self, group: str) -> QueueReader:
        await asyncio.sleep(0)
        if group == "!":
            raise Failure(Reason.INVALID_REQUEST, "the group has no usable name")
        if self.refusals:
            self.refusals -= 1
            raise lost()
        reader = QueueReader(self)
        self.members.add(reader)
        return reader


class QueueReader:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.epoch = 0
        self.room = 0
        self.held: list[tuple[Event, int]] = []

    def allow(self, deliveries: int) -> None:
        self.room = deliveries
        self.queue.allowed.append(deliveries)

    async def read(self) -> Sequence[Delivery | Gap]:
        queue = self.queue
        while not queue.waiting:
            if queue.is_over:
                raise EndOfFeed
            queue.news.clear()
            await queue.news.wait()
        if self not in queue.members:
            raise lost()
        count = min(self.room, queue.batch)
        taken, queue.waiting = queue.waiting[:count], queue.waiting[count:]
        self.held += taken
        return [Delivery(one, self.settler(one, attempt), attempt) for one, attempt in taken]

    def settler(self, one: Event, attempt: int):  # type: ignore[no-untyped-def]  # a Settle
        async def settle(settlement: Settlement) -> None:
            if self.queue.slow is not None:
                await self.queue.slow.wait()
            if self.queue.is_broken:
                raise Failure(Reason.UPSTREAM_UNAVAILABLE, "the broker did not take it")
            if (one, attempt) in self.held:
                self.held.remove((one, attempt))
                self.queue.settled.append((one.id, settlement.verdict.value))
                if settlement.verdict is Verdict.NACK:
                    self.queue.waiting.append((one, attempt + 1))
                    self.queue.news.set()

        return settle

    async def close(self) -> None:
        self.queue.members.discard(self)
        self.queue.waiting += [(one, attempt + 1) for one, attempt in self.held]
        self.held.clear()
        self.queue.news.set()


def session(queue: Queue, credit: int = 3, group: str = "g", **changes: float) -> ConsumeSession:
    facts = {
        "heartbeat": 15.0,
        "settle_grace": 5.0,
        "leave_at": float("inf"),
        "reconnect_after": 1.0,
    }
    tools = ConsumeTools(
        feed=lambda: queue,
        backoff=Backoff(0.25, 30.0),
        clock=queue.clock,
        random=Random(1),
        observer=FakeFeedObserver(),
        fits=lambda one: len(one.data) < 2_000_000,
        max_credit=10,
        left=lambda _: None,
        **(facts | changes),  # type: ignore[arg-type]  # tests name real fields
    )
    return ConsumeSession(group, credit, tools)


def tags(frame: ConsumeFrame) -> list[int]:
    assert isinstance(frame, list)
    return [one.tag for one in frame if isinstance(one, Handed)]


def results(frame: ConsumeFrame) -> list[tuple[int, str]]:
    assert isinstance(frame, list)
    return [
        (one.tag, one.failure.reason.value if one.failure else "")
        for one in frame
        if isinstance(one, Settled)
    ]


async def rest() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def run(main, clock: VirtualClock) -> None:  # type: ignore[no-untyped-def]  # a test's body
    clock.run(main())


def test_credit_bounds_what_is_unsettled_and_a_settlement_makes_room() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock, batch=10)
        queue.add(*range(10))
        async with session(queue) as member:
            assert isinstance(member.writing, object)
            assert await member.next() is None, "the first frame says that the group is joined"
            assert tags(await member.next()) == [1, 2, 3]
            await rest()
            assert len(queue.waiting) == 7, "the broker is not asked for more than fits"
            await member.settle([TagSettlement(2, ACK)])
            assert results(await member.next()) == [(2, "")]
            assert tags(await member.next()) == [4]
            member.add_credit(2)
            assert tags(await member.next()) == [5, 6]
            member.add_credit(10**6)
            assert sum([len(tags(await member.next()))]) == 4
            assert member.unsettled == 9
        assert len(queue.waiting) == 9, "what was unsettled is given back at once"
        assert queue.settled == [("e1", "ack")]

    run(main, clock)


def test_a_double_ack_is_idempotent_and_an_unknown_tag_harms_nothing() -> None:
    """F25: settled twice, unknown, and without a verdict, in one message."""
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1, 2)
        wrong = Failure(Reason.INVALID_REQUEST, "no verdict")
        async with session(queue) as member:
            await member.next()
            assert tags(await member.next()) == [1, 2]
            said = [(1, ACK), (1, ACK), (99, ACK), (0, ACK), (2, wrong), (2, ACK), (3, ACK)]
            await member.settle([TagSettlement(tag, what) for tag, what in said])
            assert results(await member.next()) == [
                (1, ""),
                (1, ""),
                (99, "INVALID_REQUEST"),
                (0, "INVALID_REQUEST"),
                (2, "INVALID_REQUEST"),
                (2, ""),
                (3, "INVALID_REQUEST"),
            ]
            assert queue.settled == [("e1", "ack"), ("e2", "ack")]

    run(main, clock)


def test_a_nack_comes_again_with_its_attempt_counted_by_the_broker() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1)
        async with session(queue) as member:
            await member.next()
            await member.next()
            await member.settle([TagSettlement(1, Settlement(Verdict.NACK, delay=0.0))])
            assert results(await member.next()) == [(1, "")]
            frame = await member.next()
            assert isinstance(frame, list)
            (again,) = frame
            assert isinstance(again, Handed)
            assert (again.tag, again.delivery.attempt) == (2, 2)

    run(main, clock)


def test_a_settlement_that_the_broker_did_not_take_says_so() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1)
        async with session(queue) as member:
            await member.next()
            await member.next()
            queue.is_broken = True
            await member.settle([TagSettlement(1, ACK), TagSettlement(1, ACK)])
            await member.settle([TagSettlement(1, ACK)])
            assert results(await member.next()) == [(1, "UPSTREAM_UNAVAILABLE")] * 3, (
                "L4: asking again does not make it true"
            )

    run(main, clock)


def test_a_lost_connection_is_joined_again_and_old_tags_stay_known() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1)
        queue.refusals = 2
        async with session(queue) as member:
            await member.next()
            assert tags(await member.next()) == [1]
            queue.members.clear()
            queue.add(2)
            await member.settle([TagSettlement(2, ACK)])
            assert results(await member.next()) == [(2, "INVALID_REQUEST")], "not handed out yet"
            assert tags(await member.next()) == [2, 3], "the new one, and the lost one again"
            await member.settle([TagSettlement(tag, ACK) for tag in (1, 2, 3)])
            assert results(await member.next()) == [(1, ""), (2, ""), (3, "")]

    run(main, clock)


@pytest.mark.parametrize(
    ("queue", "group", "reason"),
    [({"ack": False}, "g", Reason.NOT_ACKABLE), ({}, "!", Reason.INVALID_REQUEST)],
)
def test_what_cannot_be_joined_says_why(queue: dict[str, bool], group: str, reason: Reason) -> None:
    clock = VirtualClock()

    async def main() -> None:
        with pytest.raises(Failure) as refused:
            async with session(Queue(clock, **queue), group=group) as member:
                await member.next()
        assert refused.value.reason is reason

    run(main, clock)


def test_heartbeats_come_while_nothing_happens() -> None:
    clock = VirtualClock()

    async def main() -> None:
        async with session(Queue(clock)) as member:
            assert await member.next() is None
            started = clock.now()
            assert await member.next() is None
            assert clock.now() - started == 15.0

    run(main, clock)


@pytest.mark.parametrize("why", ["drain", "age"])
def test_going_away_leaves_time_to_settle_and_takes_nothing_new(why: str) -> None:
    """F22: unsettled deliveries go to other members after the grace at the latest."""
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1, 2)
        leave = clock.now() + 50.0 if why == "age" else float("inf")
        async with session(queue, leave_at=leave) as member:
            await member.next()
            await member.next()
            if why == "drain":
                member.go_away(3.0)
            frame = await member.next()
            while frame is None:
                frame = await member.next()
            assert frame == Farewell(3.0 if why == "drain" else 1.0)
            queue.add(3)
            await member.settle([TagSettlement(1, ACK)])
            assert results(await member.next()) == [(1, "")]
            with pytest.raises(Failure) as ended:
                await member.next()
            assert ended.value.reason is Reason.DRAINING
            assert ended.value.retry_after == (3.0 if why == "drain" else 1.0)
        assert sorted(one.id for one, _ in queue.waiting) == ["e2", "e3"]

    run(main, clock)


def test_a_verdict_on_its_way_to_the_broker_is_told_before_the_end() -> None:
    """F22: the last thing held is being settled when the server drains; its member must hear what
    became of it, and each result once."""
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock, batch=2)
        queue.add(1, 2)
        async with session(queue) as member:
            await member.next()
            assert tags(await member.next()) == [1, 2]
            await member.settle([TagSettlement(1, ACK)])
            queue.slow = asyncio.Event()
            settling = asyncio.create_task(member.settle([TagSettlement(2, ACK)]))
            await rest()
            assert results(await member.next()) == [(1, "")]
            member.go_away(3.0)
            assert await member.next() == Farewell(3.0)
            last = asyncio.create_task(member.next())
            await rest()
            assert not last.done()
            queue.slow.set()
            await settling
            assert results(await last) == [(2, "")]
            with pytest.raises(Failure) as ended:
                await member.next()
            assert ended.value.reason is Reason.DRAINING

    run(main, clock)


def test_a_half_close_and_the_end_of_the_feed_end_the_session_in_peace() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        async with session(queue) as member:
            await member.next()
            member.finish()
            with pytest.raises(EndOfFeed):
                await member.next()
        queue.is_over = True
        async with session(queue) as member:
            assert await member.next() is None
            with pytest.raises(EndOfFeed):
                await member.next()

    run(main, clock)


def test_a_member_that_says_no_more_is_given_no_more() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)
        queue.add(1, 2)
        async with session(queue) as member:
            await member.next()
            await rest()
            member.finish()
            with pytest.raises(EndOfFeed):
                await member.next()
        assert sorted(one.id for one, _ in queue.waiting) == ["e1", "e2"]

    run(main, clock)


def test_what_no_frame_can_carry_goes_to_the_dead_letters() -> None:
    """P10: it would end every member that it is given to."""
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock, batch=3)
        sizes = (1, 3_000_000, 1_500_000)
        queue.waiting += [(event(n, data=b"x" * size), 1) for n, size in enumerate(sizes)]  # type: ignore[arg-type]  # data is bytes
        async with session(queue) as member:
            await member.next()
            assert tags(await member.next()) == [1]
            assert tags(await member.next()) == [2]
            assert queue.settled == [("e1", "reject")]

    run(main, clock)


def test_a_connector_that_breaks_ends_its_member() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock)

        async def broken(group: str) -> QueueReader:
            raise RuntimeError(group)

        queue.join = broken  # type: ignore[method-assign]  # the connector's bug
        async with session(queue) as member:
            with pytest.raises(Failure) as ended:
                await member.next()
        assert ended.value.reason is Reason.INTERNAL_ERROR
        assert isinstance(ended.value.__cause__, RuntimeError)

    run(main, clock)


def test_a_member_that_reads_no_results_is_heard_no_further() -> None:
    """L7: results that wait are bounded, however much a member says."""
    clock = VirtualClock()

    async def main() -> None:
        async with session(Queue(clock)) as member:
            await member.next()
            many = [TagSettlement(0, ACK)] * 500

            async def talk() -> None:
                while True:
                    await member.settle(many)

            task = asyncio.create_task(talk())
            for _ in range(100):
                await rest()
            assert len(member._results) <= 1024 + 500
            assert len(results(await member.next())) >= 1024
            task.cancel()
            await asyncio.wait([task])

    run(main, clock)


def test_a_reader_is_told_how_much_room_there_is() -> None:
    clock = VirtualClock()

    async def main() -> None:
        queue = Queue(clock, batch=100)
        queue.add(*range(50))
        async with session(queue, credit=1) as member:
            await member.next()
            assert tags(await member.next()) == [1]
            assert isinstance(next(iter(queue.members)), CreditReader)
            assert queue.allowed == [1]

    run(main, clock)


def test_a_reader_that_swallows_its_cancellation_is_closed_all_the_same() -> None:
    """L5: libraries do that (asyncio.wait_for of 3.11 among them). What such a read brought goes
    back to the group instead of waiting in a session that nobody has."""
    clock = VirtualClock()
    queue = Queue(clock)

    class Swallowing(QueueReader):
        async def read(self) -> Sequence[Delivery | Gap]:
            try:
                return await super().read()
            except asyncio.CancelledError:
                queue.add(1)
                return await super().read()

    async def join(group: str) -> QueueReader:
        reader = Swallowing(queue)
        queue.members.add(reader)
        return reader

    queue.join = join  # type: ignore[method-assign]  # a reader of its own

    async def main() -> None:
        async with session(queue) as member:
            assert await member.next() is None
            await clock.sleep(0.1)
        assert not queue.members
        assert [one.id for one, _ in queue.waiting] == [event(1).id]

    run(main, clock)
