"""Owning tasks, and ending them for certain."""

from __future__ import annotations

import abc
import asyncio
import contextvars
from collections.abc import Iterable
from typing import Any

__all__ = ["TaskOwner", "end_tasks", "outlast"]


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks and returns once every one is done; what they raised stays in them.

    A cancellation of the caller meanwhile is raised only then, so that nothing is left behind.
    """
    pending = {task for task in tasks if not task.done()}
    for task in pending:
        task.cancel()
    await outlast(pending)


async def outlast(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Returns once every task is done; what they raised stays in them.

    A cancellation of the caller meanwhile is raised only then.
    """
    pending = {task for task in tasks if not task.done()}
    cancelled: asyncio.CancelledError | None = None
    while pending:
        try:
            _, pending = await asyncio.wait(pending)
        except asyncio.CancelledError as error:
            cancelled = error
            pending = {task for task in pending if not task.done()}
    if cancelled is not None:
        raise cancelled


class TaskOwner(abc.ABC):
    """Owns one task, which starts and stops in turn with another: `before`, which ends whatever
    did the same work earlier."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def run(self, before: asyncio.Task[None] | None = None) -> None:
        """Starts the work once `before` is done."""
        # In a context of its own: it outlives whoever happened to come first, and must not log
        # with that one's request id.
        context = contextvars.Context()
        self._task = asyncio.create_task(self._run(before), context=context)

    async def stop(self, before: asyncio.Task[None] | None = None) -> None:
        """Ends the work, and awaits `before`."""
        if self._task is not None:
            await end_tasks([self._task])
        if before is not None:
            await before

    @abc.abstractmethod
    async def _run(self, before: asyncio.Task[None] | None) -> None:
        """Waits for `before` and does the work."""
