"""The side of a worker that follows: what the leader tells goes into its own ring."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from interlaced.core.clock import TimeLimit
from interlaced.core.cursor import Place
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Missing
from interlaced.core.shared_feed import SharedFeed
from interlaced.relay.packing import unpack_items
from interlaced.relay.talk import CONNECTED, DISCONNECTED, ITEMS, OVER, Hello, Seat, Welcome
from interlaced.relay.wire import WireError, framed, read_message

__all__ = ["Link", "open_link", "place_of"]

_GREETING = 5.0  # seconds in which a leader says where it seats a follower


class Link:
    """A connection to a leader that has said where it seats this worker."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, welcome: Welcome
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._welcome = welcome

    @property
    def is_behind(self) -> bool:
        """Whether the leader has no place for this worker, which has to read on by itself."""
        return self._welcome.seat is Seat.BEHIND

    async def run(self, shared: SharedFeed, ready: Callable[[], None]) -> bool:
        """Passes on what the leader tells; calls `ready` once the history has come. Returns
        whether the feed is over, and raises OSError, EOFError or WireError when the connection
        is."""
        if self._welcome.seat is Seat.FRESH:
            await self._begin(shared)
        while True:
            message = await read_message(self._reader)
            kind, body = message[:1], message[1:]
            if kind == ITEMS:
                await shared.adopt(unpack_items(body))
            elif kind in (CONNECTED, DISCONNECTED):
                shared.follow(is_connected=kind == CONNECTED)
                ready()
            elif kind == OVER:
                shared.finished()
                ready()
                return True
            else:
                raise WireError("the leader says what is not known")

    async def _begin(self, shared: SharedFeed) -> None:
        """Begins where the leader's ring does."""
        floor, ring = self._welcome.floor, shared.ring
        if ring.end == 0:
            ring.begin_at(floor, self._welcome.epoch)
        else:
            await shared.adopt([Missing(Gap(GapWhy.RECONNECTED), floor)])

    def close(self) -> None:
        """Ends the connection."""
        self._writer.close()


def place_of(shared: SharedFeed) -> Place | None:
    """Returns the place that a worker's ring has come to; None if it names no event."""
    place = shared.ring.place_before(shared.ring.end)
    return place if shared.ring.end and place.position else None


async def open_link(path: Path, shared: SharedFeed) -> Link:
    """Connects to whoever leads. Raises OSError or EOFError if nobody does, TimeoutError, and
    WireError."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        with TimeLimit(shared.clock, shared.clock.now() + _GREETING):
            writer.write(framed(Hello(place_of(shared)).pack()))
            return Link(reader, writer, Welcome.unpack(await read_message(reader)))
    except BaseException:
        writer.close()
        raise
