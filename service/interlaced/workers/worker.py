"""One worker: takes its order, serves until it is told to end, and says how its start went."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import uvloop

from interlaced.app import App
from interlaced.manifest.problem import ManifestError, render
from interlaced.process import settled_memory
from interlaced.rpc.server import BindError
from interlaced.settings import Settings, SettingsError
from interlaced.telemetry.log import configure, log
from interlaced.workers.orders import Order, Report

__all__ = ["main"]

_STDIN, _STDOUT, _STDERR = 0, 1, 2


def main() -> None:
    """Reads the order from stdin, reports on stdout, and serves.

    Afterwards stdout is what stderr is, and the end of stdin means that the supervisor has died:
    nobody watches the worker any more, so that it drains and ends.
    """
    order = Order.read(_read_line())
    answers = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    fields = {"worker": order.settings.seat.index}
    configure(style=order.log_style, level=order.log_level, fields=fields)
    report = _start(order.settings, answers)
    if report is not None:
        _tell(answers, report)
        sys.exit(1)


def _read_line() -> bytes:
    """Reads the order byte by byte: what follows it is the supervisor's end, and must stay."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(_STDIN, 1)
        if not byte:
            sys.exit("a worker is started by `interlace serve --workers`, not by hand")
        line += byte
    return bytes(line)


def _start(settings: Settings, answers: int) -> Report | None:
    """Serves to the end, or returns why that cannot be."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, answers))
    except SettingsError as error:
        return Report(is_serving=False, error=str(error), is_config=True)
    except BindError as error:
        return Report(is_serving=False, error=f"{error} (--port, --admin-port)")
    except ManifestError as error:
        lines = tuple(render(problem) for problem in error.problems)
        text = f"the configuration is invalid: {error}"
        return Report(is_serving=False, error=text, lines=lines, is_config=True)
    return None


async def _serve(settings: Settings, answers: int) -> None:
    app = App(settings, environment=os.environ)
    await app.start()
    try:
        stopped = _watch()
        _tell(answers, Report(is_serving=True))
        with settled_memory():
            await stopped.wait()
    finally:
        await app.stop()


def _watch() -> asyncio.Event:
    """Returns what is set once the worker is to drain.

    Asking twice changes nothing: whoever ends a service may signal every process of it, and the
    supervisor asks as well. It alone cuts a drain short, and it alone reloads, all or none.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def leave() -> None:
        loop.remove_reader(_STDIN)
        log.warning("worker.orphaned")
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, _ignore)
    loop.add_reader(_STDIN, leave)
    return stopped


def _ignore() -> None:
    """Does nothing, unlike the signal's default."""


def _tell(answers: int, report: Report) -> None:
    """Reports; a supervisor that is gone is found out elsewhere."""
    try:
        os.write(answers, report.write())
    except BrokenPipeError:
        log.warning("worker.unheard")
    finally:
        os.close(answers)
