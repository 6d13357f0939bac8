"""Feed load: so many subscribers, and one publisher that never runs ahead of the slowest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load.bodies import event_data
from benchmarks.load.driver import Tally
from benchmarks.load.http2 import Connection, Stream
from benchmarks.load.publish import publish
from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["FeedLoad", "FeedShape", "Subscriber"]

SUBSCRIBE = b"/interlace.v1.FeedService/Subscribe"
_PROBE = "probe"
_LIMIT = 60.0
_CACHE = 256


@dataclass(frozen=True, slots=True)
class FeedShape:
    """Who listens to what, and how it is published.

    `window` events may be on their way to the slowest subscriber; it is below the buffer of both
    sides, so that nothing is ever dropped on purpose.
    """

    feed: str
    sink: str
    subscribers: int
    batch: int = 64
    window: int = 512
    stalled: int = 0


class Subscriber:
    """One subscription: it knows which event must come next."""

    __slots__ = ("_load", "has_begun", "next", "stream")

    def __init__(self, load: FeedLoad) -> None:
        self._load = load
        self.next = 0
        self.has_begun = False
        self.stream: Stream | None = None

    def on_message(self, message: bytes) -> None:
        """Check that the events follow the last ones without a gap."""
        first, last, count = self._load.read(message)
        if count == 0:
            return
        if first < 0:
            self.has_begun = True
            if last < 0:
                return
            count, first = last + 1 - self.next, self.next
        if first != self.next:
            self._load.fail(f"event {first} came where {self.next} was due")
        self.next = last + 1
        self._load.took(last + 1 - first, last)

    def on_end(self, error: str) -> None:
        """A subscription ends only when we end it."""
        self._load.fail(f"a subscription ended: {error or 'OK'}")


class _Ignored:
    """The subscription that reads nothing: whatever happens to it is its own fault."""

    def on_message(self, message: bytes) -> None:
        """Take what still passes its small window."""

    def on_end(self, error: str) -> None:
        """Take its end: a server may well cut it off."""


class FeedLoad:
    """Publishes batches, each once the slowest subscriber is at most a window behind and the last
    Publish is answered: RPCs side by side may overtake each other.

    `tally.done` counts events that reached a subscriber; a latency is that of a batch, from its
    publication to its last event at its last subscriber.
    """

    def __init__(
        self,
        subscribing: Sequence[Connection],
        publishing: Connection,
        shape: FeedShape,
        *,
        stalled: Connection | None = None,
    ) -> None:
        self._subscribing = subscribing
        self._publishing = publishing
        self._stalled = stalled
        self._shape = shape
        self._subscribers: list[Subscriber] = []
        self._published = 0
        self._due = 0
        self._is_publishing = False
        self._begun: dict[int, float] = {}
        self._passed: dict[int, int] = {}
        self._is_on = False
        self._idle = asyncio.Event()
        self._cache: dict[bytes, tuple[int, int, int]] = {}
        self._tally = Tally()

    @property
    def tally(self) -> Tally:
        """The counters."""
        return self._tally

    async def start(self) -> None:
        """Subscribe unless it is done, and publish a window full."""
        if not self._subscribers:
            await self._subscribe()
        self._is_on = True
        for _ in range(self._shape.window // self._shape.batch):
            self._publish()

    async def stop(self) -> None:
        """Publish nothing more and wait for the last event at the last subscriber.

        Raise TimeoutError where one does not come within a minute: events were lost.
        """
        self._is_on = False
        self._due = 0
        async with asyncio.timeout(_LIMIT):
            while self._begun and not self._tally.errors:
                self._idle.clear()
                await self._idle.wait()

    def close(self) -> None:
        """End the subscriptions."""
        for subscriber in self._subscribers:
            if subscriber.stream:
                subscriber.stream.cancel()

    def fail(self, why: str) -> None:
        """Count an error; there is no use in waiting for the rest then."""
        self._tally.fail(why)
        self._idle.set()

    def read(self, message: bytes) -> tuple[int, int, int]:
        """Return the first and the last number of a frame's events (below 0: a probe), and how
        many there are. Subscribers share frames, so that most of them have been read before."""
        known = self._cache.get(message)
        if known is None:
            known = self._read(pb.SubscribeResponse.FromString(message))
            if len(self._cache) >= _CACHE:
                self._cache.clear()
            self._cache[message] = known
        return known

    def _read(self, frame: pb.SubscribeResponse) -> tuple[int, int, int]:
        if frame.WhichOneof("frame") == "checkpoint":
            return 0, 0, 0
        if frame.WhichOneof("frame") != "batch" or frame.dropped:
            self.fail(f"a frame {frame.WhichOneof('frame')}, {frame.dropped} dropped")
            return 0, 0, 0
        numbers = [_number(event) for event in frame.batch.events]
        real = [number for number in numbers if number >= 0]
        if real and real != list(range(real[0], real[0] + len(real))):
            self.fail("events out of order within a frame")
        if any(event.data != event_data() for event in frame.batch.events):
            self.fail("an event with other data")
        return numbers[0], numbers[-1], len(numbers)

    def took(self, count: int, last: int) -> None:
        """Count events of one subscriber, the last of which has the number `last`."""
        self._tally.done += count
        batch = self._shape.batch
        for number in range((last + 1 - count) // batch, (last + 1) // batch):
            self._pass(number)

    def _pass(self, number: int) -> None:
        """One more subscriber has all of a batch."""
        passed = self._passed[number] = self._passed.get(number, 0) + 1
        if passed < self._shape.subscribers:
            return
        del self._passed[number]
        since = self._begun.pop(number, None)
        if since is None:
            self.fail("a batch came twice")
            return
        self._tally.land(since)
        if self._is_on:
            self._publish()
        elif not self._begun:
            self._idle.set()

    def published(self) -> None:
        """The last Publish was answered."""
        self._is_publishing = False
        if self._due:
            self._due -= 1
            self._publish()

    def _publish(self) -> None:
        if self._is_publishing:
            self._due += 1
            return
        first, count = self._published, self._shape.batch
        self._published += count
        self._begun[first // count] = time.perf_counter()
        self._send([_event(str(number)) for number in range(first, first + count)])

    def _send(self, events: list[event_pb2.Event]) -> None:
        self._is_publishing = True
        request = pb.PublishRequest(sink=self._shape.sink, events=events)
        publish(self._publishing, request, self)

    async def _subscribe(self) -> None:
        """Open the streams, and publish probes until each subscriber has seen one."""
        request = pb.SubscribeRequest(feed=self._shape.feed).SerializeToString()
        for place in range(self._shape.subscribers):
            subscriber = Subscriber(self)
            connection = self._subscribing[place % len(self._subscribing)]
            subscriber.stream = connection.open(SUBSCRIBE, subscriber)
            subscriber.stream.send(request, is_last=True)
            self._subscribers.append(subscriber)
        if self._stalled:
            for _ in range(self._shape.stalled):
                self._stalled.open(SUBSCRIBE, _Ignored()).send(request, is_last=True)
        async with asyncio.timeout(_LIMIT):
            probes = 0
            while self._is_publishing or not all(one.has_begun for one in self._subscribers):
                if not self._is_publishing:
                    probes += 1
                    self._send([_event(f"{_PROBE}-{probes}")])
                await asyncio.sleep(0.02)


def _event(name: str) -> event_pb2.Event:
    return event_pb2.Event(
        id=name,
        source="bench",
        type="tick",
        media_type="application/json",
        data=event_data(),
    )


def _number(event: event_pb2.Event) -> int:
    return -1 if event.id.startswith(_PROBE) else int(event.id)
