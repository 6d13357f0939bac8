"""Whatever order workers come and go in: nothing is repeated, and what is lost is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from feed_rig import FeedRig, Listener, ScriptedFeed, numbers
from relay_rig import hear, until, worker

from interlaced.core.frame import FrameKind


class Churn:
    """Three workers over one feed, of which any may end at any time."""

    def __init__(self, folder: Path, seed: int, *, replays: bool) -> None:
        self.random = Random(seed)
        self.folder = folder
        self.feed = ScriptedFeed(replays=replays)
        self.workers: list[FeedRig] = []
        self.heard: list[Listener] = []
        self.alive: dict[int, list[Listener]] = {}
        self.next = 0

    async def start(self, seat: int) -> None:
        rig = await worker(self.folder, self.feed, seed=self.random.randrange(1000))
        self.workers[seat : seat + 1] = [rig]
        await self.listen(seat, is_new=True)

    async def listen(self, seat: int, *, is_new: bool = False) -> None:
        listener = await hear(self.workers[seat])
        self.heard.append(listener)
        self.alive[seat] = [listener, *([] if is_new else self.alive[seat])]

    async def step(self) -> None:
        what, seat = self.random.random(), self.random.randrange(3)
        if what < 0.6:
            count = self.random.randint(1, 5)
            self.feed.publish(*range(self.next, self.next + count))
            self.next += count
        elif what < 0.75:
            await asyncio.sleep(self.random.random() * 0.02)
        elif what < 0.85:
            await self.workers[seat].hub.close()
            await self.start(seat)
        elif what < 0.95:
            await self.listen(seat)
        else:
            self.feed.drop_connections()

    async def run(self, steps: int) -> None:
        for seat in range(3):
            self.workers.append(await worker(self.folder, self.feed, seed=seat))
            await self.start(seat)
        for _ in range(steps):
            await self.step()
        await until(lambda: len(self.feed.readers) == 1)
        living = [listener for each in self.alive.values() for listener in each]
        while not all(one.got and one.got[-1] == self.next - 1 for one in living):
            await asyncio.sleep(0.05)
            self.feed.publish(self.next)
            self.next += 1
            await asyncio.sleep(0.05)
        for rig in self.workers:
            await rig.hub.close()


def told(listener: Listener) -> list[int | None]:
    """Numbers in order, None for a gap."""
    found: list[int | None] = []
    for frame in listener.frames:
        if frame.kind is FrameKind.BATCH:
            found += numbers(frame)
        elif frame.kind is FrameKind.GAP:
            found.append(None)
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_where_the_source_replays_nothing_is_lost_or_repeated(
    tmp_path: Path, seed: int
) -> None:
    churn = Churn(tmp_path, seed, replays=True)
    async with asyncio.timeout(60):
        await churn.run(80)
    for listener in churn.heard:
        got = told(listener)
        while got and got[0] is None:
            del got[0]  # a worker that has seen nothing yet cannot say from where it goes on
        first = got[0] or 0 if got else 0
        assert got == list(range(first, first + len(got)))


@pytest.mark.parametrize("seed", range(4))
async def test_where_it_does_not_what_is_lost_is_told(tmp_path: Path, seed: int) -> None:
    churn = Churn(tmp_path, seed, replays=False)
    async with asyncio.timeout(60):
        await churn.run(80)
    for listener in churn.heard:
        last: int | None = None
        for number in told(listener):
            assert number is None or last is None or number == last + 1, told(listener)
            last = number
        got = [number for number in told(listener) if number is not None]
        assert got == sorted(set(got))
