"""One WebSocket per connector, shared by all readers of all its feeds."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from interlaced.connectors.websocket.config import Auth, Config, FeedConfig, Upstream
from interlaced.connectors.websocket.errors import closed, shut_down
from interlaced.connectors.websocket.recipe import (
    Dropped,
    Memory,
    Plan,
    Session,
    Span,
    compile_plan,
)
from interlaced.core.failure import Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Event, Gap, GapWhy, Settlement
from interlaced.core.ports import (
    Capability,
    Connector,
    Durability,
    Operation,
    Order,
    Reader,
    Sink,
    Start,
    TimerHandle,
    Tools,
)
from interlaced.core.tasks import end_tasks
from interlaced.transport.egress import EgressGuard
from interlaced.transport.tls import TlsSettings, client_context
from interlaced.transport.websocket import (
    FrameKind,
    WebSocketConnection,
    WebSocketSettings,
    connect,
)

__all__ = ["CAPABILITY", "build"]

CAPABILITY = Capability(durability=Durability.NONE, order=Order.TOTAL)
"""What every feed of this kind promises: what is missed is gone, and nothing is acknowledged."""

_BUFFERED_EVENTS = 10_000
_OVERHEAD = 256
"""Bytes that an event is counted with beside its payload."""

_Dial: TypeAlias = Callable[[], Awaitable[WebSocketConnection]]


async def _settled(settlement: Settlement) -> None:
    """Settles nothing: the upstream has no acknowledgement."""


class _Slot:
    """What waits for one reader, bounded: the oldest goes first, and a gap stands in its place."""

    def __init__(self, feed: str, limit: int, awaited_until: float = 0.0) -> None:
        self.feed = feed
        self.awaited_until = awaited_until
        self.lost: Failure | None = None
        self._limit = limit
        self._items: deque[Event | Gap] = deque()
        self._size = 0
        self._overflow: Gap | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: Event | Gap) -> int:
        """Appends and wakes the reader; returns how many events had to go for it."""
        self._items.append(item)
        self._size += _size(item)
        dropped = 0
        while len(self._items) > 1 and (
            self._size > self._limit or len(self._items) > _BUFFERED_EVENTS
        ):
            dropped += self._drop_oldest()
        self.wake()
        return dropped

    def note_break(self) -> None:
        """Marks that what follows comes from another connection."""
        if self._items:
            self.put(Gap(GapWhy.RECONNECTED))

    def _drop_oldest(self) -> int:
        item = self._items.popleft()
        self._size -= _size(item)
        first = self._overflow.first if self._overflow else _mark(item, is_first=True)
        self._overflow = Gap(GapWhy.EXPIRED, first, _mark(item, is_first=False))
        return isinstance(item, Event)

    def take(self) -> Sequence[Delivery | Gap]:
        """Returns everything that waits, and forgets it."""
        taken: list[Delivery | Gap] = [] if self._overflow is None else [self._overflow]
        taken += [
            Delivery(item, _settled) if isinstance(item, Event) else item for item in self._items
        ]
        self._items.clear()
        self._size, self._overflow = 0, None
        return taken

    def wake(self) -> None:
        """Wakes the reader."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Waits until `wake`, unless something is there already."""
        if self._items or self.lost is not None:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None


def _size(item: Event | Gap) -> int:
    return _OVERHEAD + (len(item.data) if isinstance(item, Event) else 0)


def _mark(item: Event | Gap, *, is_first: bool) -> str:
    if isinstance(item, Event):
        return item.id
    return item.first if is_first else item.last


class _Link:
    """The one connection: made when the first reader comes, ended when the last one has gone.

    When it breaks, every reader is told, and whoever opens first reconnects for all. What comes
    for a feed whose reader is not back yet is kept for it for `patience` seconds.
    """

    def __init__(
        self, name: str, plan: Plan, upstream: Upstream, tools: Tools, dial: _Dial
    ) -> None:
        self._name = name
        self._plan = plan
        self._tools = tools
        self._dial = dial
        self._pace = upstream.pace
        self._buffer = upstream.buffer
        self._patience = 2 * upstream.reconnect.cap
        self._memory = Memory()
        self._attached: list[_Slot] = []
        self._awaited: list[_Slot] = []
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[bool] | None = None
        self._next_attempt = -1.0
        self._is_closed = False

    async def attach(self, feed: str) -> _Slot:
        """Gives a reader its slot once the subscription stands; raises NotConnected."""
        if self._is_closed:
            raise NotConnected(shut_down())
        slot = self._claim(feed)
        self._attached.append(slot)
        try:
            await self._subscribed(slot)
        except BaseException:
            await self.detach(slot)
            raise
        return slot

    def _claim(self, feed: str) -> _Slot:
        """Takes over what has been kept for a reader of this feed since the last loss."""
        self._forget_late()
        for slot in self._awaited:
            if slot.feed == feed:
                self._awaited.remove(slot)
                return slot
        return _Slot(feed, self._buffer)

    def _forget_late(self) -> None:
        now = self._tools.clock.now()
        self._awaited = [slot for slot in self._awaited if now < slot.awaited_until]

    async def _subscribed(self, slot: _Slot) -> None:
        """Waits for the connection that stands or is being made; makes one if there is none."""
        if self._task is None or self._ready is None:
            self._ready = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._ready))
        ready = self._ready
        await asyncio.wait([ready])
        if ready.cancelled() or not ready.result():
            failure = slot.lost or shut_down()
            raise NotConnected(failure) from failure

    async def detach(self, slot: _Slot) -> None:
        """Lets go of a slot, and of the connection with the last one. Twice does nothing."""
        if slot not in self._attached:
            return
        self._attached.remove(slot)
        if not self._attached:
            await self._stop()

    async def close(self) -> None:
        """Ends the connection and tells every reader."""
        self._is_closed = True
        self._lose(shut_down())
        await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        self._awaited.clear()
        # Whoever comes next starts from now, not from where somebody else stopped.
        self._memory = Memory()
        if task is not None and task is not asyncio.current_task():
            await end_tasks([task])

    async def _run(self, ready: asyncio.Future[bool]) -> None:
        """Lives as long as one connection."""
        try:
            await self._keep_pace()
            await self._live(ready)
        except Failure as failure:
            self._end(ready, failure)
        except Exception as error:  # noqa: BLE001  # a bug here must not leave readers waiting
            bug = Failure(Reason.INTERNAL_ERROR, "The feed's connection broke unexpectedly.")
            bug.__cause__ = error
            self._end(ready, bug)
        finally:
            ready.cancel()

    def _end(self, ready: asyncio.Future[bool], failure: Failure) -> None:
        if self._task is not asyncio.current_task():
            return  # it was stopped, and its successor may be at work
        self._task = None
        if failure.retry_after is not None:
            self._next_attempt = self._tools.clock.now() + failure.retry_after
        self._lose(failure)
        if not ready.done():
            ready.set_result(False)  # the slots say why

    def _lose(self, failure: Failure) -> None:
        """Tells every reader, and keeps a place for each to come back to."""
        until = self._tools.clock.now() + self._patience
        self._forget_late()
        for slot in self._awaited:
            slot.note_break()
        for slot in self._attached:
            slot.lost = failure
            slot.wake()
            self._awaited.append(_Slot(slot.feed, self._buffer, until))
        self._attached.clear()

    async def _keep_pace(self) -> None:
        clock = self._tools.clock
        wait = self._next_attempt - clock.now()
        if wait > 0:
            await clock.sleep(wait)
        self._next_attempt = clock.now() + self._pace

    async def _live(self, ready: asyncio.Future[bool]) -> None:
        connection = await self._dial()
        clock = self._tools.clock
        session = Session(self._plan, self._memory, clock.now())
        watch = _Watch(session, connection, self._tools)
        beat = asyncio.create_task(self._beat(connection))
        is_polite = False
        try:
            await self._talk(connection, session, ready)
        except Failure as failure:
            if watch.failure is not None:
                raise watch.failure from failure
            raise
        except asyncio.CancelledError:
            is_polite = True
            raise
        finally:
            watch.cancel()
            if not is_polite:
                connection.abort()
            try:
                await end_tasks([beat])
            finally:  # the last reader may go, and cancel this, while it ends by itself
                await connection.close(clock)

    async def _talk(
        self, connection: WebSocketConnection, session: Session, ready: asyncio.Future[bool]
    ) -> None:
        """Subscribes, then reads until the connection ends; always ends in a Failure."""
        clock = self._tools.clock
        for text in session.opened():
            await connection.send(text)
        while True:
            if session.is_subscribed and not ready.done():
                ready.set_result(True)
            frame = await connection.receive()
            if frame.kind is FrameKind.CLOSED:
                raise closed(frame.code)
            if frame.kind is FrameKind.CONTROL:
                session.heard(clock.now())
                continue
            is_text = frame.kind is FrameKind.TEXT
            self._hand_out(session.received(frame.data, is_text=is_text, now=clock.now()))

    def _hand_out(self, spans: Sequence[Span]) -> None:
        if self._awaited:
            self._forget_late()
        for feed, item in spans:
            if isinstance(item, Dropped):
                self._tell_dropped(feed, item.value, 1)
                continue
            for slot in (*self._attached, *self._awaited):
                if slot.feed == feed and (dropped := slot.put(item)):
                    self._tell_dropped(feed, "buffer", dropped)

    def _tell_dropped(self, feed: str, why: str, events: int) -> None:
        self._tools.observer.feed(self._name, feed).dropped(why, events)

    async def _beat(self, connection: WebSocketConnection) -> None:
        """Pings until the connection is lost, which whoever receives notices and tells."""
        with contextlib.suppress(Failure):
            while True:
                await self._tools.clock.sleep(self._plan.ping)
                if self._plan.ping_frame is None:
                    await connection.ping()
                else:
                    await connection.send(self._plan.ping_frame)


class _Watch:
    """Kills the transport when the session is dead. It is a timer, not a task: it fires even
    while everything else waits in a write to a peer that reads nothing."""

    def __init__(self, session: Session, connection: WebSocketConnection, tools: Tools) -> None:
        self.failure: Failure | None = None
        self._session = session
        self._connection = connection
        self._clock = tools.clock
        self._timer: TimerHandle = self._arm()

    def _arm(self) -> TimerHandle:
        return self._clock.call_at(self._session.deadline(), self._fire)

    def _fire(self) -> None:
        try:
            self._session.check(self._clock.now())
        except Failure as failure:
            self.failure = failure
            self._connection.abort()
        else:
            self._timer = self._arm()

    def cancel(self) -> None:
        """Stops watching."""
        self._timer.cancel()


class _Reader:
    """A reader's place at the shared connection."""

    epoch = 0

    def __init__(self, link: _Link, slot: _Slot) -> None:
        self._link = link
        self._slot = slot

    async def read(self) -> Sequence[Delivery | Gap]:
        while True:
            if taken := self._slot.take():
                return taken
            if self._slot.lost is not None:
                raise NotConnected(self._slot.lost)
            await self._slot.wait()

    async def close(self) -> None:
        await self._link.detach(self._slot)


class _Feed:
    """A feed of the shared connection."""

    capability = CAPABILITY

    def __init__(self, name: str, config: FeedConfig, link: _Link) -> None:
        self.name = name
        self.description = config.description
        self._link = link

    async def open(self, start: Start) -> Reader:
        return _Reader(self._link, await self._link.attach(self.name))

    async def join(self, group: str) -> Reader:
        raise Failure(Reason.NOT_ACKABLE, "A WebSocket feed cannot be acknowledged.")


class _WebSocketConnector:
    """Feeds over one WebSocket."""

    def __init__(self, config: Config, link: _Link) -> None:
        self.operations: Mapping[str, Operation] = {}
        self.sinks: Mapping[str, Sink] = {}
        self.feeds = {name: _Feed(name, feed, link) for name, feed in config.feeds.items()}
        self._link = link

    async def open(self) -> None:
        """Connects nothing yet: the first reader does."""

    async def close(self) -> None:
        await self._link.close()


def build(name: str, config: Config, tools: Tools) -> Connector:
    """Builds a connector; it reads the files of TLS and raises OSError or ValueError for them."""
    upstream = config.upstream
    plan = compile_plan(name, config, f"{tools.random.getrandbits(48):012x}")
    dial = partial(connect, _settings(upstream), tools.clock)
    return _WebSocketConnector(config, _Link(name, plan, upstream, tools, dial))


def _settings(upstream: Upstream) -> WebSocketSettings:
    headers = [(name, value.reveal()) for name, value in upstream.headers.items()]
    if upstream.auth is not None:
        headers.append(("Authorization", _authorization(upstream.auth)))
    tls = upstream.tls
    is_secure = upstream.websocket.startswith("wss:")
    return WebSocketSettings(
        url=upstream.websocket,
        guard=EgressGuard(upstream.allow_private),
        headers=tuple(headers),
        protocols=upstream.protocols,
        connect_timeout=upstream.connect_timeout,
        max_frame=upstream.max_frame,
        is_compressed=upstream.compression,
        tls=client_context(TlsSettings(tls.ca, tls.certificate, tls.key)) if is_secure else None,
    )


def _authorization(auth: Auth) -> str:
    if auth.basic is not None:
        pair = f"{auth.basic.username.reveal()}:{auth.basic.password.reveal()}"
        return "Basic " + base64.b64encode(pair.encode()).decode()
    return "Bearer " + (auth.bearer.reveal() if auth.bearer else "")
