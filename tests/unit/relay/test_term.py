"""One holds a feed's lock; each term stamps above the one before."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from interlaced.relay.term import STEP, socket_path, take_lock

HOLD = """
import sys, pathlib
from interlaced.relay.term import take_lock
lock = take_lock(pathlib.Path(sys.argv[1]), "up.Ticks")
print(lock.term.number, flush=True)
sys.stdin.read()
"""


def test_a_lock_has_one_holder_and_the_next_begins_a_term_above(tmp_path: Path) -> None:
    first = take_lock(tmp_path, "up.Ticks")
    assert first is not None
    assert take_lock(tmp_path, "up.Ticks") is None
    first.release()
    second = take_lock(tmp_path, "up.Ticks")
    assert second is not None
    assert second.term.epoch == first.term.epoch
    assert second.term.counter == first.term.counter + STEP
    second.release()


def test_each_feed_has_a_lock_of_its_own(tmp_path: Path) -> None:
    first, second = take_lock(tmp_path, "up.Ticks"), take_lock(tmp_path, "up.Others")
    assert first is not None
    assert second is not None
    assert first.term.number == second.term.number == 1
    first.release()
    second.release()


def test_the_death_of_its_process_frees_a_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        assert take_lock(tmp_path, "up.Ticks") is None
        other.kill()
        other.wait()
    lock = take_lock(tmp_path, "up.Ticks")
    assert lock is not None
    assert lock.term.number == 2
    lock.release()


def test_files_belong_to_this_user_and_names_stay_short(tmp_path: Path) -> None:
    lock = take_lock(tmp_path, "up." + "x" * 200)
    assert lock is not None
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()
    assert len(socket_path(tmp_path, "up." + "x" * 200).name) < 24


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        take_lock(tmp_path / "nowhere", "up.Ticks")
