"""A feed of a fake server: a history in memory, and connections that break on request."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from interlace.calls import Payload, duration
from interlace.events import Event, read_event
from interlace.fake_answers import Failed
from interlace.streams import end_tasks
from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["FakeFeed"]

Write: TypeAlias = Callable[[Any], Awaitable[None]]
Read: TypeAlias = Callable[[], Awaitable[Any]]


class FakeFeed:
    """A feed that remembers everything and breaks on request.

    `emit` adds events. `disconnect`, `go_away`, `gap`, `drop` and `fail` act on every open stream;
    `refuse` on those that come. `frame_size` is how many events a frame may hold, and
    `heartbeat` how many seconds group members wait for a sign of life.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.frame_size = 100
        self.heartbeat = 15.0
        self.requests: list[pb.SubscribeRequest] = []
        self.dead: list[tuple[Event, str]] = []
        """What group members rejected, and why."""
        self._events: list[event_pb2.Event] = []
        self._oldest = 0
        self._refusals: deque[Failed] = deque()
        self._streams: set[_Stream] = set()
        self._groups: dict[str, _Group] = {}

    @property
    def subscribers(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def emit(self, *contents: Any) -> None:
        """Adds events: each an Event, or a value that becomes the JSON of one."""
        for content in contents:
            event = content if isinstance(content, Event) else self._event(content)
            message = event.message()
            message.position = str(len(self._events)).encode()
            self._events.append(message)
        self._wake()

    def forget(self, count: int) -> None:
        """Drops the oldest events, as retention does."""
        self._oldest = min(len(self._events), self._oldest + count)

    def disconnect(self) -> None:
        """Ends every stream as a lost connection does."""
        self.fail(Failed())

    def fail(self, failed: Failed) -> None:
        """Ends every stream with this."""
        for stream in self._streams:
            stream.tell(failed)

    def refuse(self, *failed: Failed) -> None:
        """Answers the next streams with these, one each."""
        self._refusals.extend(failed)

    def go_away(self, reconnect_after: float) -> None:
        """Says to every stream that it is about to end."""
        going = pb.GoingAway(reconnect_after=duration(reconnect_after))
        for stream in self._streams:
            stream.tell(going)

    def gap(self, why: pb.GapReason.ValueType = pb.GAP_REASON_RECONNECTED) -> None:
        """Says to every subscriber that events are missing."""
        for stream in self._streams:
            stream.tell(pb.Gap(why=why))

    def drop(self, count: int) -> None:
        """Skips so many events for every subscriber, and says so."""
        for stream in self._streams:
            stream.tell(count)

    async def subscribe(self, request: pb.SubscribeRequest, write: Write) -> None:
        """Serves one subscriber; raises Failed."""
        self.requests.append(request)
        self._check()
        stream = _Stream()
        self._streams.add(stream)
        try:
            await _Subscriber(self, request, write).run(stream)
        finally:
            self._streams.discard(stream)

    async def consume(self, read: Read, write: Write) -> None:
        """Serves one member of a group; raises Failed."""
        self._check()
        opening = (await read()).open
        group = self._groups.setdefault(opening.group, _Group())
        stream = _Stream()
        self._streams.add(stream)
        try:
            await _Member(self, group, opening.credit).run(stream, read, write)
        finally:
            self._streams.discard(stream)

    def _check(self) -> None:
        if self._refusals:
            raise self._refusals.popleft()

    def _event(self, content: Any) -> Event:
        number = len(self._events) + 1
        data = Payload.from_json(content).data
        return Event(id=f"e{number}", source="fake", type="fake", data=data)

    def _wake(self) -> None:
        for stream in self._streams:
            stream.news.set()


class _Stream:
    """What an open stream is told beside the events."""

    def __init__(self) -> None:
        self.told: deque[Any] = deque()
        self.news = asyncio.Event()

    def tell(self, what: Any) -> None:
        self.told.append(what)
        self.news.set()

    async def rest(self, beat: float) -> bool:
        """Waits for news; returns whether there is some before the heartbeat is due."""
        try:
            async with asyncio.timeout(beat):
                await self.news.wait()
        except TimeoutError:
            return False
        return True


class _Subscriber:
    """One subscription: a place in the history."""

    def __init__(self, feed: FakeFeed, request: pb.SubscribeRequest, write: Write) -> None:
        self._feed = feed
        self._request = request
        self._write = write
        self._at = 0

    async def run(self, stream: _Stream) -> None:
        self._at, is_expired = self._place()
        await self._send(pb.SubscribeResponse(checkpoint=pb.Checkpoint()))
        if is_expired:
            await self._send(pb.SubscribeResponse(gap=pb.Gap(why=pb.GAP_REASON_EXPIRED)))
        while True:
            stream.news.clear()
            if stream.told:
                if await self._obey(stream.told.popleft()):
                    return
            elif self._at < len(self._feed._events):  # noqa: SLF001  # the feed is ours
                await self._send_events()
            elif not await stream.rest(self._request.heartbeat.ToNanoseconds() / 1e9 or 15.0):
                await self._send(pb.SubscribeResponse(checkpoint=pb.Checkpoint()))

    def _place(self) -> tuple[int, bool]:
        """Where to start, and whether what should come there is gone."""
        oldest, count = self._feed._oldest, len(self._feed._events)  # noqa: SLF001  # the feed is ours
        start = self._request.start
        if start.WhichOneof("place") == "oldest":
            return oldest, False
        if start.WhichOneof("place") != "cursor":
            return count, False
        number, _, name = start.cursor.partition("@")
        if not number.isdigit():
            raise Failed("BAD_CURSOR", "the cursor is malformed")
        if name != self._name():
            raise Failed("CURSOR_MISMATCH", "the cursor belongs to another feed or filter")
        if int(number) >= oldest:
            return int(number), False
        if self._request.on_expired == pb.ON_EXPIRED_FAIL:
            raise Failed("CURSOR_EXPIRED", "the cursor is older than what is kept")
        return oldest, True

    def _name(self) -> str:
        return f"{self._feed.name}/{self._request.filter.SerializeToString().hex()}"

    async def _send(self, frame: pb.SubscribeResponse) -> None:
        frame.cursor = f"{self._at}@{self._name()}"
        await self._write(frame)

    async def _send_events(self) -> None:
        events = self._feed._events[self._at : self._at + self._feed.frame_size]  # noqa: SLF001  # the feed is ours
        self._at += len(events)
        wanted = [event for event in events if _matches(self._request.filter, event)]
        await self._send(pb.SubscribeResponse(batch=pb.EventBatch(events=wanted)))

    async def _obey(self, what: Any) -> bool:
        """Does what the stream was told; returns whether it is over."""
        if isinstance(what, Failed):
            raise what
        if isinstance(what, int):
            self._at += what
            frame = pb.SubscribeResponse(checkpoint=pb.Checkpoint(), dropped=what)
        elif isinstance(what, pb.Gap):
            frame = pb.SubscribeResponse(gap=what)
        else:
            frame = pb.SubscribeResponse(going_away=what)
        await self._send(frame)
        return isinstance(what, pb.GoingAway)


class _Group:
    """What the members of a group share: what comes next, and what comes again."""

    def __init__(self) -> None:
        self.next = 0
        self.again: deque[tuple[int, int]] = deque()


class _Member:
    """One member of a group."""

    def __init__(self, feed: FakeFeed, group: _Group, credit: int) -> None:
        self._feed = feed
        self._group = group
        self._credit = credit
        self._held: dict[int, tuple[int, int]] = {}
        self._tag = 0
        self._timers: list[asyncio.TimerHandle] = []

    async def run(self, stream: _Stream, read: Read, write: Write) -> None:
        await write(pb.ConsumeResponse(checkpoint=pb.Checkpoint()))
        reader = asyncio.ensure_future(self._read(stream, read))
        try:
            while True:
                stream.news.clear()
                if stream.told:
                    if await self._obey(stream.told.popleft(), write):
                        return
                elif deliveries := self._hand_out():
                    batch = pb.DeliveryBatch(deliveries=deliveries)
                    await write(pb.ConsumeResponse(deliveries=batch))
                elif not await stream.rest(self._feed.heartbeat):
                    await write(pb.ConsumeResponse(checkpoint=pb.Checkpoint()))
        finally:
            await end_tasks(reader)
            self._group.again.extend(self._held.values())
            self._feed._wake()  # noqa: SLF001  # the feed is ours

    async def _obey(self, what: Any, write: Write) -> bool:
        if isinstance(what, Failed):
            raise what
        if isinstance(what, pb.SettleResults):
            await write(pb.ConsumeResponse(results=what))
        elif isinstance(what, pb.GoingAway):
            await write(pb.ConsumeResponse(going_away=what))
        return what is None or isinstance(what, pb.GoingAway)

    async def _read(self, stream: _Stream, read: Read) -> None:
        while (request := await read()) is not grpc.aio.EOF:
            self._credit += request.credit.more
            results = [self._settle(one) for one in request.settle.settlements]
            if results:
                stream.tell(pb.SettleResults(results=results))
            stream.news.set()
        stream.tell(None)

    def _hand_out(self) -> list[pb.Delivery]:
        events = self._feed._events  # noqa: SLF001  # the feed is ours
        handed = []
        while len(self._held) < self._credit:
            if self._group.again:
                index, attempt = self._group.again.popleft()
            elif self._group.next < len(events):
                index, attempt = self._group.next, 0
                self._group.next += 1
            else:
                break
            self._tag += 1
            self._held[self._tag] = (index, attempt + 1)
            handed.append(pb.Delivery(tag=self._tag, event=events[index], attempt=attempt + 1))
        return handed

    def _settle(self, one: pb.Settlement) -> pb.SettleResult:
        held = self._held.pop(one.tag, None)
        if held is None and not 1 <= one.tag <= self._tag:
            failed = Failed("INVALID_REQUEST", "there is no delivery under this tag")
            return pb.SettleResult(tag=one.tag, status=failed.status())
        if held is not None and one.HasField("nack"):
            delay = one.nack.delay.ToNanoseconds() / 1e9
            asyncio.get_running_loop().call_later(delay, self._return, held)
        elif held is not None and one.HasField("reject"):
            event = read_event(self._feed._events[held[0]])  # noqa: SLF001  # the feed is ours
            self._feed.dead.append((event, one.reject.cause))
        return pb.SettleResult(tag=one.tag)

    def _return(self, held: tuple[int, int]) -> None:
        self._group.again.append(held)
        self._feed._wake()  # noqa: SLF001  # the feed is ours


def _matches(wanted: pb.Filter, event: event_pb2.Event) -> bool:
    return all(
        _fits(getattr(wanted, name), getattr(event, name))
        for name in ("type", "source", "subject", "key")
    )


def _fits(rule: pb.StringMatch, text: str) -> bool:
    kind = rule.WhichOneof("rule")
    if kind is None:
        return True
    return text == rule.exact if kind == "exact" else text.startswith(rule.prefix)
