from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from interlaced.core.tasks import TaskOwner, end_tasks, outlast

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="nobody's")


class Diary(TaskOwner):
    """Notes what it does, and when the one before has ended."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    async def _run(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        self.notes.append(REQUEST.get())
        try:
            await asyncio.Event().wait()
        finally:
            self.notes.append("ended")


async def stubborn(released: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await released.wait()


async def test_every_task_is_done_when_it_returns() -> None:
    tasks = [asyncio.ensure_future(asyncio.sleep(60)) for _ in range(3)]
    tasks.append(asyncio.ensure_future(asyncio.sleep(0)))
    await asyncio.sleep(0.01)
    await end_tasks(tasks)
    assert all(task.done() for task in tasks)
    assert [task.cancelled() for task in tasks] == [True, True, True, False]


async def test_a_cancel_meanwhile_is_raised_only_when_nothing_is_left() -> None:
    released = asyncio.Event()
    task = asyncio.ensure_future(stubborn(released))
    await asyncio.sleep(0)
    ending = asyncio.ensure_future(end_tasks([task]))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.sleep(0)
    assert not ending.done()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await ending
    assert task.done()


async def test_outlasting_cancels_nothing_and_is_not_cut_short() -> None:
    released = asyncio.Event()
    task = asyncio.ensure_future(released.wait())
    waiting = asyncio.ensure_future(outlast([task]))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    assert not waiting.done()
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert task.result() is True


async def test_an_owned_task_begins_after_the_one_before_and_ends_with_stop() -> None:
    diary, released = Diary(), asyncio.Event()
    before = asyncio.ensure_future(stubborn(released))
    diary.run(before)
    await asyncio.sleep(0)
    assert diary.notes == []
    before.cancel()
    released.set()
    await asyncio.wait([before])
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await diary.stop()
    assert diary.notes == ["nobody's", "ended"]


async def test_an_owned_task_knows_nothing_of_the_request_that_started_it() -> None:
    diary = Diary()
    REQUEST.set("the first subscriber's")
    diary.run()
    await asyncio.sleep(0)
    assert diary.notes == ["nobody's"]
    await diary.stop()


async def test_a_stop_returns_only_when_the_one_before_has_ended_too() -> None:
    released = asyncio.Event()

    async def wait() -> None:
        await released.wait()

    stopping = asyncio.ensure_future(Diary().stop(asyncio.ensure_future(wait())))
    await asyncio.sleep(0)
    assert not stopping.done()
    released.set()
    await stopping
