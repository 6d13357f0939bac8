"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["end_tasks", "outlast"]


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
