"""Child processes: started, pinned, measured by the kernel's own accounting, and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Child", "Cores", "NotStartedError", "cpu_ns", "giving_way_to", "pin", "rss_bytes"]
__all__ += ["split_cores", "tree"]

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT = 60.0
STOP_LIMIT = 15.0


class NotStartedError(RuntimeError):
    """A child process ended, or said nothing in time; the text has the end of its log."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores each side may use; the same ones where the machine has but one."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Whether server and load never share a core."""
        return not self.server & self.load

    def as_block(self) -> dict[str, list[int]]:
        """Return the cores as the machine block shows them."""
        return {"server": sorted(self.server), "load and upstream": sorted(self.load)}


def split_cores() -> Cores:
    """Give the server the first usable core and the load the others."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Cores(frozenset(usable), frozenset(usable))
    return Cores(frozenset(usable[:1]), frozenset(usable[1:]))


def pin(cores: frozenset[int]) -> None:
    """Keep this process, and what it starts from now on, on `cores`."""
    os.sched_setaffinity(0, cores)


@contextlib.contextmanager
def giving_way_to(children: Iterable[Child]) -> Iterator[bool]:
    """Keep this process, and all that it has started, from interrupting `children` (SCHED_BATCH,
    sched(7)). Where cores are shared, a server would else be charged for how often the load that it
    is measured with takes the core away from it. Yield whether the kernel allows it."""
    measured = {pid for child in children for pid in tree(child.pid)}
    others = [pid for pid in tree(os.getpid()) if pid not in measured]
    before: dict[int, int] = {}
    for task in (int(each.name) for pid in others for each in _tasks(pid)):
        with contextlib.suppress(ProcessLookupError):
            before[task] = os.sched_getscheduler(task)
    is_allowed = _schedule(dict.fromkeys(before, os.SCHED_BATCH))
    try:
        yield is_allowed
    finally:
        _schedule(before)


def _schedule(policies: Mapping[int, int]) -> bool:
    """Set the policy of each thread; return whether all that still run could be set."""
    try:
        for task, policy in policies.items():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(task, policy, os.sched_param(0))
    except OSError:
        return False
    return True


def tree(pid: int) -> list[int]:
    """Return `pid` and all its living descendants."""
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def _children(pid: int) -> Iterator[int]:
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            text = (task / "children").read_text(encoding="ascii")
            yield from map(int, text.split())


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def cpu_ns(pid: int) -> int:
    """Return the CPU time that a process and its living descendants have used, in nanoseconds.

    It is the kernel's per-process clock (`clock_getcpuclockid(3)`): exact to the nanosecond, with
    the time of threads that have ended. The ticks of /proc/PID/stat are 10 ms each.
    """
    return sum(map(_own_cpu_ns, tree(pid)))


def _own_cpu_ns(pid: int) -> int:
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return _schedstat_ns(pid)


def _schedstat_ns(pid: int) -> int:
    """The same for kernels that keep the clocks of others to themselves, living threads alone."""
    total = 0
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process and its living descendants, in bytes."""
    return sum(map(_own_rss, tree(pid)))


def _own_rss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return 0


class Child:
    """A child process in a session of its own, with its output in a file; use it with `with`."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cores: frozenset[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        # Whatever it starts inherits this; it has hardly begun to run.
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(self._process.pid, cores)

    @classmethod
    def python(
        cls,
        *arguments: str,
        cores: frozenset[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start this interpreter with `arguments`."""
        return cls((sys.executable, *arguments), cores=cores, log=log, environment=environment)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no longer."""
        return self._process.poll() is not None

    def cpu_ns(self) -> int:
        """Return the CPU time of it and its descendants so far, in nanoseconds."""
        return cpu_ns(self.pid)

    def rss_bytes(self) -> int:
        """Return the resident memory of it and its descendants, in bytes."""
        return rss_bytes(self.pid)

    def await_until(self, is_ready: Callable[[], bool], *, every: float = 0.005) -> None:
        """Wait until `is_ready` holds. Raise NotStartedError if it ends or a minute passes."""
        until = time.monotonic() + START_LIMIT
        while not is_ready():
            if self.has_ended or time.monotonic() > until:
                raise NotStartedError(f"{self.log.name}: {self.told()}")
            time.sleep(every)

    def await_file(self, path: Path) -> str:
        """Wait for a file that the child writes once it serves, and return what is in it."""

        def has_text() -> bool:
            return path.exists() and path.stat().st_size > 0

        self.await_until(has_text)
        return path.read_text(encoding="utf-8")

    def told(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]

    def stop(self) -> None:
        """End it and its descendants, politely first; doing it twice does nothing."""
        descendants = tree(self.pid)[1:]
        if not self.has_ended:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                # In its own session, so that an id that was given anew is never hit.
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
