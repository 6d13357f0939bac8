"""Keeps one seat of the group taken: starts a worker, watches it, and starts the next one."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from interlaced.core.backoff import Backoff
from interlaced.core.clock import TimeLimit
from interlaced.core.ports import Clock
from interlaced.telemetry.log import log
from interlaced.workers.orders import Order, Report

__all__ = ["Ending", "Keeper", "State"]

_PAUSE = Backoff(0.1, 30.0)
_SETTLED = 10.0
"""A worker that served so many seconds is no reason to wait longer before the next one."""
_LONGEST_REPORT = 8 * 1024 * 1024


class State(enum.StrEnum):
    """How a seat is."""

    STARTING = "starting"
    SERVING = "serving"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended: `code` as a process has it (negative for a signal), and `report` if it
    said why it could not start. `starts` counts those in a row that never came to serve."""

    code: int
    report: Report | None
    starts: int


@dataclass(kw_only=True, eq=False)
class Keeper:
    """One seat. `run` keeps it taken until `stop` is called or `judge` raises.

    `judge` hears of every worker that ended by itself, and may raise to give up; `changed` is
    called at each change of `state`. A worker that has not said how its start went in
    `longest_start` seconds is killed.
    """

    index: int
    order: Order
    clock: Clock
    judge: Callable[[Keeper, Ending], None]
    changed: Callable[[Keeper], None] = field(default=lambda _: None)
    longest_start: float
    state: State = field(default=State.DOWN, init=False)
    started: int = field(default=0, init=False)
    """How many workers were started."""
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _in_a_row: int = field(default=0, init=False)

    @property
    def pid(self) -> int | None:
        """The process of the seat's worker, while there is one."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Starts workers, one after the other; raises what `judge` raises. However it ends, no
        worker is left."""
        starts = 0
        try:
            while not self._stopping.is_set():
                report = await self._start()
                starts = 0 if self.state is State.SERVING else starts + 1
                since = self.clock.now()
                code = await self._wait()
                if self._stopping.is_set():
                    return
                is_settled = starts == 0 and self.clock.now() - since >= _SETTLED
                self._in_a_row = 0 if is_settled else self._in_a_row + 1
                self.judge(self, Ending(code, report, starts))
                await self._pause(_PAUSE.ceiling(max(0, self._in_a_row - 1)))
        finally:
            self.kill()
            await self._wait()

    def terminate(self) -> None:
        """Asks the worker to drain and end, and starts no other."""
        self._stopping.set()
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Ends the worker at once; another one takes the seat, unless none is to."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _start(self) -> Report | None:
        """Starts a worker and waits for its report; None where it ended without one."""
        self._show(State.STARTING)
        self.started += 1
        try:
            process = self._process = await _spawn()
        except OSError as error:  # no memory, or no more processes for this user
            log.error("worker.not_spawned", worker=self.index, exc_info=error)
            return None
        if self._stopping.is_set():  # asked to while the process was being made
            self.terminate()
        report = await self._exchange(process)
        if report is not None and report.is_serving:
            log.info("worker.serving", worker=self.index, pid=process.pid)
            self._show(State.SERVING)
        return report

    async def _exchange(self, process: asyncio.subprocess.Process) -> Report | None:
        """Hands the order over and takes the report; None where there is none in time."""
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker has no pipes")
        try:
            with TimeLimit(self.clock, self.clock.now() + self.longest_start):
                with contextlib.suppress(OSError):  # it ended before it read: the report says it
                    process.stdin.write(self.order.write())
                    await process.stdin.drain()
                return Report.read(await process.stdout.readline())
        except TimeoutError:
            seconds = self.longest_start
            log.error("worker.hung", worker=self.index, pid=process.pid, seconds=seconds)
            self.kill()
            return None

    async def _pause(self, seconds: float) -> None:
        """Waits before the next worker, or until no other is to be started."""
        with (
            contextlib.suppress(TimeoutError),
            TimeLimit(self.clock, self.clock.now() + seconds),
        ):
            await self._stopping.wait()

    async def _wait(self) -> int:
        """Waits for the worker's end and returns its code; what it held open is let go."""
        process = self._process
        if process is None:
            self._show(State.DOWN)
            return 0
        code = await process.wait()
        self._process = None
        if process.stdin is not None:
            process.stdin.close()
        self._show(State.DOWN)
        return code

    def _show(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            self.changed(self)


async def _spawn() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *_command(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C goes to the supervisor alone, which ends the workers in order.
        start_new_session=True,
        limit=_LONGEST_REPORT,
    )


def _command() -> list[str]:
    """How a worker is started: by this very interpreter, on the same path as this process."""
    is_safe = str(os.path.realpath(os.curdir)) not in map(os.path.realpath, sys.path)
    return [sys.executable, *(["-P"] if is_safe else []), "-m", "interlaced.workers"]
