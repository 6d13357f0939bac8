"""The pool of idle connections, in virtual time."""

from __future__ import annotations

import math

from interlaced.testing.clock import VirtualClock
from interlaced.transport.http_pool import MOST_IDLE, Pool
from interlaced.transport.http_wire import Wire


class Idle(Wire):
    """A wire that is open until it is dropped."""

    def __init__(self, idle_limit: float = math.inf) -> None:
        self.is_open = True
        self.idle_limit = idle_limit

    def drop(self) -> None:
        self.is_open = False


def test_the_freshest_is_used_first_and_the_rest_grow_old() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 4.0)
    first, second = Idle(), Idle()

    async def main() -> None:
        pool.put(first)
        await clock.sleep(3)
        pool.put(second)
        assert pool.take() is second
        pool.put(second)
        await clock.sleep(2)
        assert not first.is_open
        assert pool.take() is second
        assert pool.take() is None
        pool.close()

    clock.run(main())


def test_what_is_too_old_is_not_used_even_if_its_timer_is_late() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 4.0)
    wire = Idle()

    async def main() -> None:
        pool.put(wire)
        wire.stale_at -= 5
        assert pool.take() is None
        assert not wire.is_open
        pool.close()

    clock.run(main())


def test_a_server_that_keeps_connections_for_less_is_believed() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 4.0)
    usual, short, never = Idle(60.0), Idle(1.0), Idle(0.0)

    async def main() -> None:
        pool.put(usual)
        pool.put(short)
        await clock.sleep(0.9)
        assert pool.take() is short
        pool.put(short)
        await clock.sleep(1.1)
        assert pool.take() is usual
        assert not short.is_open
        pool.put(never)
        assert pool.take() is None
        pool.close()

    clock.run(main())


def test_what_is_stale_is_closed_in_its_time_and_takes_nobodys_place() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 60.0)
    long, short = Idle(), Idle(1.0)
    rest = [Idle(2.0) for _ in range(MOST_IDLE - 2)]

    async def main() -> None:
        pool.put(long)  # whose end is far away, and in front
        for wire in (short, *rest):
            pool.put(wire)
        await clock.sleep(1.5)
        assert not short.is_open
        assert all(wire.is_open for wire in rest)
        await clock.sleep(1)
        assert not any(wire.is_open for wire in rest)
        assert pool.take() is long
        pool.put(long)
        pool.close()
        assert pool.take() is None

    clock.run(main())


def test_what_was_closed_meanwhile_is_passed_over() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 4.0)
    well, lost, never = Idle(), Idle(), Idle()

    async def main() -> None:
        never.drop()
        for wire in (well, lost, never):
            pool.put(wire)
        lost.drop()
        assert len(pool) == 2
        assert pool.take() is well
        pool.close()

    clock.run(main())


def test_it_keeps_so_many_and_no_more() -> None:
    clock = VirtualClock()
    pool = Pool(clock, 4.0)
    wires = [Idle() for _ in range(MOST_IDLE + 1)]

    async def main() -> None:
        for wire in wires:
            pool.put(wire)
        assert len(pool) == MOST_IDLE
        assert not wires[-1].is_open
        await clock.sleep(5)
        assert len(pool) == 0
        assert not any(wire.is_open for wire in wires)

    clock.run(main())
