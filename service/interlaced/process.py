"""One serving process: its signals, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from interlaced.app import App
from interlaced.settings import Settings

__all__ = ["serve_forever", "stop_signal"]


async def serve_forever(settings: Settings, ports_file: Path | None) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads."""
    app = App(settings, environment=os.environ)
    addresses = await app.start()
    async with stop_signal(app) as stopped:
        if ports_file is not None:
            addresses.write(ports_file)
        await stopped.wait()
    await app.stop()


@contextlib.asynccontextmanager
async def stop_signal(app: App) -> AsyncIterator[asyncio.Event]:
    """Yields an event that SIGTERM and SIGINT set; SIGHUP reloads. A second SIGTERM or SIGINT ends
    the process at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    reloads: set[asyncio.Task[dict[str, object]]] = set()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def reload() -> None:
        task = loop.create_task(app.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield stopped
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        await asyncio.gather(*reloads, return_exceptions=True)
