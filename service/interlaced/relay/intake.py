"""What fills a feed's ring among workers: the upstream for one of them, that one for the others."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from interlaced.core.backoff import Backoff
from interlaced.core.cursor import Place
from interlaced.core.failure import Failure, NotConnected
from interlaced.core.pump import Pump
from interlaced.core.replay import close_reader, start_after
from interlaced.core.shared_feed import SharedFeed
from interlaced.core.tasks import TaskOwner
from interlaced.relay.leader import Leader
from interlaced.relay.link import Link, open_link, place_of
from interlaced.relay.term import Lock, socket_path, take_lock
from interlaced.relay.wire import WireError
from interlaced.telemetry.log import log

__all__ = ["RelayIntake"]

_RETRY = Backoff(0.01, 0.25)
"""Between two looks for a leader, or for its lock."""
_PATIENCE = 10
"""How often a leader may not know a place that it is about to read itself."""
_GONE = (OSError, EOFError, WireError, TimeoutError)


class RelayIntake(TaskOwner):
    """Leads if nobody else does, follows otherwise, and takes over from a leader that dies.

    A feed that replays goes on exclusively after what this worker has; any other begins a term of
    its own with a Gap.
    """

    def __init__(self, shared: SharedFeed, *, folder: Path, random: Random) -> None:
        super().__init__()
        self._shared = shared
        self._folder = folder
        self._random = random
        self._pump: Pump | None = None
        self._leader: Leader | None = None
        self._ready = asyncio.Event()
        self._is_forgetful = False
        self._is_broken = False
        self._misfits = 0

    @property
    def position(self) -> bytes:
        """Where the upstream's reader is."""
        return self._pump.position if self._pump is not None else b""

    @position.setter
    def position(self, position: bytes) -> None:
        if self._pump is not None:
            self._pump.position = position

    @property
    def is_needed(self) -> bool:
        """Whether other workers follow this one."""
        return self._leader is not None and self._leader.has_followers

    def forget_position(self) -> None:
        """Goes on from now with the feed that follows."""
        self._is_forgetful = True

    async def until_ready(self) -> None:
        """Waits until this worker leads, or has what the leader's ring holds."""
        await self._ready.wait()

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        attempt = 0
        while True:
            began = self._shared.clock.now()
            try:
                if (lock := self._take_lock()) is not None:
                    await self._lead(lock)
                if await self._follow():
                    return
            except _GONE as error:
                self._note(error)
            except (Failure, NotConnected):
                self._shared.follow(is_connected=False)
            except Exception as error:  # noqa: BLE001  # a bug must not stop a feed for good
                self._shared.follow(is_connected=False)
                log.error("relay.broken", feed=self._shared.binding.name, exc_info=error)
            attempt = 0 if self._shared.clock.now() - began > 1.0 else attempt + 1
            await self._shared.clock.sleep(_RETRY.delay(attempt, self._random))

    def _note(self, error: BaseException) -> None:
        """Nobody leads at the moment, or what was said makes no sense."""
        self._shared.follow(is_connected=False)
        if isinstance(error, WireError):
            log.error("relay.malformed", feed=self._shared.binding.name, cause=str(error))

    # leading

    def _take_lock(self) -> Lock | None:
        name = self._shared.binding.name
        try:
            return take_lock(self._folder, name)
        except OSError as error:
            if not self._is_broken:
                self._is_broken = True
                log.error("relay.broken", feed=name, exc_info=error)
            raise

    async def _lead(self, lock: Lock) -> None:
        """Reads the upstream until this worker stops."""
        shared = self._shared
        leader = Leader(shared, lock.term)
        pump = shared.pump(leader)
        try:
            self._resume(pump, lock)
            await leader.start(self._socket())
            self._leader, self._pump = leader, pump
            log.info("relay.leads", feed=shared.binding.name, term=lock.term.number)
            pump.run()
            self._ready.set()
            await asyncio.get_running_loop().create_future()
        finally:
            self._leader = self._pump = None
            await pump.stop()
            await leader.close()
            lock.release()

    def _resume(self, pump: Pump, lock: Lock) -> None:
        """Lets the pump go on where this worker's ring ends."""
        shared = self._shared
        replays = shared.binding.feed.capability.replay
        goes_on = self._ready.is_set() or shared.ring.end > 0
        place = shared.ring.place_before(shared.ring.end)
        if not replays:
            shared.lead(lock.term.epoch, lock.term.counter)
        if goes_on:
            pump.resume(place if replays and not self._is_forgetful else Place())
        self._is_forgetful = False

    def _socket(self) -> Path:
        return socket_path(self._folder, self._shared.binding.name)

    # following

    async def _follow(self) -> bool:
        """Follows the leader; returns whether the feed is over."""
        link = await open_link(self._socket(), self._shared)
        if not link.is_behind:
            return await self._run_link(link)
        link.close()
        self._misfits += 1
        place = place_of(self._shared)
        if place is not None and self._misfits > _PATIENCE:
            return await self._catch_up(place)
        return False

    async def _run_link(self, link: Link) -> bool:
        self._misfits = 0
        try:
            return await link.run(self._shared, self._ready.set)
        finally:
            link.close()

    async def _catch_up(self, place: Place) -> bool:
        """Reads what the leader no longer has, or never had, up to where it knows this worker's
        place."""
        shared = self._shared
        reader = await shared.binding.feed.open(start_after(place))
        try:
            if reader.epoch != place.epoch:
                shared.begin_history(reader.epoch, is_first=False)
                return False
            while True:
                await shared.accept(await reader.read())
                link = await open_link(self._socket(), shared)
                if not link.is_behind:
                    break
                link.close()
        finally:
            await close_reader(reader)
        return await self._run_link(link)
