"""The pump: the one task that reads a feed's upstream for everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Protocol

from interlaced.core.cursor import Origin, Place
from interlaced.core.failure import EndOfFeed, Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Gap, GapWhy
from interlaced.core.ports import Clock, FeedBinding, Start, StartKind
from interlaced.core.replay import close_reader
from interlaced.core.tasks import TaskOwner

__all__ = ["Intake", "Pump", "PumpOwner"]


class Intake(Protocol):
    """Whatever brings a feed's events into its ring: a pump, or a relay among workers."""

    position: bytes
    """Where a feed with replay is; its owner sets it as it takes events."""

    @property
    def is_needed(self) -> bool:
        """Whether somebody else than the owner's subscribers depends on it."""
        ...

    def run(self, before: asyncio.Task[None] | None = None) -> None:
        """Starts once the task `before`, which ends another connection, is done."""
        ...

    async def stop(self, before: asyncio.Task[None] | None = None) -> None:
        """Stops, closes the connection, and awaits what ends an earlier one."""
        ...

    def forget_position(self) -> None:
        """Goes on from now: the positions so far mean nothing to the feed that follows."""
        ...

    async def until_ready(self) -> None:
        """Waits until the ring has the history that it is going to have."""
        ...


class PumpOwner(Protocol):
    """Whoever a pump works for."""

    @property
    def binding(self) -> FeedBinding:
        """The feed, as it is configured now."""
        ...

    async def accept(self, items: Sequence[Delivery | Gap]) -> None:
        """Takes what was read, in order."""
        ...

    def connected(self, gap: GapWhy | None) -> None:
        """The connection stands; events may have been missed for this reason."""
        ...

    def begin_history(self, epoch: int, *, is_first: bool) -> None:
        """What follows belongs to this history; unless it is the first, from its oldest event."""
        ...

    def disconnected(self, failure: Failure, retry_in: float) -> None:
        """The connection is lost."""
        ...

    def finished(self) -> None:
        """The feed is over."""
        ...


class Pump(TaskOwner):
    """Reads one feed and reconnects with full jitter.

    A feed with replay goes on exactly after `position`, which its owner sets as it takes events;
    any other may have missed events and says so. Its state outlives `stop`, so that it goes on
    where it was.
    """

    __slots__ = (
        "_attempt",
        "_clock",
        "_epoch",
        "_is_new",
        "_owner",
        "_random",
        "_start",
        "position",
    )

    is_needed = False

    def __init__(self, owner: PumpOwner, *, clock: Clock, random: Random) -> None:
        super().__init__()
        self._owner = owner
        self._clock = clock
        self._random = random
        self._start = Start(StartKind.NOW)
        self.position = b""
        self._epoch: int | None = None
        self._is_new = True
        self._attempt = 0

    def forget_position(self) -> None:
        """Goes on from now: the positions so far mean nothing to the feed that follows."""
        self._start = Start(StartKind.NOW)
        self.position = b""
        self._epoch = None

    def resume(self, place: Place) -> None:
        """Goes on exclusively after a place that another process has read up to; what it cannot
        replay may be missing."""
        self._is_new = False
        if place.origin is Origin.OLDEST:
            self._start, self._epoch = Start(StartKind.OLDEST), place.epoch
        elif place.position:
            self.position, self._epoch = place.position, place.epoch

    async def until_ready(self) -> None:
        """Returns at once: the ring is its own."""

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        while True:
            opened = self._clock.now()
            try:
                await self._read_connection()
            except EndOfFeed:
                self._owner.finished()
                return
            except NotConnected as lost:
                failure = lost.failure
            except Failure as raised:
                failure = raised
            except Exception as error:  # noqa: BLE001  # a bug of one connector must not stop its feed for good
                failure = Failure(Reason.INTERNAL_ERROR, "the feed's connector broke")
                failure.__cause__ = error
            self._is_new = False
            await self._wait(failure, self._clock.now() - opened)

    async def _wait(self, failure: Failure, lasted: float) -> None:
        backoff = self._owner.binding.reconnect
        if lasted >= backoff.cap:
            self._attempt = 0
        delay = max(backoff.delay(self._attempt, self._random), failure.retry_after or 0.0)
        self._attempt += 1
        self._owner.disconnected(failure, delay)
        await self._clock.sleep(delay)

    async def _read_connection(self) -> None:
        feed = self._owner.binding.feed
        start = Start(StartKind.AFTER, self.position) if self.position else self._start
        reader = await feed.open(start)
        try:
            if feed.capability.replay and reader.epoch != self._epoch:
                is_first, self._epoch = self._epoch is None, reader.epoch
                self._owner.begin_history(reader.epoch, is_first=is_first)
                if not is_first:
                    start = self._start = Start(StartKind.OLDEST)
                    self.position = b""
                    await close_reader(reader)
                    reader = await feed.open(start)
            has_missed = not self._is_new and start.kind is StartKind.NOW
            self._owner.connected(GapWhy.RECONNECTED if has_missed else None)
            self._is_new = False
            while True:
                items = await reader.read()
                self._attempt = 0
                await self._owner.accept(items)
        finally:
            await close_reader(reader)
