"""A feed that a test writes to, and a hub that serves it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from interlaced.core.cursor import CursorCodec
from interlaced.core.failure import EndOfFeed, Failure, NotConnected, Reason
from interlaced.core.feed import Hub, HubSettings
from interlaced.core.filter import Filter
from interlaced.core.frame import Frame, FrameKind, Wishes
from interlaced.core.model import Delivery, Event, Gap, GapWhy, Settlement
from interlaced.core.ports import (
    Capability,
    Clock,
    Durability,
    FeedBinding,
    Order,
    Start,
    StartKind,
)
from interlaced.testing.fakes import FakeObserver

KEYS = (b"k" * 32,)


def event(number: int, **attributes: str) -> Event:
    """An event that carries its number."""
    facts = {"id": f"e{number}", "source": "/test", "type": "tick", "data": str(number).encode()}
    return Event(**(facts | attributes))  # type: ignore[arg-type]  # texts and one data


def lost() -> NotConnected:
    return NotConnected(Failure(Reason.UPSTREAM_CONNECT, "the connection was lost"))


def encode(one: Event) -> bytes:
    """Joins into something that can be read back: position, data and a separator."""
    return one.position.hex().encode() + b":" + one.data + b";"


@dataclass
class ScriptedReader:
    feed: ScriptedFeed
    next: int
    epoch: int
    first: Gap | None = None
    is_closed: bool = False

    async def read(self) -> Sequence[Delivery | Gap]:
        while True:
            if self.is_closed or self in self.feed.dropped:
                raise lost()
            if self.first is not None:
                gap, self.first = self.first, None
                return [gap]
            if self.next < self.feed.first:
                self.next = self.feed.first
                return [Gap(GapWhy.EXPIRED)]
            items = self.feed.log[self.next - self.feed.first :][: self.feed.batch]
            if items:
                self.next += len(items)
                return [
                    one if isinstance(one, Gap) else Delivery(one, self.feed.settle)
                    for one in items
                ]
            if self.feed.is_over:
                raise EndOfFeed
            await self.feed.news()

    async def close(self) -> None:
        self.is_closed = True
        self.feed.readers.discard(self)

    def __hash__(self) -> int:
        return id(self)


@dataclass
class ScriptedFeed:
    """A log in memory. With `replays` it stamps positions, else readers see only what is new."""

    replays: bool = False
    name: str = "Ticks"
    description: str = ""
    epoch: int = 7
    first: int = 0
    batch: int = 100
    log: list[Event | Gap] = field(default_factory=list)
    readers: set[ScriptedReader] = field(default_factory=set)
    dropped: set[ScriptedReader] = field(default_factory=set)
    opened: list[Start] = field(default_factory=list)
    most_readers: int = 0
    refusals: int = 0
    settled: int = 0
    is_over: bool = False
    waiters: set[asyncio.Future[None]] = field(default_factory=set)

    @property
    def capability(self) -> Capability:
        return Capability(durability=Durability.MEMORY, order=Order.TOTAL, replay=self.replays)

    async def settle(self, settlement: Settlement) -> None:
        self.settled += 1

    async def news(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self.waiters.add(waiter)
        try:
            await waiter
        finally:
            self.waiters.discard(waiter)

    def _tell(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    @property
    def end(self) -> int:
        return self.first + len(self.log)

    def publish(self, *numbers: int, **attributes: str) -> None:
        for number in numbers:
            one = event(number, **attributes)
            if self.replays:
                one = replace(one, position=self.end.to_bytes(8, "big"))
            self.log.append(one)
        self._tell()

    def tell_gap(self, gap: Gap) -> None:
        self.log.append(gap)
        self._tell()

    def expire(self, until: int) -> None:
        """Forgets what is before number `until`."""
        del self.log[: until - self.first]
        self.first = until

    def finish(self) -> None:
        self.is_over = True
        self._tell()

    def drop_connections(self) -> None:
        self.dropped |= self.readers
        self._tell()

    def rebuild(self, epoch: int) -> None:
        """Loses its history and begins another."""
        self.log.clear()
        self.first, self.epoch = 0, epoch
        self.drop_connections()

    async def open(self, start: Start) -> ScriptedReader:
        self.opened.append(start)
        await asyncio.sleep(0)
        if self.refusals:
            self.refusals -= 1
            raise lost()
        place = self.end
        if self.replays and start.kind in (StartKind.OLDEST, StartKind.TIME):
            place = self.first
        elif self.replays and start.kind is StartKind.AFTER:
            place = int.from_bytes(start.position, "big") + 1
        reader = ScriptedReader(self, place, self.epoch if self.replays else 0)
        self.readers.add(reader)
        self.most_readers = max(self.most_readers, len(self.readers))
        return reader

    async def join(self, group: str) -> ScriptedReader:
        raise Failure(Reason.NOT_ACKABLE, "the feed has no deliveries that can be settled")


@dataclass
class FeedRig:
    """A hub with one feed, `up.Ticks`."""

    clock: Clock
    feed: ScriptedFeed
    hub: Hub
    observer: FakeObserver
    encoded: list[bytes]

    async def settle_down(self, rounds: int = 20) -> None:
        """Lets everything that can run, run."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    def binding(self, **changes: object) -> FeedBinding:
        base = FeedBinding(name="up.Ticks", feed=self.feed, connector="up", digest="1")
        return replace(base, **changes)  # type: ignore[arg-type]  # tests name real fields


async def make_rig(
    clock: Clock, feed: ScriptedFeed | None = None, *, seed: int = 5, **changes: object
) -> FeedRig:
    """A hub that serves the feed; changes go to HubSettings (prefix `s_`) or the binding."""
    feed = feed or ScriptedFeed()
    encoded: list[bytes] = []

    def counting(one: Event) -> bytes:
        encoded.append(one.data)
        return encode(one)

    settings = {name[2:]: value for name, value in changes.items() if name.startswith("s_")}
    bindings = {name: value for name, value in changes.items() if not name.startswith("s_")}
    observer = FakeObserver()
    hub = Hub(
        clock=clock,
        random=Random(seed),
        observer=observer,
        encode=counting,
        cursors=CursorCodec(KEYS),
        settings=HubSettings(**settings),  # type: ignore[arg-type]  # tests name real fields
    )
    rig = FeedRig(clock, feed, hub, observer, encoded)
    await hub.swap({"up.Ticks": rig.binding(**bindings)})
    return rig


def numbers(frame: Frame | None) -> list[int]:
    """The numbers of the events in a batch."""
    assert frame is not None
    assert frame.kind is FrameKind.BATCH, frame
    return [int(part.split(b":")[1]) for part in (frame.wire or frame.body).split(b";") if part]


def send(frame: Frame) -> None:
    """Does to a frame, which others may share, what encoding it does."""
    if frame.kind is FrameKind.BATCH and not frame.wire:
        frame.wire, frame.body = frame.body, b""


class Listener:
    """A subscriber that remembers. `stall` makes its peer stop reading."""

    def __init__(self, rig: FeedRig, wishes: Wishes | None = None) -> None:
        self.rig = rig
        self.frames: list[Frame] = []
        self.got: list[int] = []
        self.dropped = 0
        self.gaps: list[GapWhy] = []
        self.cursor = ""
        self.failure: Failure | None = None
        self.is_over = False
        self._open = asyncio.Event()
        self._open.set()
        self.subscription = rig.hub.find("up.Ticks").subscribe(wishes or Wishes())
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            async with self.subscription as subscription:
                while (frame := await subscription.next()) is not None:
                    with subscription.writing:
                        await self._open.wait()
                        self._take(frame)
                self.is_over = True
        except Failure as failure:
            self.failure = failure

    def _take(self, frame: Frame) -> None:
        send(frame)
        self.frames.append(frame)
        self.dropped += frame.dropped
        self.cursor = frame.cursor
        if frame.kind is FrameKind.BATCH:
            self.got += numbers(frame)
        elif frame.kind is FrameKind.GAP:
            assert frame.gap is not None
            self.gaps.append(frame.gap.why)

    def stall(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def kill(self) -> str:
        """Goes away as a client that died; returns its last cursor."""
        self.task.cancel()
        await asyncio.wait([self.task])
        return self.cursor


async def listen(
    clock: Clock,
    feed: ScriptedFeed | None = None,
    *,
    wishes: Wishes | None = None,
    **changes: object,
) -> tuple[FeedRig, Listener]:
    """A rig with one subscriber, who has been told all that there is; changes as for `make_rig`."""
    rig = await make_rig(clock, feed, **changes)  # type: ignore[arg-type]  # tests name real fields
    one = Listener(rig, wishes)
    await rig.settle_down()
    return rig, one


def after(cursor: str, **more: object) -> Wishes:
    """Wishes that resume."""
    return Wishes(cursor=cursor, **more)  # type: ignore[arg-type]  # tests name real fields


__all__ = [
    "FeedRig",
    "Filter",
    "Listener",
    "ScriptedFeed",
    "after",
    "encode",
    "event",
    "listen",
    "lost",
    "make_rig",
    "numbers",
    "send",
]
