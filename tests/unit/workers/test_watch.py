from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.core.tasks import end_tasks
from interlaced.settings import Settings
from interlaced.testing.clock import VirtualClock
from interlaced.workers.keeper import Keeper, State
from interlaced.workers.orders import Order
from interlaced.workers.watch import Watch

ORDER = Order(Settings(config=(Path("x"),)), "json", "info")


class Seat(Keeper):
    """A seat whose worker is only a number."""

    number: int | None = 1
    killed = 0

    @property
    def pid(self) -> int | None:
        return self.number

    def kill(self) -> None:
        self.killed += 1
        self.clock.call_at(self.clock.now() + 0.01, self.end)

    def end(self) -> None:
        self.state = State.DOWN


class Worker:
    """Answers at once, never, or not as it should."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.is_silent = False
        self.is_closed = False
        self.is_beyond_reach = False
        self.asked: list[float] = []

    async def is_alive(self, seconds: float) -> bool:
        self.asked.append(self.clock.now())
        if self.is_beyond_reach:
            raise Failure(Reason.INTERNAL_ERROR, "no descriptor left")
        if self.is_silent:
            await self.clock.sleep(seconds)
        return not (self.is_silent or self.is_closed)


Scene = Callable[[VirtualClock, Seat, Worker], Coroutine[Any, Any, None]]


def play(scene: Scene) -> None:
    """Runs a scene in virtual time beside a watch with a limit of 15 seconds."""
    clock = VirtualClock(start=0.0)

    async def main() -> None:
        seat = Seat(index=0, order=ORDER, clock=clock, judge=lambda *_: None, longest_start=60.0)
        seat.state = State.SERVING
        worker = Worker(clock)
        task = asyncio.create_task(Watch(seat, worker, clock, 15.0).run())
        await scene(clock, seat, worker)
        assert not task.done()
        await end_tasks((task,))

    clock.run(main())


def test_who_answers_is_asked_again_and_again() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        await clock.sleep(31)
        assert worker.asked == [5, 10, 15, 20, 25, 30]
        assert seat.killed == 0

    play(scene)


@pytest.mark.parametrize("how", ["is_silent", "is_closed"])
def test_a_worker_that_answers_nothing_is_killed_within_its_time_and_not_before(how: str) -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        await clock.sleep(6)
        setattr(worker, how, True)
        await clock.sleep(13)
        assert seat.killed == 0
        await clock.sleep(7)
        assert seat.killed == 1
        await clock.sleep(60)
        assert seat.killed == 1, "a seat that is down is left to its keeper"

    play(scene)


def test_one_answer_in_between_is_enough() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        for _ in range(5):
            worker.is_silent = True
            await clock.sleep(12)
            worker.is_silent = False
            await clock.sleep(6)
        assert seat.killed == 0

    play(scene)


def test_the_next_worker_does_not_pay_for_the_last_one() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        worker.is_silent = True
        await clock.sleep(17)  # in the midst of the third question
        seat.number = 2
        await clock.sleep(15)
        assert seat.killed == 0
        await clock.sleep(8)
        assert seat.killed == 1

    play(scene)


def test_what_keeps_the_watcher_from_asking_costs_nobodys_life() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        worker.is_beyond_reach = True
        await clock.sleep(601)
        assert (seat.killed, len(worker.asked)) == (0, 120)
        worker.is_beyond_reach, worker.is_silent = False, True
        await clock.sleep(20)
        assert seat.killed == 1

    play(scene)


def test_a_worker_that_is_starting_is_not_asked() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        worker.is_silent = True
        seat.state = State.STARTING
        await clock.sleep(60)
        assert (worker.asked, seat.killed) == ([], 0)

    play(scene)


def test_a_watcher_that_stood_still_kills_nobody() -> None:
    async def scene(clock: VirtualClock, seat: Seat, worker: Worker) -> None:
        worker.is_silent = True
        await clock.sleep(7)
        clock._now += 3600
        worker.is_silent = False
        await clock.sleep(60)
        assert seat.killed == 0

    play(scene)
