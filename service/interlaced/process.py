"""One serving process: its signals, from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

from interlaced.app import Addresses, App
from interlaced.core.failure import Failure
from interlaced.settings import Settings, SettingsError
from interlaced.telemetry.log import log

__all__ = [
    "Reloads",
    "run_until_stopped",
    "serve_forever",
    "settled_memory",
    "stop_signal",
    "write_addresses",
]


_YOUNG = 10_000
"""How many more objects are made than freed before a collection; Python's own number is 700."""


class Reloads(Protocol):
    """What a SIGHUP reaches."""

    async def reload(self) -> object:
        """Reads the configuration again."""


async def serve_forever(settings: Settings, ports_file: Path | None) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads."""
    await run_until_stopped(App(settings, environment=os.environ), ports_file)


async def run_until_stopped(
    app: App, ports_file: Path | None, *, greet: Callable[[Addresses], None] | None = None
) -> None:
    """Runs an app that is not started yet, until SIGTERM or SIGINT, and stops it whatever happens.

    `ports_file` is written, and `greet` is called, once everything is bound. Raises what
    `App.start` raises, and SettingsError where the file cannot be written.
    """
    addresses = await app.start()
    async with contextlib.AsyncExitStack() as stack:
        # The signals are watched to the very end: a SIGHUP in mid-drain would kill the process.
        stopped = await stack.enter_async_context(stop_signal(app))
        stack.push_async_callback(app.stop)
        if ports_file is not None:
            write_addresses(addresses, ports_file)
        if greet is not None:
            greet(addresses)
        with settled_memory():
            await stopped.wait()


@contextlib.contextmanager
def settled_memory() -> Iterator[None]:
    """Sets what the boot made aside, where no collection looks at it any more, and lets the young
    generation grow larger while it serves: calls leave hardly any circles behind."""
    before, was_enabled = gc.get_threshold(), gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *before[1:])
    gc.enable()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
        if not was_enabled:
            gc.disable()


@contextlib.asynccontextmanager
async def stop_signal(app: Reloads) -> AsyncIterator[asyncio.Event]:
    """Yields an event that SIGTERM and SIGINT set; SIGHUP reloads until then. A second SIGTERM or
    SIGINT ends the process at once."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def reload() -> None:
        if stopped.is_set():
            return
        task = loop.create_task(_reload(app))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield stopped
    finally:
        for task in reloads:
            task.cancel()
        await asyncio.gather(*reloads, return_exceptions=True)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def _reload(app: Reloads) -> None:
    """Reloads; nobody awaits this, so that a bug is told here or nowhere."""
    try:
        await app.reload()
    except Failure as failure:
        log.warning("config.not_reloaded", reason=failure.reason.value)
    except Exception as error:  # noqa: BLE001  # the border: the old configuration goes on serving
        log.error("config.failed", exc_info=error)


def write_addresses(addresses: Addresses, path: Path) -> None:
    """Writes the addresses for whoever started the process; raises SettingsError where it cannot
    be done."""
    try:
        addresses.write(path)
    except OSError as error:
        raise SettingsError(f"--ports-file {path}: cannot be written") from error
