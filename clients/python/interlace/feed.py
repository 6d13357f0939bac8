"""Listens to a feed, and finds its place again when the connection is lost."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, TypeAlias, TypedDict

import grpc

from interlace.backoff import Backoff, Reconnect
from interlace.calls import duration
from interlace.errors import ErrorFacts, InterlaceError, Unavailable
from interlace.events import (
    Bookmark,
    Dropped,
    Event,
    Filter,
    Gap,
    Overflow,
    Start,
    read_event,
    read_gap,
)
from interlace.streams import ReadStream
from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["Item", "SubscribeOptions", "Subscription", "lost_stream"]

Item: TypeAlias = Event | Gap | Dropped
"""What a subscription yields."""

OpenStream: TypeAlias = Callable[[pb.SubscribeRequest], Any]

# gRPC may miss the reset of a connection that only reads, until its next ping (30 s).
_HEARTBEAT = 10.0
_SILENT_BEATS = 3


class SubscribeOptions(TypedDict, total=False):
    """What a subscription may say. `heartbeat` (1 to 300 seconds) is how often the service says
    that it is there; three missed ones count as a lost connection. With `fails_when_expired` a
    cursor that is too old raises CursorExpired instead of yielding a Gap."""

    start: Start
    filter: Filter
    overflow: Overflow
    fails_when_expired: bool
    heartbeat: float
    reconnect: Reconnect | None


class Subscription:
    """Yields the events of a feed, and its gaps and drops, in order; it never ends by itself.

    When the connection is lost, or the service says that it is going away, it reconnects
    exclusively after what it has received: nothing is lost or repeated that the feed still keeps,
    and what it does not keep is a Gap. With `reconnect=None` the error is raised instead.

    Use it as an async context manager, or call `close`. Cancelling a wait for the next item does no
    harm: the next wait goes on.
    """

    def __init__(self, feed: str, open_stream: OpenStream, options: SubscribeOptions) -> None:
        self._open_stream = open_stream
        self._reconnect = options.get("reconnect", Reconnect())
        self._start = options.get("start", Start.now())
        self._heartbeat = options.get("heartbeat", _HEARTBEAT)
        self._request = _request(feed, options, self._heartbeat)
        self._stream: ReadStream[pb.SubscribeResponse] | None = None
        self._backoff = Backoff(self._reconnect or Reconnect())
        self._ready: deque[Item] = deque()
        self._is_over = False
        self._not_before = 0.0
        # `_received` is how far the service has come with us, `_bookmark` how far our caller has.
        self._received = self._start.bookmark.cursor
        self._cursor = self._received
        self._delivered: list[bytes] = list(self._start.bookmark.delivered)
        self._known: set[bytes] = set(self._delivered)
        self._last_batch: Sequence[event_pb2.Event] = ()

    @property
    def cursor(self) -> str:
        """Stands for everything up to the last frame that was delivered whole. Whoever resumes
        after it may see the events of the frame under way again; `bookmark` has none of that."""
        return self._cursor

    @property
    def bookmark(self) -> Bookmark:
        """Where to resume, to the event: `start=Start.after(bookmark)`."""
        return Bookmark(self._cursor, tuple(self._delivered))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        while not self._ready:
            if self._is_over:
                raise StopAsyncIteration
            self._unpack(await self._next_frame())
        item = self._ready.popleft()
        if isinstance(item, Event) and item.position:
            self._delivered.append(item.position)
        if not self._ready:
            self._finish_frame()
        return item

    async def close(self) -> None:
        """Ends the subscription; nothing of it is left when this returns."""
        self._is_over = True
        self._ready.clear()
        await self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _next_frame(self) -> pb.SubscribeResponse:
        while True:
            try:
                frame = await self._read()
            except InterlaceError as error:
                await self._drop()
                self._plan(error)
                continue
            self._backoff.succeeded()
            self._received = frame.cursor or self._received
            if frame.WhichOneof("frame") != "going_away":
                return frame
            await self._leave(frame)

    async def _leave(self, frame: pb.SubscribeResponse) -> None:
        """The service is going away: what it dropped still counts, and it says when to be back."""
        if frame.dropped:
            self._ready.append(Dropped(frame.dropped))
        after = frame.going_away.reconnect_after.ToNanoseconds() / 1e9
        self._not_before = _now() + self._backoff.after(after)
        await self._drop()

    async def _read(self) -> pb.SubscribeResponse:
        if self._stream is None:
            # The time to come back stands, also when a wait for it was cancelled.
            await asyncio.sleep(max(0.0, self._not_before - _now()))
            self._resume()
            self._stream = ReadStream(self._open_stream(self._request))
        try:
            frame = await self._stream.read(within=_SILENT_BEATS * self._heartbeat)
        except TimeoutError as error:
            raise lost_stream("the service has been silent for too long") from error
        if frame is None:
            raise lost_stream("the service ended the stream")
        return frame

    def _resume(self) -> None:
        """Asks for what comes after what was received; repeats of the last batch are known."""
        if self._received:
            self._request.start.CopyFrom(pb.StartPosition(cursor=self._received))
        again = {event.position for event in self._last_batch if event.position}
        self._known = again.union(self._delivered)

    def _plan(self, error: InterlaceError) -> None:
        """Says when to reconnect, or raises what cannot be mended so."""
        wait = None
        if self._reconnect is not None and error.can_reconnect:
            wait = self._backoff.wait(_now(), error.retry_after)
        if wait is None:
            self._is_over = True
            raise error
        self._not_before = _now() + wait

    async def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    def _unpack(self, frame: pb.SubscribeResponse) -> None:
        """Lays the items of a frame out; a frame of an unknown kind moves the cursor alone."""
        if frame.dropped:
            self._ready.append(Dropped(frame.dropped))
        kind = frame.WhichOneof("frame")
        if kind == "gap":
            # What lay before a gap is no measure for what comes after it.
            self._known.clear()
            self._last_batch = ()
            self._ready.append(read_gap(frame.gap))
        elif kind == "batch":
            self._last_batch = frame.batch.events
            self._ready.extend(read_event(event) for event in self._fresh(frame.batch.events))
        if not self._ready:
            self._finish_frame()

    def _fresh(self, events: Sequence[event_pb2.Event]) -> Sequence[event_pb2.Event]:
        """Leaves out what was delivered before the stream was resumed."""
        if not self._known:
            return events
        fresh = [event for event in events if event.position not in self._known]
        self._known.difference_update(event.position for event in events)
        return fresh

    def _finish_frame(self) -> None:
        # Only what may come again after the cursor has to be remembered.
        self._delivered = [position for position in self._delivered if position in self._known]
        self._cursor = self._received


def lost_stream(message: str) -> Unavailable:
    """Returns the error of a stream that is gone without a word from the service."""
    return Unavailable(ErrorFacts(code=grpc.StatusCode.UNAVAILABLE, message=message))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _request(feed: str, options: SubscribeOptions, heartbeat: float) -> pb.SubscribeRequest:
    request = pb.SubscribeRequest(feed=feed, heartbeat=duration(heartbeat))
    request.start.CopyFrom(options.get("start", Start.now()).message())
    if "filter" in options:
        request.filter.CopyFrom(options["filter"].message())
    if "overflow" in options:
        request.overflow.CopyFrom(options["overflow"].message())
    if options.get("fails_when_expired", False):
        request.on_expired = pb.ON_EXPIRED_FAIL
    return request
