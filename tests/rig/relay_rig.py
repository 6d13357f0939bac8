"""Several workers in one process: hubs that share a folder, and one upstream behind them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from feed_rig import KEYS, FeedRig, Listener, ScriptedFeed, encode

from interlaced.core.clock import LoopClock
from interlaced.core.cursor import CursorCodec
from interlaced.core.feed import Hub, HubSettings
from interlaced.core.frame import Wishes
from interlaced.core.model import Event
from interlaced.core.shared_feed import SharedFeed
from interlaced.relay.intake import RelayIntake
from interlaced.testing.fakes import FakeObserver

__all__ = ["hear", "settled", "stop", "until", "worker", "workers"]


async def worker(folder: Path, feed: ScriptedFeed, *, seed: int = 1, **changes: object) -> FeedRig:
    """One worker's hub over `feed`; changes go to HubSettings (prefix `s_`) or the binding."""
    settings = {name[2:]: value for name, value in changes.items() if name.startswith("s_")}
    bindings = {name: value for name, value in changes.items() if not name.startswith("s_")}
    encoded: list[bytes] = []
    observer = FakeObserver()

    def counting(one: Event) -> bytes:
        encoded.append(one.data)
        return encode(one)

    def intake(shared: SharedFeed) -> RelayIntake:
        return RelayIntake(shared, folder=folder, random=Random(seed))

    hub = Hub(
        clock=LoopClock(),
        random=Random(seed),
        observer=observer,
        encode=counting,
        cursors=CursorCodec(KEYS),
        settings=HubSettings(**settings),  # type: ignore[arg-type]  # tests name real fields
    )
    hub.relay(intake)
    rig = FeedRig(LoopClock(), feed, hub, observer, encoded)
    await hub.swap({"up.Ticks": rig.binding(**bindings)})
    return rig


@asynccontextmanager
async def workers(
    folder: Path, feed: ScriptedFeed, count: int = 2, **changes: object
) -> AsyncIterator[list[FeedRig]]:
    """So many workers; the first to listen leads."""
    rigs = [await worker(folder, feed, seed=seed, **changes) for seed in range(1, count + 1)]
    try:
        yield rigs
    finally:
        for rig in rigs:
            await rig.hub.close()


async def until(is_so: Callable[[], bool], limit: float = 10.0) -> None:
    """Waits until something has come about."""
    async with asyncio.timeout(limit):
        while not is_so():
            await asyncio.sleep(0.002)


async def hear(rig: FeedRig, wishes: Wishes | None = None) -> Listener:
    """A subscriber of this worker that has had its first frame."""
    await rig.hub.find("up.Ticks").prepare(wishes or Wishes())
    listener = Listener(rig, wishes)
    await until(lambda: bool(listener.frames) or listener.task.done())
    return listener


async def settled(*listeners: Listener, got: list[int]) -> None:
    """Waits until each has heard exactly this."""
    for listener in listeners:
        await until(lambda one=listener: len(one.got) >= len(got))  # type: ignore[misc]  # bound
        assert listener.got == got


async def stop(rig: FeedRig) -> None:
    """Ends a worker as its death does for the others: its socket closes, its lock is free."""
    await rig.hub.close()
