"""The virtual clock itself."""

from __future__ import annotations

import asyncio

import pytest

from interlaced.testing.clock import VirtualClock


def test_waits_take_no_time_and_keep_their_order() -> None:
    clock = VirtualClock()
    seen: list[str] = []

    async def wait(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        seen.append(name)

    async def main() -> None:
        await asyncio.gather(wait("late", 3600), wait("soon", 1), wait("next", 1))

    clock.run(main())
    assert seen == ["soon", "next", "late"]
    assert clock.now() == 4600


def test_waiting_for_nothing_is_an_error_and_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing left to wait for"):
        VirtualClock().run(main())


def test_the_time_of_day_can_jump_without_moving_the_timers() -> None:
    clock = VirtualClock()
    before = clock.wall()
    clock.jump_wall(-3600)
    assert clock.wall() == before - 3600
    assert clock.now() == 1000


def test_a_cancelled_timer_does_not_fire() -> None:
    clock = VirtualClock()
    fired: list[int] = []

    async def main() -> None:
        clock.call_at(clock.now() + 1, lambda: fired.append(1)).cancel()
        clock.call_at(clock.now() + 2, lambda: fired.append(2))
        await clock.sleep(5)

    clock.run(main())
    assert fired == [2]
