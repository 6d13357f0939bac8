"""One feed as it is served: one upstream connection, one ring, many subscribers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from interlaced.core.batch import BatchMemo
from interlaced.core.clock import TimeLimit
from interlaced.core.consume import ConsumeSession, ConsumeTools
from interlaced.core.cursor import CursorCodec, CursorStamp, Origin, Place
from interlaced.core.entries import EntryMaker
from interlaced.core.failure import Failure, Reason
from interlaced.core.feed_settings import (
    FeedState,
    HubSettings,
    check_range,
    leave_at,
    limits_of,
    start_place,
)
from interlaced.core.frame import Wishes
from interlaced.core.model import Delivery, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Clock, Feed, FeedBinding, Observer, StartKind, TimerHandle
from interlaced.core.pump import Intake, Pump, PumpOwner
from interlaced.core.replay import Replay, ReplayTools
from interlaced.core.ring import Entry, Item, Missing, Ring
from interlaced.core.subscriber import Subscription

__all__ = ["FeedTools", "SharedFeed"]

_CHUNK = 256  # events between two looks at the subscribers
_ACK = Settlement(Verdict.ACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedTools:
    """What every feed of a hub shares. `encode` turns an event into ready bytes; `intake` makes
    what fills a feed's ring, a pump where it is None."""

    clock: Clock
    random: Random
    observer: Observer
    encode: Callable[[Event], bytes]
    cursors: CursorCodec
    settings: HubSettings
    intake: Callable[[SharedFeed], Intake] | None = None


class SharedFeed:
    """One feed: reads its upstream while anyone listens, and `retain` seconds longer.

    Every event is stamped, encoded once, and put into the ring, of which each subscriber is a
    position. Reading on never waits for a subscriber.
    """

    def __init__(self, binding: FeedBinding, tools: FeedTools) -> None:
        self.binding = binding
        self._tools = tools
        self._observer = tools.observer.feed(binding.connector, binding.feed.name)
        self._make = EntryMaker(tools.encode, tools.settings.max_event, self._observer)
        self.memo = BatchMemo(tools.settings.frame_bytes)
        self.subscriptions: set[Subscription] = set()
        self.members: set[ConsumeSession] = set()
        self.writing: set[Subscription] = set()
        self.waiting: set[Subscription] = set()
        self.is_over = False
        self.has_connected = False
        self._is_attached = False
        self._lost_at: float | None = None
        self._pump: Intake | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._linger: TimerHandle | None = None
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._low = 0
        self._counter = 0
        self.ring = self._new_ring()

    def _feed(self) -> Feed:
        return self.binding.feed

    @property
    def clock(self) -> Clock:
        """Time."""
        return self._tools.clock

    def state(self) -> FeedState:
        """Returns how it does; `idle` makes progress by definition."""
        lost = [m.lost_at for m in self.members] + [self._lost_at]
        oldest = min((at for at in lost if at is not None), default=None)
        is_stale = (
            oldest is not None and self.clock.now() - oldest > self._tools.settings.stale_after
        )
        if oldest is not None:
            name = "connecting"
        elif self._pump is not None or self.members:
            name = "live"
        else:
            name = "idle"
        count = len(self.subscriptions) + len(self.members)
        return FeedState(state=name, subscribers=count, is_progressing=not is_stale)

    # subscribers

    def subscribe(self, wishes: Wishes) -> Subscription:
        """Adds a subscriber; use what it returns as an async context manager, at once.

        Raises Failure INVALID_REQUEST (with the field), BAD_CURSOR, CURSOR_MISMATCH or
        CURSOR_EXPIRED.
        """
        limits = limits_of(
            wishes, self._tools.settings, clock=self.clock, random=self._tools.random
        )
        stamp = self._tools.cursors.bind(self.binding.name, wishes.filter.canonical)
        place = (
            stamp.read(wishes.cursor) if wishes.cursor else start_place(wishes, self.binding.feed)
        )
        frame_bytes = self._tools.settings.frame_bytes
        self._start()
        subscription = Subscription(
            self, wishes, stamp=stamp, limits=limits, frame_bytes=frame_bytes
        )
        try:
            self._seat(subscription, place, wishes, stamp)
        except Failure:
            self._leave()
            raise
        self.subscriptions.add(subscription)
        self._idle.clear()
        self._observer.subscribers_changed(len(self.subscriptions))
        return subscription

    def _seat(
        self, subscription: Subscription, place: Place | None, wishes: Wishes, stamp: CursorStamp
    ) -> None:
        """Four cases: now, a place in the ring, a place that the source can replay, and a place
        that is gone."""
        ring = self.ring
        if place is None:
            subscription.start_at(ring.end, ring.place_before(ring.end))
            return
        number = ring.after(place)
        if number is not None:
            subscription.start_at(number, place)
        elif self.binding.feed.capability.replay:
            tools = self._replay_tools(subscription)
            replay = Replay(place, tools, fails_on_expired=wishes.fails_on_expired)
            subscription.start_with(replay, place)
        elif place.origin is Origin.OLDEST:
            subscription.start_at(ring.first, ring.floor)
        elif wishes.fails_on_expired:
            raise Failure(
                Reason.CURSOR_EXPIRED,
                "the cursor is older than what is kept",
                oldest=stamp.stamp(ring.floor),
            )
        else:
            why = GapWhy.EXPIRED if place.epoch == ring.epoch else GapWhy.NEW_HISTORY
            subscription.start_at(ring.first, place, Missing(Gap(why), ring.floor))

    def _replay_tools(self, subscription: Subscription) -> ReplayTools:
        return ReplayTools(
            feed=self._feed,
            backoff=self.binding.reconnect,
            clock=self.clock,
            random=self._tools.random,
            make=self._make,
            wake=subscription.wake,
        )

    def seated(self, index: int) -> None:
        """A subscriber now reads from this number of the ring on."""
        self._low = min(self._low, index)

    def told(self, subscription: Subscription, dropped: int) -> None:
        """So many events were dropped for this subscriber."""
        self._observer.dropped(subscription.policy.value, dropped)

    async def remove(self, subscription: Subscription) -> None:
        """The subscription is over; the last one lets the connection linger."""
        if subscription in self.subscriptions:
            self.subscriptions.discard(subscription)
            self._observer.subscribers_changed(len(self.subscriptions))
            self._leave()
            self._note_idle()

    # competing consumers

    def consume(self, group: str, credit: int) -> ConsumeSession:
        """Joins a group of competing consumers; use what it returns as an async context manager.

        Raises Failure NOT_ACKABLE, or INVALID_REQUEST with the field.
        """
        settings = self._tools.settings
        check_range("open.credit", credit, low=1, high=settings.max_credit)
        tools = ConsumeTools(
            feed=self._feed,
            backoff=self.binding.reconnect,
            clock=self.clock,
            random=self._tools.random,
            observer=self._observer,
            fits=self._make.fits,
            heartbeat=settings.heartbeat,
            max_credit=settings.max_credit,
            settle_grace=settings.settle_grace,
            leave_at=leave_at(settings, self.clock, self._tools.random),
            reconnect_after=settings.reconnect_after,
            left=self._member_left,
        )
        session = ConsumeSession(group, credit, tools)
        self.members.add(session)
        self._idle.clear()
        return session

    def _member_left(self, session: ConsumeSession) -> None:
        self.members.discard(session)
        self._note_idle()

    # the pump's side

    async def accept(self, items: Sequence[Delivery | Gap]) -> None:
        """Takes what was read into the ring, wakes the subscribers, and settles it."""
        chunk = min(_CHUNK, max(1, self.binding.ring_events // 4))
        room = self.binding.ring_bytes // 4
        count, size = 0, 0
        for item in items:
            count += 1
            size += self._take(item)
            if count >= chunk or size >= room:
                await self._publish()
                await asyncio.sleep(0)
                count, size = 0, 0
        await self._publish()
        deliveries = [item for item in items if isinstance(item, Delivery)]
        self._observer.received(len(deliveries))
        for delivery in deliveries:
            await _settle(delivery)

    def _take(self, item: Delivery | Gap) -> int:
        if isinstance(item, Gap):
            self._miss(item)
            return 0
        event, ring = item.event, self.ring
        if self.binding.feed.capability.replay:
            if self._pump is not None:
                self._pump.position = event.position
        else:
            self._counter += 1
            event = replace(event, position=self._counter.to_bytes(8, "big"))
        made = self._make(event, ring.epoch)
        ring.append(made)
        return made.size

    def _miss(self, gap: Gap, place: Place | None = None) -> None:
        self._observer.gap(gap.why)
        self.ring.append(Missing(gap, place or self.ring.place_before(self.ring.end)))

    async def _publish(self) -> None:
        """Wakes who waits, reviews who is being written to, and makes room in the ring."""
        self._wake()
        for subscription in tuple(self.writing):
            subscription.review(self.ring.first)
        until = self.ring.surplus()
        if until > self._low and self._lowest() < until:
            await asyncio.sleep(0)  # those just woken take what waits for them
        self._make_room(until)

    def _make_room(self, until: int) -> None:
        """Trims the ring up to a number, once whoever is behind it has been moved on."""
        if until > self._low and self._lowest() < until:
            for subscription in tuple(self.subscriptions):
                subscription.review(until)
            self._lowest()
        self.ring.trim(until)

    def _lowest(self) -> int:
        ends = (s.backlog.index for s in self.subscriptions if not s.is_replaying)
        self._low = min(ends, default=self.ring.end)
        return self._low

    def _wake(self) -> None:
        for subscription in tuple(self.waiting):
            subscription.wake()

    def connected(self, gap: GapWhy | None) -> None:
        """The upstream connection stands."""
        if gap is not None:
            self._miss(Gap(gap))
        self.has_connected = self._is_attached = True
        self._lost_at = None
        self._observer.connected()
        self._wake()
        self._make_room(self.ring.surplus())  # a connection that never lasts brings only gaps

    def begin_history(self, epoch: int, *, is_first: bool) -> None:
        """What follows belongs to this history; unless it is the first, from its oldest event."""
        self.ring.begin_epoch(epoch)
        if not is_first:
            self._miss(Gap(GapWhy.NEW_HISTORY), Place(epoch, origin=Origin.OLDEST))
            self._wake()

    def disconnected(self, failure: Failure, retry_in: float) -> None:
        """The upstream connection is lost."""
        if self._lost_at is None:
            self._lost_at = self.clock.now()
        self._is_attached = False
        self._observer.disconnected(failure, retry_in)

    def finished(self) -> None:
        """The feed is over; subscribers end once they have read what the ring holds."""
        self.is_over = True
        self.release()
        self._wake()

    # the side of other workers

    async def prepare(self, wishes: Wishes) -> None:
        """Waits a little for the history that another worker has, where the wishes ask for it;
        `subscribe` has to follow at once. Does nothing in a process that serves alone."""
        is_from_now = not wishes.cursor and wishes.start.kind is StartKind.NOW
        if self._tools.intake is None or is_from_now:
            return
        pump = self._start()
        until = self.clock.now() + self._tools.settings.first_connect
        try:
            with contextlib.suppress(TimeoutError), TimeLimit(self.clock, until):
                await pump.until_ready()
        finally:
            self._leave()

    async def adopt(self, items: Sequence[Item]) -> None:
        """Takes what another worker has stamped, encoded and counted."""
        ring = self.ring
        for item in items:
            begins = isinstance(item, Missing) and item.gap.why is GapWhy.NEW_HISTORY
            epoch = item.epoch if isinstance(item, Entry) else item.place.epoch
            if epoch != ring.epoch and (begins or isinstance(item, Entry)):
                ring.begin_epoch(epoch)
            ring.append(item)
        await self._publish()

    def follow(self, *, is_connected: bool) -> None:
        """Another worker reads the upstream, and is connected or not."""
        if is_connected:
            self.has_connected = True
            self._lost_at = None
        elif self._lost_at is None:
            self._lost_at = self.clock.now()
        self._wake()

    def lead(self, epoch: int, counter: int) -> None:
        """This worker stamps from here on, in this epoch and above `counter`."""
        floor = Place(epoch, counter.to_bytes(8, "big"))
        self._counter = counter
        if self.ring.end == 0:
            self.ring.begin_at(floor, epoch)
        elif self.ring.epoch != epoch:
            self.ring.begin_epoch(epoch)
            self._miss(Gap(GapWhy.NEW_HISTORY), floor)

    def release(self) -> None:
        """The connection that this process has is closed in peace; without one, does nothing."""
        if self._is_attached:
            self._is_attached = False
            self._observer.disconnected(None, 0.0)

    def let_go(self) -> None:
        """A worker that depended on this one does so no more."""
        self._leave()

    # life and death

    def _new_ring(self) -> Ring:
        life = self._tools.random.getrandbits(32)
        self._counter = 0
        binding = self.binding
        return Ring(life, max_events=binding.ring_events, max_bytes=binding.ring_bytes)

    def _start(self) -> Intake:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._pump is None:
            self._lost_at = self.clock.now()
            make = self._tools.intake
            self._pump = make(self) if make else self.pump(self)
            self._pump.run(self._stopping)
        return self._pump

    def pump(self, owner: PumpOwner) -> Pump:
        """Makes the pump that reads the upstream for `owner`."""
        return Pump(owner, clock=self.clock, random=self._tools.random)

    def _leave(self) -> None:
        """Lets ring and connection linger once nobody listens any more."""
        if self.subscriptions or self._pump is None or self._pump.is_needed:
            return
        if self._linger is None:
            until = self.clock.now() + self.binding.retain
            self._linger = self.clock.call_at(until, self._end_linger)

    def _end_linger(self) -> None:
        self._linger = None
        if self._pump is not None and not self._pump.is_needed:
            self._expire()

    def _note_idle(self) -> None:
        if not self.subscriptions and not self.members:
            self._idle.set()

    def _expire(self) -> None:
        """Nobody came back: the connection goes, and the ring with it."""
        self._linger = None
        pump, self._pump = self._pump, None
        if pump is None:
            return
        self._stopping = asyncio.get_running_loop().create_task(pump.stop(self._stopping))
        self.release()
        self.is_over = self.has_connected = False
        self._lost_at = None
        self.memo.clear()
        self.ring = self._new_ring()
        self._low = 0

    async def rebind(self, binding: FeedBinding) -> None:
        """Serves a changed configuration: reconnects if the feed's own section changed."""
        old, self.binding = self.binding, binding
        if old.digest == binding.digest:
            return  # the connection stays; the next one is opened on the new binding
        # who reads for himself leaves: his broker may be another one now
        for member in tuple(self.members):
            member.go_away(0.0)
        for subscription in tuple(self.subscriptions):
            if subscription.is_replaying:
                subscription.go_away(0.0)
        self.ring.bound(binding.ring_events, binding.ring_bytes)
        pump = self._pump
        if pump is None:
            return
        await pump.stop()
        self.release()
        if self._pump is not pump:
            return  # the linger ended meanwhile
        if old.feed.capability.replay != binding.feed.capability.replay:
            pump.forget_position()
            epoch = self._tools.random.getrandbits(32)
            self.ring.begin_epoch(epoch)
            self._miss(Gap(GapWhy.NEW_HISTORY), Place(epoch))
        self.is_over = False
        self._lost_at = self.clock.now()
        pump.run()

    def go_away(self, reconnect_after: float) -> None:
        """Tells every subscriber and member to reconnect, each a little later than the other."""
        for subscription in tuple(self.subscriptions):
            subscription.go_away(reconnect_after * self._tools.random.uniform(1.0, 2.0))
        for member in tuple(self.members):
            member.go_away(reconnect_after * self._tools.random.uniform(1.0, 2.0))

    async def wait_idle(self) -> None:
        """Waits until nobody listens any more."""
        await self._idle.wait()

    def give_up(self) -> None:
        """Ends every stream with DRAINING."""
        for subscription in tuple(self.subscriptions):
            subscription.end(_draining().but(cursor=subscription.cursor))
        for member in tuple(self.members):
            member.end(_draining())

    async def close(self) -> None:
        """Ends every stream with DRAINING, and the connection."""
        self.give_up()
        if self._linger is not None:
            self._linger.cancel()
        self._expire()
        if self._stopping is not None:
            await self._stopping


def _draining() -> Failure:
    return Failure(Reason.DRAINING, "the server is shutting down")


async def _settle(delivery: Delivery) -> None:
    """The ring has it. Where the broker did not take that, the event comes again, which is what
    at least once means."""
    try:
        await delivery.settle(_ACK)
    except Failure:
        return
