from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from grpc._cython import cygrpc

from interlaced.rpc.batches import finish_batches


class Functor:
    """What gRPC calls once a batch is complete: it completes the future, unless that is done."""

    def __init__(self, future: Any, loop: Any) -> None:
        self.future = future
        self.loop = loop

    def complete(self, success: int = 1) -> None:
        """What the poller does: the loop is not the one that it knows, so it is asked."""
        self.loop.call_soon_threadsafe(run, self, success)


def run(functor: Functor, success: int) -> None:
    if not functor.future.cancelled():
        functor.future.set_result(success)


class Core:
    """Stands for `execute_batch` as it is compiled: it frees only behind a wait that went well."""

    def __init__(self, breaks: Exception | None = None) -> None:
        self.functors: list[Functor] = []
        self.freed = 0
        self.breaks = breaks

    async def execute(self, _call: object, _operations: tuple[Any, ...], loop: Any) -> None:
        future = loop.create_future()
        self.functors.append(Functor(future, loop))
        await future
        self.freed += 1
        if self.breaks is not None:
            raise self.breaks


def installed(core: Core, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[None]]:
    """Puts the fake in, under what is tested; returns what gRPC's code finds."""
    monkeypatch.setattr(cygrpc, "execute_batch", core.execute)
    finish_batches()
    execute: Callable[..., Awaitable[None]] = cygrpc.execute_batch
    return execute


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def execute(core: Core, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[None]]:
    return installed(core, monkeypatch)


def begin(execute: Callable[..., Awaitable[None]], operation: object) -> asyncio.Task[None]:
    async def wait() -> None:
        await execute(None, (operation,), asyncio.get_running_loop())

    return asyncio.ensure_future(wait())


async def test_a_batch_that_goes_well_ends_and_is_freed(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    task = begin(execute, object())
    await asyncio.sleep(0)
    assert not task.done()
    core.functors[0].complete()
    await task
    assert core.freed == 1


async def test_a_batch_that_nobody_waits_for_is_freed_once_grpc_is_through_with_it(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    task = begin(execute, object())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert core.freed == 0  # gRPC still writes into it
    core.functors[0].complete()
    assert core.freed == 1


async def test_a_cancellation_that_comes_with_the_completion_frees_too(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    """Both wake the task in the same turn of the loop; the usual case with a caller that left."""
    task = begin(execute, object())
    await asyncio.sleep(0)
    core.functors[0].complete()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert core.freed == 1


async def test_a_batch_that_fails_raises_what_grpc_would_and_is_freed(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    task = begin(execute, object())
    await asyncio.sleep(0)
    core.functors[0].complete(0)
    with pytest.raises(cygrpc.ExecuteBatchError):
        await task
    assert core.freed == 1


async def test_a_result_that_cannot_be_read_reaches_who_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    core = Core(breaks=UnicodeDecodeError("utf-8", b"", 0, 1, "no text"))
    task = begin(installed(core, monkeypatch), object())
    await asyncio.sleep(0)
    core.functors[0].complete()
    with pytest.raises(UnicodeDecodeError):
        await task


async def test_a_completion_that_another_thread_hears_comes_back_to_the_loop(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    task = begin(execute, object())
    await asyncio.sleep(0)
    other = threading.Thread(target=core.functors[0].complete)
    other.start()
    other.join()
    assert core.freed == 0
    await task
    assert core.freed == 1


async def test_the_batch_that_waits_for_the_end_of_an_rpc_stays_as_it_is(
    core: Core, execute: Callable[..., Awaitable[None]]
) -> None:
    task = begin(execute, cygrpc.ReceiveCloseOnServerOperation(0))
    await asyncio.sleep(0)
    assert core.functors[0].loop is asyncio.get_running_loop()
    core.functors[0].future.set_result(None)
    await task


def test_doing_it_twice_or_without_the_function_does_nothing(
    monkeypatch: pytest.MonkeyPatch, execute: Callable[..., Awaitable[None]]
) -> None:
    finish_batches()
    assert cygrpc.execute_batch is execute
    monkeypatch.delattr(cygrpc, "execute_batch")
    finish_batches()
    assert not hasattr(cygrpc, "execute_batch")
