"""The loop's clock and the limit on a block."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref

import pytest

from interlaced.core.clock import Alarm, CurrentTask, LoopClock, SharedTimer, TimeLimit
from interlaced.testing.clock import VirtualClock


def test_a_limit_ends_a_block_at_its_time() -> None:
    clock = VirtualClock()

    async def main() -> float:
        start = clock.now()
        with pytest.raises(TimeoutError), TimeLimit(clock, start + 5):
            await clock.sleep(60)
        return clock.now() - start

    assert clock.run(main()) == 5


def test_a_block_that_ends_in_time_leaves_no_timer() -> None:
    clock = VirtualClock()

    async def main() -> None:
        with TimeLimit(clock, clock.now() + 5) as limit:
            await clock.sleep(1)
        await clock.sleep(60)
        assert not limit.is_over

    clock.run(main())


def test_a_cancellation_from_elsewhere_is_passed_on_also_when_the_limit_is_over() -> None:
    clock = VirtualClock()

    async def wait() -> None:
        with TimeLimit(clock, clock.now() + 5):
            await clock.sleep(60)

    async def main() -> None:
        task = asyncio.create_task(wait())
        clock.call_at(clock.now() + 5, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    clock.run(main())


def test_limits_nest_and_the_inner_one_does_not_end_the_outer() -> None:
    clock = VirtualClock()

    async def main() -> None:
        with TimeLimit(clock, clock.now() + 10):
            with pytest.raises(TimeoutError), TimeLimit(clock, clock.now() + 2):
                await clock.sleep(60)
            await clock.sleep(3)

    clock.run(main())


async def test_the_loops_clock_moves_with_the_loops_timers() -> None:
    clock = LoopClock()
    before = clock.now()
    await clock.sleep(0.01)
    called = asyncio.Event()
    clock.call_at(clock.now() + 0.01, called.set)
    await called.wait()
    assert clock.now() - before >= 0.019, "a loop may round its timers to a millisecond"
    assert clock.wall() > 1_700_000_000


def test_one_clock_serves_one_loop_after_the_other() -> None:
    clock = LoopClock()
    fired: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        done = asyncio.Event()
        clock.call_at(clock.now() + seconds, lambda: (fired.append(name), done.set()))
        if name == "stays":
            await done.wait()

    asyncio.run(wait("leaves", 60.0))
    asyncio.run(wait("stays", 0.01))
    assert fired == ["stays"], "what a closed loop left behind rings on no other"


def test_an_alarm_rings_at_what_was_set_last_and_can_be_set_again() -> None:
    clock = VirtualClock()

    async def main() -> list[float]:
        rung: list[float] = []
        alarm = Alarm(clock, CurrentTask()())
        start = clock.now()
        alarm.set(start + 1)
        alarm.set(start + 3)
        for _ in range(2):
            try:
                await clock.sleep(60)
            except asyncio.CancelledError:
                assert alarm.claim()
                rung.append(clock.now() - start)
                alarm.set(clock.now() + 5)
        alarm.off()
        await clock.sleep(60)
        return rung

    assert clock.run(main()) == [3, 8]


def test_an_alarm_leaves_a_cancellation_from_elsewhere_alone() -> None:
    clock = VirtualClock()
    claims: list[bool] = []

    async def wait() -> None:
        alarm = Alarm(clock, CurrentTask()())
        alarm.set(clock.now() + 5)
        try:
            await clock.sleep(60)
        except asyncio.CancelledError:
            claims.append(alarm.claim())
            raise
        finally:
            alarm.off()

    async def main() -> None:
        early, both = asyncio.create_task(wait()), asyncio.create_task(wait())
        clock.call_at(clock.now() + 1, early.cancel)
        clock.call_at(clock.now() + 5, both.cancel)
        await asyncio.wait([early, both])
        assert early.cancelled()
        assert both.cancelled()

    clock.run(main())
    assert claims == [False, False]


def test_a_shared_timer_rings_at_the_soonest_and_then_only_for_what_is_asked_anew() -> None:
    clock = VirtualClock(start=0.0)
    rung: list[float] = []
    timer = SharedTimer(clock)

    def ring() -> None:
        rung.append(clock.now())

    async def main() -> None:
        for when in (5.0, 3.0, 4.0):
            timer.ask(when, ring)
        assert timer.when == 3.0
        await clock.sleep(10)
        assert (rung, timer.when) == ([3.0], math.inf)
        timer.ask(12.0, ring)
        timer.off()
        timer.off()
        await clock.sleep(10)
        timer.ask(25.0, ring)
        await clock.sleep(10)
        assert rung == [3.0, 25.0]

    clock.run(main())


def test_a_shared_timer_keeps_nobody_once_it_is_off_or_has_rung() -> None:
    clock = VirtualClock(start=0.0)

    class Owner:
        def __init__(self) -> None:
            self.timer = SharedTimer(clock)
            self.timer.ask(1.0, self.ring)

        def ring(self) -> None:
            """Is rung."""

    async def main() -> None:
        gc.disable()
        try:
            off, rung = Owner(), Owner()
            off.timer.off()
            await clock.sleep(2)
            kept = [weakref.ref(off), weakref.ref(rung)]
            del off, rung
            assert [each() for each in kept] == [None, None], "without the collector"
        finally:
            gc.enable()

    clock.run(main())


def test_the_current_task_is_found_on_each_loop_and_outside_there_is_none() -> None:
    current = CurrentTask()

    async def main() -> bool:
        inner = asyncio.create_task(_own(current))
        return current() is asyncio.current_task() and await inner is inner

    assert asyncio.run(main())
    assert asyncio.run(main()), "a loop that has ended is forgotten"
    loop = asyncio.new_event_loop()
    failed: list[bool] = []

    def look() -> None:
        try:
            current()
        except RuntimeError:
            failed.append(True)
        loop.stop()

    loop.call_soon(look)
    loop.run_forever()
    loop.close()
    assert failed == [True]


async def _own(current: CurrentTask) -> object:
    return current()
