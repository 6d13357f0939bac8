"""A reader of one subscriber's own, for what the ring no longer has but the source still does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from interlaced.core.backoff import Backoff
from interlaced.core.cursor import Origin, Place
from interlaced.core.failure import EndOfFeed, Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Event, Gap, GapWhy
from interlaced.core.ports import Clock, Feed, Reader, Start, StartKind
from interlaced.core.ring import Entry, Item, Missing
from interlaced.core.tasks import end_tasks

__all__ = ["Replay", "ReplayTools", "close_reader", "start_after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayTools:
    """What a replay needs: `feed` finds the feed as it is configured now, `make` turns an event of
    an epoch into what the ring would hold, `wake` tells the subscriber that there is something to
    take."""

    feed: Callable[[], Feed]
    backoff: Backoff
    clock: Clock
    random: Random
    make: Callable[[Event, int], Item]
    wake: Callable[[], None]


class Replay:
    """Reads on from a place, one read ahead of its subscriber and no further.

    It reconnects by itself, without a gap or a repeat. `failure` is set where the place is no
    longer kept and the subscriber asked to fail, and where the connector broke. Whoever made it
    closes it.
    """

    __slots__ = (
        "_epoch",
        "_fails",
        "_items",
        "_room",
        "_start",
        "_task",
        "_tools",
        "failure",
        "is_over",
    )

    def __init__(self, place: Place, tools: ReplayTools, *, fails_on_expired: bool) -> None:
        self._tools = tools
        self._fails = fails_on_expired
        self._items: Sequence[Item] | None = None
        self._room = asyncio.Event()
        self.failure: Failure | None = None
        self.is_over = False
        self._start = start_after(place)
        # None accepts any history: nothing of an earlier one has been seen
        self._epoch = place.epoch if self._start.kind is StartKind.AFTER else None
        self._task = asyncio.create_task(self._run(place))

    def take(self) -> Sequence[Item] | None:
        """Returns what was read, or None if nothing is there yet; lets the next read begin."""
        items, self._items = self._items, None
        if items is not None:
            self._room.set()
        return items

    def stop(self) -> None:
        """Begins to end the reader; `close` awaits it."""
        self._task.cancel()

    async def close(self) -> None:
        """Ends the reader."""
        await end_tasks([self._task])

    async def _run(self, place: Place) -> None:
        try:
            if place.origin is Origin.POSITION and not place.position:
                # a place before the first event of a ring that is gone
                await self._miss(GapWhy.EXPIRED, place.epoch)
            await self._keep_reading()
        except EndOfFeed:
            self.is_over = True
        except _Expired as expired:
            self.failure = expired.failure
        except Exception as error:  # noqa: BLE001  # a bug of a connector must end its subscriber, who would wait for ever
            self.failure = Failure(Reason.INTERNAL_ERROR, "the feed's connector broke")
            self.failure.__cause__ = error
        self._tools.wake()

    async def _keep_reading(self) -> None:
        attempt = 0
        while True:
            before = self._start
            try:
                await self._read_connection()
            except (NotConnected, Failure):
                attempt = 0 if self._start is not before else attempt + 1
                delay = self._tools.backoff.delay(attempt, self._tools.random)
                await self._tools.clock.sleep(delay)

    async def _read_connection(self) -> None:
        reader = await self._tools.feed().open(self._start)
        try:
            if self._epoch is not None and reader.epoch != self._epoch:
                self._epoch = reader.epoch
                self._start = Start(StartKind.OLDEST)
                await self._miss(GapWhy.NEW_HISTORY, reader.epoch)
                return
            self._epoch = reader.epoch
            while True:
                await self._hand_over(await reader.read(), reader.epoch)
        finally:
            await close_reader(reader)

    async def _miss(self, why: GapWhy, epoch: int) -> None:
        """Tells that the place is no longer there; what follows begins at the oldest."""
        if self._fails:
            raise _Expired(Failure(Reason.CURSOR_EXPIRED, "the cursor is older than what is kept"))
        await self._offer([Missing(Gap(why), Place(epoch, origin=Origin.OLDEST))])

    async def _hand_over(self, read: Sequence[Delivery | Gap], epoch: int) -> None:
        items: list[Item] = []
        for one in read:
            if isinstance(one, Delivery):
                items.append(self._tools.make(one.event, epoch))
                self._start = Start(StartKind.AFTER, one.event.position)
            elif one.why in (GapWhy.EXPIRED, GapWhy.NEW_HISTORY):
                if self._fails:
                    await self._miss(one.why, epoch)
                items.append(Missing(one, Place(epoch, origin=Origin.OLDEST)))
            else:
                items.append(Missing(one, _reached(items, self._start, epoch)))
        await self._offer(items)

    async def _offer(self, items: Sequence[Item]) -> None:
        """Waits until the subscriber has taken these."""
        self._room.clear()
        self._items = items
        self._tools.wake()
        await self._room.wait()


class _Expired(Exception):  # noqa: N818  # a Failure that ends the replay instead of a connection
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def _reached(items: Sequence[Item], start: Start, epoch: int) -> Place:
    """The place at which a gap was told."""
    if items and isinstance(items[-1], Entry):
        return Place(epoch, items[-1].position)
    if items and isinstance(items[-1], Missing):
        return items[-1].place
    if start.kind is StartKind.AFTER:
        return Place(epoch, start.position)
    return Place(epoch, origin=Origin.OLDEST)


def start_after(place: Place) -> Start:
    """Returns where a reader starts to go on from a place."""
    if place.origin is Origin.TIME:
        return Start(StartKind.TIME, time=place.time)
    if place.origin is Origin.OLDEST or not place.position:
        return Start(StartKind.OLDEST)
    return Start(StartKind.AFTER, place.position)


async def close_reader(reader: Reader) -> None:
    """Closes a reader whose connection may be lost already."""
    try:
        await reader.close()
    except (NotConnected, Failure):
        return  # there is nothing left to close; whoever reads on reconnects and sees it again
