"""A member of a group: deliveries under credit, and what becomes of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Protocol, Self, TypeAlias, runtime_checkable

from interlaced.core.backoff import Backoff
from interlaced.core.failure import (
    Disposition,
    EndOfFeed,
    Failure,
    FieldViolation,
    NotConnected,
    Reason,
)
from interlaced.core.model import Delivery, Event, Settlement, Verdict
from interlaced.core.ports import Clock, Feed, FeedObserver, Reader, TimerHandle
from interlaced.core.replay import close_reader
from interlaced.core.tasks import end_tasks
from interlaced.core.writing import Writing

__all__ = [
    "ConsumeFrame",
    "ConsumeSession",
    "ConsumeTools",
    "CreditReader",
    "Farewell",
    "Handed",
    "Settled",
    "TagSettlement",
]

_AT_ONCE = 64  # settlements under way at the same time
_MOST_RESULTS = 1024  # results that wait to be told; at the limit no further request is read


@runtime_checkable
class CreditReader(Protocol):
    """A Reader of a group that can be told how many deliveries there is room for.

    Without it a member may hold what the broker handed out beyond its credit.
    """

    def allow(self, deliveries: int) -> None:
        """The next read may return at most so many deliveries."""
        ...


@dataclass(frozen=True, slots=True)
class Handed:
    """A delivery under the tag that names it on this stream."""

    tag: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a settlement: taken if `failure` is None."""

    tag: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class TagSettlement:
    """A member's verdict about a tag, or why it is none."""

    tag: int
    settlement: Settlement | Failure


@dataclass(frozen=True, slots=True)
class Farewell:
    """The stream is about to end; reconnect after so many seconds."""

    reconnect_after: float


ConsumeFrame: TypeAlias = Sequence[Handed] | Sequence[Settled] | Farewell | None
"""Deliveries, results, a farewell, or None as the heartbeat and the first frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumeTools:
    """What a session needs: `feed` finds the feed as it is configured now, `fits` says whether a
    frame can carry an event, `left` is told when the session is over. Times in seconds, `leave_at`
    a time of the Clock."""

    feed: Callable[[], Feed]
    backoff: Backoff
    clock: Clock
    random: Random
    observer: FeedObserver
    fits: Callable[[Event], bool]
    heartbeat: float
    max_credit: int
    settle_grace: float
    leave_at: float
    reconnect_after: float
    left: Callable[[ConsumeSession], None]


class ConsumeSession:
    """One member's stream. Use it as an async context manager: its exit gives back at once what
    is unsettled.

    `credit` bounds what is handed out and unsettled; a settlement makes room for the next. One
    task calls `next` and writes inside `with session.writing`, one calls `settle` and
    `add_credit`. `next` raises the Failure that ends the
    session: NOT_ACKABLE, or DRAINING some time after the farewell.
    """

    def __init__(self, group: str, credit: int, tools: ConsumeTools) -> None:
        if not tools.feed().capability.ack:
            raise Failure(Reason.NOT_ACKABLE, "the feed has no deliveries that can be settled")
        self._group = group
        self._credit = credit
        self._tools = tools
        self._held: dict[int, Delivery] = {}
        self._settling = 0
        self._ready: deque[Handed] = deque()
        self._results: list[Settled] = []
        self._refused: OrderedDict[int, Failure] = OrderedDict()
        self._next_tag = 1
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._told = asyncio.Event()
        self._is_joined = self._is_greeted = self._is_over = self._is_closing = False
        self._has_left = False
        self._going_away: float | None = None
        self._until: float | None = None
        self._after = tools.reconnect_after
        self._ending: Failure | None = None
        self.writing = Writing(self)
        self._beat_due = tools.clock.now() + tools.heartbeat
        self.lost_at: float | None = tools.clock.now()
        self._task: asyncio.Task[None] | None = None

    @property
    def unsettled(self) -> int:
        """How many deliveries the member holds."""
        return len(self._held)

    # what the member is told

    async def next(self) -> ConsumeFrame:
        """Waits for what to tell the member next; raises EndOfFeed when the stream is over."""
        while True:
            self._changed.clear()
            now = self._tools.clock.now()
            frame = self._frame(now)
            if frame is not _NOTHING:
                self._beat_due = now + self._tools.heartbeat
                return frame
            await self._wait()

    def _frame(self, now: float) -> ConsumeFrame:
        """Returns what can be told now, the most urgent first, or _NOTHING."""
        if self._results:
            results, self._results = self._results, []
            self._told.set()
            return results
        if self._ending is not None:
            raise self._ending
        if self._until is not None and (now >= self._until or self._is_done()):
            raise self._drained()
        if self._until is None and (self._going_away is not None or now >= self._tools.leave_at):
            return self._farewell(now)
        if self._is_joined and not self._is_greeted:
            self._is_greeted = True
            return None
        if self._ready and self._until is None and not self._is_over:
            handed = self._hand_out()
            if handed:
                return handed
        if self._is_over or (self._is_closing and self._is_done()):
            raise EndOfFeed
        return None if now >= self._beat_due else _NOTHING

    def _is_done(self) -> bool:
        """Whether nothing is held, and no verdict is on its way to the broker."""
        return not self._held and not self._settling

    def _hand_out(self) -> Sequence[Handed]:
        handed: list[Handed] = []
        size = 0
        while self._ready and len(self._held) < self._credit:
            size += _size(self._ready[0].delivery)
            if handed and size > _FRAME_BYTES:
                break
            one = self._ready.popleft()
            self._held[one.tag] = one.delivery
            handed.append(one)
        self._room.set()
        return handed

    def _farewell(self, now: float) -> Farewell:
        """No more deliveries follow; what the member holds may still be settled for a while."""
        if self._going_away is not None:
            self._after = self._going_away
        self._until = now + self._tools.settle_grace
        return Farewell(self._after)

    def _drained(self) -> Failure:
        text = "the stream has ended; join again"
        return Failure(Reason.DRAINING, text, retry_after=self._after)

    async def _wait(self) -> None:
        tools = self._tools
        due = min(self._beat_due, tools.leave_at if self._until is None else self._until)
        timer: TimerHandle = tools.clock.call_at(due, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            timer.cancel()

    # what the member says

    async def settle(self, settlements: Sequence[TagSettlement]) -> None:
        """Settles deliveries; the results are told by `next`, in this order.

        One that was settled already is left as it is, and told again; an unknown tag has its own
        failure and harms nothing else. Waits while the member does not read its results.
        """
        while len(self._results) >= _MOST_RESULTS:
            self._told.clear()
            await self._told.wait()
        for start in range(0, len(settlements), _AT_ONCE):
            some = settlements[start : start + _AT_ONCE]
            self._settling = len(some)
            try:
                await asyncio.gather(*(self._settle(one) for one in some))
            finally:
                self._settling = 0
            self._results += [Settled(one.tag, self._refusal(one)) for one in some]
            self._room.set()
            self._changed.set()

    async def _settle(self, one: TagSettlement) -> None:
        if isinstance(one.settlement, Failure):
            return
        delivery = self._held.pop(one.tag, None)
        if delivery is None:
            return
        try:
            await delivery.settle(one.settlement)
        except Failure as failure:
            self._refuse(one.tag, failure)
        else:
            self._tools.observer.settled(one.settlement.verdict.value)

    def _refuse(self, tag: int, failure: Failure) -> None:
        """Keeps what the broker did not take, so that nobody who asks again is told that it did."""
        self._refused[tag] = failure
        if len(self._refused) > self._tools.max_credit:
            self._refused.popitem(last=False)

    def _refusal(self, one: TagSettlement) -> Failure | None:
        """Why this is no settlement, or None if the broker took it, now or before."""
        if isinstance(one.settlement, Failure):
            return one.settlement
        end = self._ready[0].tag if self._ready else self._next_tag
        return self._refused.get(one.tag) if 1 <= one.tag < end else _unknown_tag()

    def add_credit(self, more: int) -> None:
        """Lets so many more deliveries be unsettled, up to the server's limit."""
        self._credit = min(self._credit + more, self._tools.max_credit)
        self._room.set()
        self._changed.set()

    def finish(self) -> None:
        """The member says no more: the session ends, and what is unsettled is given back."""
        self._is_over = True
        self._changed.set()

    # what the broker sends

    async def _run(self) -> None:
        attempt = 0
        while not self._has_left:
            before = self._next_tag
            try:
                await self._read_connection()
            except EndOfFeed:
                self._is_closing = True
                self._changed.set()
                return
            except NotConnected as lost:
                failure = lost.failure
            except Failure as raised:
                if raised.disposition is Disposition.PERMANENT:
                    self.end(raised)
                    return
                failure = raised
            except Exception as error:  # noqa: BLE001  # a bug of a connector must end its member, who would wait for ever
                bug = Failure(Reason.INTERNAL_ERROR, "the feed's connector broke")
                bug.__cause__ = error
                self.end(bug)
                return
            attempt = 0 if self._next_tag > before else attempt + 1
            delay = self._tools.backoff.delay(attempt, self._tools.random)
            self._lose(failure, delay)
            await self._tools.clock.sleep(delay)

    def _lose(self, failure: Failure, retry_in: float) -> None:
        """What was not handed out is the broker's again; what was may still be settled."""
        if self._ready:
            self._next_tag = self._ready[0].tag  # nobody has seen the tags from here on
        self._ready.clear()
        if self.lost_at is None:
            self.lost_at = self._tools.clock.now()
        self._tools.observer.disconnected(failure, retry_in)

    async def _read_connection(self) -> None:
        reader = await self._tools.feed().join(self._group)
        try:
            self._is_joined, self.lost_at = True, None
            self._tools.observer.connected()
            self._changed.set()
            # Asked each time: libraries swallow cancellations, as wait_for of Python 3.11 does.
            while not self._has_left:
                await self._wait_for_room(reader)
                for item in await reader.read():
                    if isinstance(item, Delivery) and await self._is_carried(item):
                        self._ready.append(Handed(self._next_tag, item))
                        self._next_tag += 1
                self._changed.set()
        finally:
            await close_reader(reader)

    async def _is_carried(self, delivery: Delivery) -> bool:
        """Whether a frame can carry it; what none can would end every member that it is given to,
        and goes to the dead letters instead."""
        if _size(delivery) <= _FRAME_BYTES or self._tools.fits(delivery.event):
            return True
        with contextlib.suppress(Failure):  # then it comes again
            await delivery.settle(Settlement(Verdict.REJECT, cause=_TOO_LARGE))
        return False

    async def _wait_for_room(self, reader: Reader) -> None:
        while not self._has_left and self._is_full():
            self._room.clear()
            await self._room.wait()
        if isinstance(reader, CreditReader):
            reader.allow(self._credit - len(self._held))

    def _is_full(self) -> bool:
        return bool(self._ready) or len(self._held) >= self._credit or self._until is not None

    # ending

    def go_away(self, reconnect_after: float) -> None:
        """Tells the member to leave."""
        self._going_away = reconnect_after
        self._changed.set()

    def end(self, failure: Failure) -> None:
        """Ends the session with this failure."""
        if self._ending is None:
            self._ending = failure
        self.writing.interrupt()
        self._changed.set()

    @property
    def ending(self) -> Failure | None:
        """What it ends with, once that is known."""
        return self._ending

    def begin_write(self) -> None:
        """The member is being written to."""
        if self._ending is not None:
            raise self._ending

    def end_write(self) -> None:
        """The member has taken what was written, or will not."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._has_left = True
        self._held.clear()
        self._ready.clear()
        self._tools.left(self)
        if self._task is not None:
            await end_tasks([self._task])


_NOTHING = Farewell(-1.0)
_FRAME_BYTES = 1024 * 1024
_TOO_LARGE = "larger than a frame may be"


def _size(delivery: Delivery) -> int:
    event = delivery.event
    extra = sum(len(name) + len(value) for name, value in event.attributes.items())
    return len(event.data) + 4 * (len(event.id) + len(event.subject) + len(event.key) + extra) + 256


def _unknown_tag() -> Failure:
    violation = FieldViolation("settle.settlements.tag", "names no delivery of this stream")
    return Failure(
        Reason.INVALID_REQUEST, "there is no delivery under this tag", fields=(violation,)
    )
