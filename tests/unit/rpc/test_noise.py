from __future__ import annotations

import asyncio
from typing import Any

from interlaced.rpc.noise import silence_poller


class Handle:
    def __repr__(self) -> str:
        return "<Handle PollerCompletionQueue._handle_events()>"


async def test_only_the_pollers_complaint_is_dropped() -> None:
    """P14: everything else goes where it went before."""
    heard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: heard.append(context))
    silence_poller(loop)
    silence_poller(loop)
    loop.call_exception_handler({"exception": BlockingIOError(), "handle": Handle()})
    assert heard == []
    loop.call_exception_handler({"message": "a", "exception": BlockingIOError()})
    loop.call_exception_handler({"message": "b", "exception": OSError(), "handle": Handle()})
    assert [context["message"] for context in heard] == ["a", "b"]
