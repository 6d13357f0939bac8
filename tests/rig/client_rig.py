"""What tests of the client share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from interlace import Reconnect

__all__ = ["QUICK", "until"]

QUICK = Reconnect(initial=0.01, maximum=0.05, patience=20.0)


async def until(condition: Callable[[], bool]) -> None:
    """Waits until something is so, at most 10 s."""
    async with asyncio.timeout(10):
        while not condition():  # what is waited for has no event of its own
            await asyncio.sleep(0.002)
