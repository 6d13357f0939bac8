from __future__ import annotations

import asyncio

import pytest

from interlaced.core.tasks import end_tasks, outlast


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
