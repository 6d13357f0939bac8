"""Interrupting a write that a slow peer does not take."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol

from interlaced.core.failure import Failure

__all__ = ["Writer", "Writing"]


class Writer(Protocol):
    """Whoever writes."""

    @property
    def ending(self) -> Failure | None:
        """What it ends with, once that is known."""
        ...

    def begin_write(self) -> None:
        """The peer is being written to; raises the Failure if it has ended already."""
        ...

    def end_write(self) -> None:
        """The peer has taken what was written, or will not."""
        ...


class Writing:
    """Marks a block in which a writer's peer is being written to, and interrupts it.

    An interrupt cancels the task inside the block and comes out as the writer's failure; a
    cancellation from elsewhere is passed on, also when both happen.
    """

    __slots__ = ("_cancelling", "_is_interrupted", "_task", "_writer")

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._task: asyncio.Task[object] | None = None
        self._is_interrupted = False
        self._cancelling = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a writer needs a task")
        self._writer.begin_write()
        self._task = task
        self._cancelling = task.cancelling()

    def interrupt(self) -> None:
        """Ends the block, if one is open."""
        if self._task is not None and not self._is_interrupted:
            self._is_interrupted = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        self._writer.end_write()
        if not self._is_interrupted or task is None:
            return
        self._is_interrupted = False
        failure = self._writer.ending
        is_ours = task.uncancel() <= self._cancelling
        if failure is not None and is_ours and kind in (None, asyncio.CancelledError):
            raise failure from error
