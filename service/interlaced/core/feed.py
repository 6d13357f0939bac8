"""The hub: every feed that is served, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random

from interlaced.core.consume import ConsumeSession
from interlaced.core.cursor import CursorCodec
from interlaced.core.failure import Failure, Reason
from interlaced.core.feed_settings import FeedState, HubSettings
from interlaced.core.model import Event
from interlaced.core.ports import Clock, FeedBinding, Observer
from interlaced.core.pump import Intake
from interlaced.core.shared_feed import FeedTools, SharedFeed

__all__ = ["ConsumeSession", "FeedState", "Hub", "HubSettings", "SharedFeed"]


class Hub:
    """Holds the feeds. It starts empty; `swap` serves a configuration.

    `encode` turns an event into ready bytes that can be joined into a batch. Close it in the end:
    `drain` first, to part in peace.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        observer: Observer,
        encode: Callable[[Event], bytes],
        cursors: CursorCodec,
        settings: HubSettings,
    ) -> None:
        self._tools = FeedTools(
            clock=clock,
            random=random,
            observer=observer,
            encode=encode,
            cursors=cursors,
            settings=settings,
        )
        self._feeds: dict[str, SharedFeed] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_draining = False

    @property
    def settings(self) -> HubSettings:
        """The limits of all feeds."""
        return self._tools.settings

    def relay(self, intake: Callable[[SharedFeed], Intake]) -> None:
        """Lets `intake` fill the rings instead of a pump each, since other workers share the
        upstreams. It comes before the first `swap`."""
        self._tools = replace(self._tools, intake=intake)

    async def swap(self, feeds: Mapping[str, FeedBinding]) -> None:
        """Serves these feeds, by full name, and no others.

        A feed whose digest is unchanged keeps its connection; a changed one reconnects and its
        subscribers stay; the subscribers of one that is gone are told to go away.
        """
        gone = [shared for name, shared in self._feeds.items() if name not in feeds]
        kept = {name: self._feeds.get(name) for name in feeds}
        self._feeds = {
            name: kept[name] or SharedFeed(binding, self._tools) for name, binding in feeds.items()
        }
        for shared in gone:
            task = asyncio.create_task(self._retire(shared))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        for name, known in kept.items():
            if known is not None:
                await known.rebind(feeds[name])

    async def _retire(self, shared: SharedFeed) -> None:
        """Lets a feed's streams leave, and closes it at the latest after the grace."""
        shared.go_away(self.settings.reconnect_after)
        timer = self._tools.clock.call_at(
            self._tools.clock.now() + self.settings.settle_grace * 2, shared.give_up
        )
        try:
            await shared.wait_idle()
        finally:
            timer.cancel()
            await shared.close()

    def find(self, name: str) -> SharedFeed:
        """Returns a feed by its full name; raises Failure UNKNOWN_FEED, or DRAINING."""
        if self._is_draining:
            after = self.settings.reconnect_after
            raise Failure(Reason.DRAINING, "the server is shutting down", retry_after=after)
        shared = self._feeds.get(name)
        if shared is None:
            raise Failure(Reason.UNKNOWN_FEED, "there is no feed of this name")
        return shared

    def states(self) -> Mapping[str, FeedState]:
        """Returns how every feed does, by full name."""
        return {name: shared.state() for name, shared in self._feeds.items()}

    async def drain(self, reconnect_after: float) -> None:
        """Tells every stream to reconnect with its cursor after so many seconds (each a little
        later than the other), refuses new ones, and waits until all have left."""
        self._is_draining = True
        for shared in self._feeds.values():
            shared.go_away(reconnect_after)
        for shared in self._feeds.values():
            await shared.wait_idle()

    async def close(self) -> None:
        """Ends every stream with DRAINING and closes every connection."""
        self._is_draining = True
        leaving = tuple(self._leaving)
        for task in leaving:
            task.cancel()
        if leaving:
            await asyncio.wait(leaving)
        for shared in self._feeds.values():
            await shared.close()
