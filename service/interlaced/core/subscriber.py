"""A subscriber: a place in a feed, and what it is told next."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from interlaced.core.batch import gather
from interlaced.core.cursor import CursorStamp, Origin, Place
from interlaced.core.failure import Failure, Reason
from interlaced.core.feed_settings import SubscriptionLimits
from interlaced.core.frame import Frame, FrameKind, OverflowPolicy, Wishes
from interlaced.core.overflow import RULES, Backlog, Full
from interlaced.core.ports import StartKind, TimerHandle
from interlaced.core.replay import Replay
from interlaced.core.ring import Entry, Item, Missing
from interlaced.core.subscription_owner import SubscriptionOwner
from interlaced.core.writing import Writing

__all__ = ["Subscription"]

_MOMENT = 1.0  # seconds that a write to a peer that reads may always take


class Subscription:
    """Yields frames; each stands for everything up to its cursor.

    One task calls `next` and hands the frame to its peer inside `with subscription.writing`, which
    is how a slow peer is told from an idle feed. Use it as an async context manager, so that its
    place is given up. Failures: SLOW_CONSUMER with `cursor` in its context, CURSOR_EXPIRED,
    DRAINING with `cursor` after a GOING_AWAY frame.
    """

    __slots__ = (
        "__weakref__",
        "_beat_due",
        "_ending",
        "_full_timer",
        "_gap",
        "_going_away",
        "_has_begun",
        "_is_greeted",
        "_limits",
        "_owner",
        "_place",
        "_replay",
        "_rest",
        "_rule",
        "_stamp",
        "_stopped",
        "_timer",
        "_waiter",
        "_wishes",
        "backlog",
        "writing",
    )

    def __init__(
        self,
        owner: SubscriptionOwner,
        wishes: Wishes,
        *,
        stamp: CursorStamp,
        limits: SubscriptionLimits,
        frame_bytes: int,
    ) -> None:
        self._owner = owner
        self._wishes = wishes
        self._stamp = stamp
        self._limits = limits
        self._rule = RULES[wishes.overflow.policy]
        self.backlog = Backlog(
            owner.ring, wishes.filter, buffer=limits.buffer, frame_bytes=frame_bytes
        )
        self.writing = Writing(self)
        self._gap: Missing | None = None
        self._replay: Replay | None = None
        self._stopped: Replay | None = None
        self._rest: Sequence[Item] = ()
        self._place = owner.ring.place_before(owner.ring.end)
        self._ending: Failure | None = None
        self._going_away: float | None = None
        self._is_greeted = False
        self._has_begun = False
        self._beat_due = 0.0
        self._timer: TimerHandle | None = None
        self._full_timer: TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    # where it starts

    def start_at(self, index: int, place: Place, gap: Missing | None = None) -> None:
        """Starts at a number of the ring, behind a place; `gap` is told first."""
        self.backlog.seat(index)
        self._place = place
        self._gap = gap
        self._owner.seated(index)

    def start_with(self, replay: Replay, place: Place) -> None:
        """Starts on a reader of its own, which this subscription closes."""
        self._replay = replay
        self._place = place

    @property
    def policy(self) -> OverflowPolicy:
        """What happens when it does not keep up."""
        return self._wishes.overflow.policy

    @property
    def is_replaying(self) -> bool:
        """Whether it reads for itself and not from the ring."""
        return self._replay is not None

    @property
    def cursor(self) -> str:
        """Stands for everything up to the end of the last frame."""
        return self._stamp.stamp(self._place)

    # what it is told next

    async def next(self) -> Frame | None:
        """Waits for the next frame; None when the feed is over. Raises a Failure as its end."""
        if not self._is_greeted:
            return await self._greet()
        while True:
            if self._ending is not None:
                raise self._ending
            now = self._owner.clock.now()
            if self._going_away is not None or now >= self._limits.leave_at:
                return self._farewell()
            frame = self._ready()
            if frame is not None:
                return self._sent(frame, now)
            if self._is_over():
                return None
            if now >= self._beat_due:
                return self._sent(self._checkpoint(), now)
            await self._wait()

    async def _greet(self) -> Frame:
        """The first frame. A subscriber from now on waits a little for the connection, so that
        what is published after this frame is not missed."""
        owner, is_from_now = self._owner, self._starts_now()
        self._beat_due = owner.clock.now() + self._limits.first_connect
        while is_from_now and not owner.has_connected and not self._has_to_leave():
            if owner.clock.now() >= self._beat_due:
                break
            await self._wait()
        self._cancel_beat()
        if is_from_now:
            end = owner.ring.end
            self.start_at(end, owner.ring.place_before(end))
        self._is_greeted = True
        return self._sent(self._checkpoint(), owner.clock.now())

    def _starts_now(self) -> bool:
        return not self._wishes.cursor and self._wishes.start.kind is StartKind.NOW

    def _has_to_leave(self) -> bool:
        return self._ending is not None or self._going_away is not None or self._owner.is_over

    def _sent(self, frame: Frame, now: float) -> Frame:
        self._beat_due = now + self._limits.heartbeat
        return frame

    def _checkpoint(self) -> Frame:
        return self._with_drops(Frame(FrameKind.CHECKPOINT, self.cursor))

    def _farewell(self) -> Frame:
        after = self._limits.reconnect_after if self._going_away is None else self._going_away
        frame = Frame(FrameKind.GOING_AWAY, self.cursor, reconnect_after=after)
        self._ending = Failure(
            Reason.DRAINING,
            "the stream has ended; reconnect with the cursor",
            retry_after=after,
            cursor=frame.cursor,
        )
        return frame

    def _ready(self) -> Frame | None:
        """The next frame that can be made now."""
        if self._gap is not None:
            missing, self._gap = self._gap, None
            return self._tell(missing)
        if self._replay is not None:
            return self._from_replay(self._replay)
        backlog = self.backlog
        if backlog.gaps:
            return self._tell_skipped(backlog.gaps.pop(0))
        if backlog.kept:
            return self._from_kept()
        return self._from_ring()

    def _tell(self, missing: Missing) -> Frame:
        self._place = missing.place
        return self._with_drops(Frame(FrameKind.GAP, self.cursor, gap=missing.gap))

    def _tell_skipped(self, missing: Missing) -> Frame:
        """A gap among skipped events: the cursor stays before what is told next."""
        return Frame(FrameKind.GAP, self.cursor, gap=missing.gap)

    def _with_drops(self, frame: Frame) -> Frame:
        """Adds the drops, unless they belong to a batch that is still to come."""
        backlog = self.backlog
        if backlog.dropped and not backlog.kept:
            frame.dropped, backlog.dropped = backlog.dropped, 0
            self._place = backlog.ring.place_before(backlog.index)
            frame.cursor = self.cursor
        return frame

    def _from_ring(self) -> Frame | None:
        backlog, owner = self.backlog, self._owner
        if backlog.index >= backlog.ring.end:
            return None
        taken, frame = owner.memo.take(backlog.ring, backlog.index, backlog.filter)
        backlog.move(backlog.index + taken.used)
        self._has_begun = True
        self._ease()
        if taken.gap is not None:
            return self._tell(taken.gap)
        self._place = backlog.ring.place_before(backlog.index)
        if not taken.bodies:
            # nothing of this stretch is wanted: a gap or nothing follows it
            return self._checkpoint() if backlog.dropped else self._from_ring()
        if not frame.cursor:
            frame.cursor = self.cursor
        if not backlog.dropped:
            return frame
        # the shared frame may be encoded already, and then has no body any more
        body = b"".join(taken.bodies)
        own = Frame(FrameKind.BATCH, frame.cursor, body=body, events=frame.events)
        own.dropped, backlog.dropped = backlog.dropped, 0
        return own

    def _from_kept(self) -> Frame:
        backlog = self.backlog
        bodies = [entry.data for entry in backlog.kept.values()]
        backlog.kept.clear()
        backlog.kept_bytes = 0
        self._has_begun = True
        self._place = backlog.ring.place_before(backlog.index)
        self._ease()
        frame = Frame(FrameKind.BATCH, self.cursor, body=b"".join(bodies), events=len(bodies))
        frame.dropped, backlog.dropped = backlog.dropped, 0
        return frame

    def _from_replay(self, replay: Replay) -> Frame | None:
        number = self.backlog.ring.after(self._place)
        if number is not None:
            # the ring holds exactly this place: go on from there
            self._replay, self._rest = None, ()
            self._stopped = replay
            replay.stop()  # awaited at the end: nothing may come between joining and taking
            self.start_at(number, self._place)
            return self._from_ring()
        while self._rest or self._refill(replay):
            taken = gather(self._rest, self.backlog.filter, self.backlog.frame_bytes)
            last = self._rest[taken.used - 1]
            self._rest = self._rest[taken.used :]
            if taken.gap is not None:
                return self._tell(taken.gap)
            if isinstance(last, Entry):
                self._place = Place(last.epoch, last.position)
            if taken.bodies:
                body = b"".join(taken.bodies)
                return Frame(FrameKind.BATCH, self.cursor, body=body, events=len(taken.bodies))
        if replay.failure is None:
            return None
        if replay.failure.reason is Reason.CURSOR_EXPIRED:
            oldest = self._stamp.stamp(Place(origin=Origin.OLDEST))
            raise replay.failure.but(oldest=oldest)
        raise replay.failure

    def _refill(self, replay: Replay) -> bool:
        items = replay.take()
        if items is None:
            return False
        self._rest = items
        return bool(items)

    def _is_over(self) -> bool:
        if self._replay is not None:
            return self._replay.is_over
        return self._owner.is_over and self.backlog.index >= self.backlog.ring.end

    # waiting

    async def _wait(self) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        if self._timer is None:
            until = min(self._beat_due, self._limits.leave_at)
            self._timer = self._owner.clock.call_at(until, self._beat)
        self._owner.waiting.add(self)
        try:
            await waiter
        finally:
            self._waiter = None
            self._owner.waiting.discard(self)

    def _beat(self) -> None:
        self._timer = None
        self.wake()

    def _cancel_beat(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wake(self) -> None:
        """Lets a waiting `next` look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # being too slow

    def review(self, until: int) -> None:
        """Applies the overflow policy if too much waits; what is before `until` leaves the ring."""
        backlog = self.backlog
        if self._replay is not None or self._ending is not None:
            return
        if backlog.index < until and not (self._has_begun and self in self._owner.writing):
            # overtaken by the ring's end before its turn: it is not slow
            backlog.take_first(until)
            self._has_begun = True
        is_full = backlog.kept or backlog.index < until or backlog.waiting() > backlog.buffer
        if not is_full:
            return
        before = backlog.dropped
        full = self._rule(backlog, until)
        if backlog.dropped > before:
            self._owner.told(self, backlog.dropped - before)
        if full is Full.ENDS:
            self._too_slow()
        elif full is Full.WAITS:
            self._start_timeout(self._limits.timeout)

    def _start_timeout(self, timeout: float) -> None:
        if self._full_timer is None:
            clock = self._owner.clock
            self._full_timer = clock.call_at(clock.now() + timeout, self._too_slow)

    def _ease(self) -> None:
        """Calls the timeout off once the buffer is no longer full."""
        if self._full_timer is not None and self.backlog.waiting() <= self.backlog.buffer:
            self._full_timer.cancel()
            self._full_timer = None

    def _too_slow(self) -> None:
        self.end(
            Failure(
                Reason.SLOW_CONSUMER,
                "the subscriber did not keep up; resume with the cursor",
                cursor=self.cursor,
            )
        )

    # ending

    def go_away(self, reconnect_after: float) -> None:
        """Makes GOING_AWAY the next frame, and DRAINING what follows it."""
        self._going_away = reconnect_after
        self.wake()

    def end(self, failure: Failure) -> None:
        """Ends the subscription with this failure, also in the middle of a blocked write."""
        if self._ending is None:
            self._ending = failure
        self.writing.interrupt()
        self.wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cancel_beat()
        if self._full_timer is not None:
            self._full_timer.cancel()
        try:
            for replay in (self._replay, self._stopped):
                if replay is not None:
                    await replay.close()
        finally:
            await self._owner.remove(self)

    # used by Writing

    def begin_write(self) -> None:
        """The peer is being written to. It must come right behind `next`, so that a frame that
        was taken is handed over."""
        self._owner.writing.add(self)
        if self._replay is not None:
            self._start_timeout(max(self._limits.timeout, _MOMENT))

    def end_write(self) -> None:
        """The peer has taken what was written."""
        self._owner.writing.discard(self)
        if self._replay is not None and self._full_timer is not None:
            self._full_timer.cancel()
            self._full_timer = None

    @property
    def ending(self) -> Failure | None:
        """What it ends with, once that is known."""
        return self._ending
