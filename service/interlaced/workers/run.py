"""A group of workers from start to end, with the signals of the supervisor's process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Iterator
from pathlib import Path

from interlaced.core.tasks import end_tasks
from interlaced.process import stop_signal, write_addresses
from interlaced.workers.supervisor import Supervisor

__all__ = ["supervise"]


async def supervise(supervisor: Supervisor, ports_file: Path | None) -> None:
    """Runs a group that is not started yet until SIGTERM or SIGINT, and drains all its workers;
    SIGHUP reloads them. `ports_file` is written once every worker serves.

    Raises what `Supervisor.start` and `Supervisor.watch` raise, and SettingsError where the file
    cannot be written; whatever happens, no worker is left.
    """
    # The signals are watched to the very end: a SIGHUP in mid-drain would kill the process.
    async with stop_signal(supervisor) as stopped:
        if await _is_stopped_before(supervisor.start(), stopped):
            return
        try:
            if ports_file is not None and supervisor.addresses is not None:
                write_addresses(supervisor.addresses, ports_file)
            await _is_stopped_before(supervisor.watch(), stopped)
        finally:
            with _cut_by_a_second_signal(supervisor):
                await supervisor.stop()


async def _is_stopped_before(work: Awaitable[object], stopped: asyncio.Event) -> bool:
    """Runs `work` until it is done or the process is told to stop; raises what `work` raises."""
    working = asyncio.ensure_future(work)
    stop = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait((working, stop), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            return True
        working.result()
        return False
    finally:
        await end_tasks((working, stop))


@contextlib.contextmanager
def _cut_by_a_second_signal(supervisor: Supervisor) -> Iterator[None]:
    """Lets a second SIGTERM or SIGINT end this process at once, and every worker before it."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def cut(number: signal.Signals) -> None:
        supervisor.kill()
        for each in numbers:
            loop.remove_signal_handler(each)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in numbers:
        loop.add_signal_handler(number, cut, number)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
