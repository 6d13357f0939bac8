"""A child is charged for what it and its own children use, and nothing of it is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from benchmarks.harness.process import (
    Child,
    Cores,
    NotStartedError,
    cpu_ns,
    giving_way_to,
    split_cores,
    tree,
)

SPINS = """
import pathlib, subprocess, sys, time
if len(sys.argv) > 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1] + ".child"])
until = time.process_time() + 0.2
while time.process_time() < until:
    pass
pathlib.Path(sys.argv[1]).write_text("spun")
time.sleep(600)
"""


def spinning(folder: Path, *, with_child: bool) -> Child:
    script, ready = folder / "spin.py", folder / "ready"
    script.write_text(SPINS)
    arguments = [str(script), str(ready), *(["parent"] if with_child else [])]
    return Child.python(*arguments, cores=split_cores().server, log=folder / "log")


def test_cpu_time_is_that_of_the_kernel(tmp_path: Path) -> None:
    with spinning(tmp_path, with_child=False) as child:
        child.await_file(tmp_path / "ready")
        assert child.cpu_ns() >= 0.2e9
        assert child.rss_bytes() > 1_000_000
        # It sleeps now: waiting costs it next to nothing.
        before = child.cpu_ns()
        time.sleep(0.05)
        assert child.cpu_ns() - before < 0.05e9


def test_children_of_a_child_are_charged_to_it_and_end_with_it(tmp_path: Path) -> None:
    with spinning(tmp_path, with_child=True) as child:
        child.await_file(tmp_path / "ready")
        child.await_file(tmp_path / "ready.child")
        pids = tree(child.pid)
        assert len(pids) == 2
        assert child.cpu_ns() >= 0.4e9
    for pid in pids:
        assert is_gone(pid)


def test_what_is_not_measured_gives_way_to_what_is(tmp_path: Path) -> None:
    (tmp_path / "load").mkdir()
    with (
        spinning(tmp_path, with_child=True) as measured,
        spinning(tmp_path / "load", with_child=False) as load,
    ):
        measured.await_file(tmp_path / "ready.child")
        server = [os.sched_getscheduler(pid) for pid in tree(measured.pid)]
        with giving_way_to([measured]) as is_allowed:
            assert is_allowed
            assert os.sched_getscheduler(0) == os.SCHED_BATCH
            assert os.sched_getscheduler(load.pid) == os.SCHED_BATCH
            assert [os.sched_getscheduler(pid) for pid in tree(measured.pid)] == server
        assert os.sched_getscheduler(0) == os.SCHED_OTHER
        assert os.sched_getscheduler(load.pid) == os.SCHED_OTHER
        assert server == [os.SCHED_OTHER] * 2


def test_a_kernel_that_refuses_it_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with giving_way_to([]) as is_allowed:
        assert not is_allowed


def is_gone(pid: int) -> bool:
    """Whether a process runs no longer; one that ended and that nobody awaited counts as gone."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_child_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        Child.python(
            "-c", "raise SystemExit('no port')", cores=split_cores().load, log=tmp_path / "log"
        ) as child,
        pytest.raises(NotStartedError, match="no port"),
    ):
        child.await_file(tmp_path / "never")


def test_stopping_twice_does_nothing(tmp_path: Path) -> None:
    child = spinning(tmp_path, with_child=False)
    child.stop()
    child.stop()
    assert child.has_ended


def test_the_cpu_time_of_this_process_grows() -> None:
    before = cpu_ns(os.getpid())
    sum(range(100_000))
    assert cpu_ns(os.getpid()) > before


def test_server_and_load_are_apart_where_there_are_two_cores() -> None:
    cores = split_cores()
    assert cores.are_apart == (len(os.sched_getaffinity(0)) > 1)
    assert not Cores(frozenset({0}), frozenset({0})).are_apart
