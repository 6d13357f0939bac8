"""Keeps one harmless complaint of gRPC's poller out of the loop's exception handler."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["silence_poller"]


def silence_poller(loop: asyncio.AbstractEventLoop) -> None:
    """Drops the BlockingIOError of gRPC's poller; everything else goes where it went before.

    All loops of a process share one wake-up socket: each wakes, one reads the byte, and the others
    complain (grpc#42357). It is fixed behind the pinned version. Doing it twice does nothing.
    """
    before = loop.get_exception_handler()
    if isinstance(before, _Quiet):
        return
    loop.set_exception_handler(_Quiet(before))


class _Quiet:
    """An exception handler in front of another."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if _is_poller_noise(context):
            return
        if self._before is None:
            loop.default_exception_handler(context)
        else:
            self._before(loop, context)


def _is_poller_noise(context: dict[str, Any]) -> bool:
    error = context.get("exception")
    return isinstance(error, BlockingIOError) and "PollerCompletionQueue" in repr(
        context.get("handle")
    )
