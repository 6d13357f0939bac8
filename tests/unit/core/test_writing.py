"""An interrupted write comes out as the writer's failure; a real cancellation stays one."""

from __future__ import annotations

import asyncio

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.core.writing import Writing


class Peer:
    """A writer whose peer never reads."""

    def __init__(self) -> None:
        self.ending: Failure | None = None
        self.writing = Writing(self)
        self.writes = 0

    def begin_write(self) -> None:
        self.writes += 1

    def end_write(self) -> None:
        self.writes -= 1

    def end(self) -> None:
        self.ending = Failure(Reason.SLOW_CONSUMER, "too slow")
        self.writing.interrupt()

    async def write(self) -> None:
        with self.writing:
            await asyncio.get_running_loop().create_future()


async def test_a_blocked_write_ends_with_the_failure_and_the_task_lives() -> None:
    peer = Peer()

    async def handler() -> int:
        with pytest.raises(Failure) as caught:
            await peer.write()
        assert caught.value.reason is Reason.SLOW_CONSUMER
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return task.cancelling()

    task = asyncio.create_task(handler())
    await asyncio.sleep(0)
    peer.end()
    peer.end()
    assert await task == 0
    assert peer.writes == 0


async def test_a_cancellation_from_elsewhere_is_passed_on_also_when_both_happen() -> None:
    for both in (False, True):
        peer = Peer()
        task = asyncio.create_task(peer.write())
        await asyncio.sleep(0)
        if both:
            peer.end()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert peer.writes == 0


async def test_without_an_open_write_nothing_is_interrupted() -> None:
    peer = Peer()
    peer.end()
    await asyncio.sleep(0)
    with peer.writing:
        assert peer.writes == 1
        await asyncio.sleep(0)
    assert peer.writes == 0
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
