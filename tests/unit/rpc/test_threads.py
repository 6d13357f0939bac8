"""gRPC's threads wait for the loop, and nobody else's do."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from interlaced.rpc import threads
from interlaced.rpc.threads import patient_threads


@contextmanager
def running_thread() -> Iterator[int]:
    """A thread that waits to be ended, by the kernel's number."""
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        yield thread.native_id
    finally:
        end.set()
        thread.join()


def test_threads_that_begin_inside_are_batch_threads_and_no_others_are() -> None:
    with ExitStack() as running:
        elder = running.enter_context(running_thread())
        with patient_threads():
            younger = running.enter_context(running_thread())
        assert os.sched_getscheduler(younger) == os.SCHED_BATCH
        assert os.sched_getscheduler(elder) == os.SCHED_OTHER
        assert os.sched_getscheduler(threading.get_native_id()) == os.SCHED_OTHER


def test_where_it_is_forbidden_it_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with capture_logs() as told, ExitStack() as running, patient_threads():
        for _ in range(2):
            running.enter_context(running_thread())
    assert [(each["event"], each["error"]) for each in told] == [
        ("server.impatient_threads", "Operation not permitted")
    ]


def test_a_thread_that_has_ended_meanwhile_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def gone(thread: int, *_: object) -> None:
        asked.append(thread)
        raise ProcessLookupError

    monkeypatch.setattr(os, "sched_setscheduler", gone)
    with capture_logs() as told, ExitStack() as running, patient_threads():
        number = running.enter_context(running_thread())
    assert asked == [number]
    assert told == []


def test_without_such_a_system_nothing_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(threads, "_TASKS", tmp_path / "none")
    monkeypatch.delattr(os, "sched_setscheduler")
    with ExitStack() as running, patient_threads():
        number = running.enter_context(running_thread())
        assert number
    assert os.sched_getscheduler(threading.get_native_id()) == os.SCHED_OTHER
