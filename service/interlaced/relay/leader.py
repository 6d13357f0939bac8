"""The side of the worker that reads the upstream: its ring, passed on to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure
from interlaced.core.model import Delivery, Gap, GapWhy
from interlaced.core.ports import FeedBinding
from interlaced.core.ring import Item, Missing
from interlaced.core.shared_feed import SharedFeed
from interlaced.core.tasks import end_tasks
from interlaced.relay.packing import pack_items
from interlaced.relay.talk import CONNECTED, DISCONNECTED, ITEMS, OVER, Hello, Seat, Welcome
from interlaced.relay.term import Term
from interlaced.relay.wire import Listener, framed, read_message

__all__ = ["Leader"]

_MOST_FOLLOWERS = 256
_GREETING = 5.0  # seconds in which a follower says where it is
_ITEMS = 256  # in a message
_BYTES = 1024 * 1024  # in a message, about; and waiting for one follower
_CHUNK = 256


@dataclass(slots=True, eq=False)
class _Follower:
    """A worker that reads this one's ring: a number of it, and what it was told last."""

    writer: asyncio.StreamWriter
    index: int
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    told: bytes = b""

    def send(self, kind: bytes, body: bytes = b"") -> None:
        self.writer.write(framed(kind + body))


class Leader:
    """Works for the pump in the place of the shared feed, and tells followers what it took.

    A follower is a position in the ring, as a subscriber is. One that is overtaken by the ring's
    end reads what it missed from a source that replays, and gets a Gap from any other; nobody
    waits for it.
    """

    def __init__(self, shared: SharedFeed, term: Term) -> None:
        self._shared = shared
        self._term = term
        self._ring = shared.ring
        self._begins = shared.ring.end
        self._is_cold = shared.ring.end == 0
        self._is_connected = self._is_over = False
        self._followers: set[_Follower] = set()
        self._listener = Listener(self._serve, most=_MOST_FOLLOWERS)
        self._memo: tuple[int, int, bytes] = (0, 0, b"")

    @property
    def has_followers(self) -> bool:
        """Whether other workers read this one's ring."""
        return bool(self._followers)

    async def start(self, path: Path) -> None:
        """Lets followers in; raises OSError."""
        await self._listener.start(path)

    async def close(self) -> None:
        """Lets go of every follower, and of the upstream."""
        await self._listener.close()
        self._is_connected = False
        self._shared.release()

    # what the pump tells

    @property
    def binding(self) -> FeedBinding:
        """The feed, as it is configured now."""
        return self._shared.binding

    async def accept(self, items: Sequence[Delivery | Gap]) -> None:
        """Takes what was read, in order; followers are told in between."""
        for start in range(0, len(items), _CHUNK):
            await self._shared.accept(items[start : start + _CHUNK])
            self._tell()
            if start + _CHUNK < len(items):
                await asyncio.sleep(0)

    def connected(self, gap: GapWhy | None) -> None:
        """The connection stands; events may have been missed for this reason."""
        self._shared.connected(gap)
        self._is_connected = True
        self._tell()

    def begin_history(self, epoch: int, *, is_first: bool) -> None:
        """What follows belongs to this history."""
        self._shared.begin_history(epoch, is_first=is_first)
        self._tell()

    def disconnected(self, failure: Failure, retry_in: float) -> None:
        """The connection is lost."""
        self._shared.disconnected(failure, retry_in)
        self._is_connected = False
        self._tell()

    def finished(self) -> None:
        """The feed is over."""
        self._shared.finished()
        self._is_over = True
        self._tell()

    def _tell(self) -> None:
        for follower in self._followers:
            follower.changed.set()

    # what a follower is told

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock = self._shared.clock
        try:
            with TimeLimit(clock, clock.now() + _GREETING):
                hello = Hello.unpack(await read_message(reader))
        except TimeoutError:
            return
        seat, index, first = self._seat(hello)
        writer.transport.set_write_buffer_limits(high=_BYTES)
        welcome = Welcome(seat, self._ring.epoch, self._ring.floor)
        writer.write(framed(welcome.pack()))
        if seat is Seat.BEHIND:
            await writer.drain()
            return
        await self._keep(_Follower(writer, index), first, reader)

    def _seat(self, hello: Hello) -> tuple[Seat, int, Missing | None]:
        """Finds a follower's number in the ring, and the gap that it is told first."""
        ring, place = self._ring, hello.place
        if place is None:
            return Seat.FRESH, ring.first, None
        number = ring.after(place)
        if number is not None:
            return Seat.RESUMED, number, None
        if self.binding.feed.capability.replay:
            return Seat.BEHIND, 0, None
        if place.epoch != ring.epoch:
            return Seat.RESUMED, ring.first, Missing(Gap(GapWhy.NEW_HISTORY), ring.floor)
        is_older = int.from_bytes(place.position, "big") < self._term.counter
        if is_older and self._begins >= ring.first:
            # it had more of an earlier term than this worker: only what came since is new to it
            floor = ring.place_before(self._begins)
            gap = Missing(Gap(GapWhy.RECONNECTED), floor) if self._is_cold else None
            return Seat.RESUMED, self._begins, gap
        return Seat.RESUMED, ring.first, Missing(Gap(GapWhy.EXPIRED), ring.floor)

    async def _keep(
        self, follower: _Follower, first: Missing | None, reader: asyncio.StreamReader
    ) -> None:
        """Sends until the follower is gone; it has nothing more to say."""
        if first is not None:
            follower.send(ITEMS, pack_items([first]))
        self._followers.add(follower)
        sender = asyncio.create_task(self._send(follower))
        try:
            await reader.read(1)
        finally:
            self._followers.discard(follower)
            await end_tasks([sender])
            self._shared.let_go()

    async def _send(self, follower: _Follower) -> None:
        try:
            while await self._send_next(follower):
                await follower.writer.drain()
        except OSError:
            return
        finally:
            follower.writer.close()  # which ends the read of `_keep`, too

    async def _send_next(self, follower: _Follower) -> bool:
        """Sends what comes next, waiting for it; False if the follower has to be let go of."""
        ring = self._ring
        if follower.index < ring.first:
            if self.binding.feed.capability.replay:
                return False
            follower.send(ITEMS, pack_items([Missing(Gap(GapWhy.EXPIRED), ring.floor)]))
            follower.index = ring.first
        if follower.index < ring.end:
            end, body = self._packed(follower.index)
            follower.send(ITEMS, body)
            follower.index = end
            return True
        state = self._state()
        if follower.told != state:
            follower.told = state
            follower.send(state)
            return True
        follower.changed.clear()
        await follower.changed.wait()
        return True

    def _state(self) -> bytes:
        if self._is_over:
            return OVER
        return CONNECTED if self._is_connected else DISCONNECTED

    def _packed(self, start: int) -> tuple[int, bytes]:
        """Returns items from a number on, as bytes, and the number behind them; followers that
        are at one number share the bytes."""
        end = min(self._ring.end, start + _ITEMS)
        if self._memo[0] == start and self._memo[1] == end:
            return end, self._memo[2]
        taken: list[Item] = []
        size = 0
        for item in self._ring.items(start, end):
            size += item.size
            if size > _BYTES and taken:
                end = start + len(taken)
                break
            taken.append(item)
        body = pack_items(taken)
        self._memo = (start, end, body)
        return end, body
