"""gRPC's own threads, and who goes first where they share a core with the event loop."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from interlaced.telemetry.log import log

__all__ = ["patient_threads"]

_TASKS: Final = Path("/proc/self/task")


@contextlib.contextmanager
def patient_threads() -> Iterator[None]:
    """Lets the threads that begin inside, and those that they begin, never interrupt another one.

    gRPC's poller wakes for every completion. On a core that it shares with the event loop it would
    interrupt the loop each time, two switches of context a completion; as a batch thread
    (SCHED_BATCH, sched(7)) it waits until the loop has nothing to do, or its time is up, and then
    finds all completions at once. On a core of its own nothing changes. Elsewhere than on Linux
    this does nothing; where it is forbidden it says so and goes on.
    """
    before = _threads()
    yield
    for thread in _threads() - before:
        try:
            os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
        except ProcessLookupError:
            continue  # it has ended
        except OSError as error:
            log.info("server.impatient_threads", error=error.strerror)
            return


def _threads() -> set[int]:
    """Returns the threads of this process, by the kernel's numbers."""
    return {int(each.name) for each in _TASKS.iterdir()} if _TASKS.is_dir() else set()
