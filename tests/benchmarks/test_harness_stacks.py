"""Stacks of a running process become a tree of calls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.harness import stacks
from benchmarks.harness.stacks import MAIN, NotSampledError, from_json, sample, to_json, tree_of

FOLDED = f"""\
0x7f01 (libc.so.6);{MAIN} (<frozen runpy>:198);serve (a/serve.py:5);run (loop.c:7);work (b.py:1) 60
0x7f01 (libc.so.6);{MAIN} (<frozen runpy>:198);serve (a/serve.py:6);run (loop.c:7);work (b.py:2) 30
0x7f02 (libc.so.6);{MAIN} (<frozen runpy>:198);serve (a/serve.py:6);run (loop.c:9) 9
0x7f02 (libc.so.6);{MAIN} (<frozen runpy>:198);serve (a/serve.py:6);run (loop.c:9);rare (c.py:1) 1
0x7f03 (libc.so.6);Thread._bootstrap (threading.py:1002);wait (x.py:3) 500
"""


def shape(call: stacks.Call) -> object:
    return (call.name, call.place, call.samples, [shape(one) for one in call.inner.values()])


def test_it_is_of_the_main_thread_and_begins_where_it_divides() -> None:
    tree = tree_of(FOLDED.replace("run (loop.c:9) 9", "idle (loop.c:9) 9"))
    assert shape(tree) == (
        "all", "", 100,
        [
            ("run", "loop.c", 91, [("work", "b.py", 90, []), ("rare", "c.py", 1, [])]),
            ("idle", "loop.c", 9, []),
        ],
    )  # fmt: skip


def test_lines_of_a_function_are_one_call_and_what_is_rare_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stacks, "LEAST", 0.05)
    assert shape(tree_of(FOLDED)) == ("all", "", 90, [])
    monkeypatch.setattr(stacks, "LEAST", 0.0)
    assert shape(tree_of(FOLDED)) == (
        "all", "", 100, [("work", "b.py", 90, []), ("rare", "c.py", 1, [])]
    )  # fmt: skip


def test_nameless_frames_that_follow_each_other_are_one() -> None:
    line = f"{MAIN} (r.py:1);a (x.py:1);0x1 (g.so);0x2 (g.so);0x3 (h.so);b (y.py:1)"
    tree = tree_of(f"{line} 5\n{MAIN} (r.py:1);z (x.py:1) 5\n")
    a = tree.inner["a", "x.py"]
    assert shape(a) == (
        "a", "x.py", 5, [("?", "g.so", 5, [("?", "h.so", 5, [("b", "y.py", 5, [])])])]
    )  # fmt: skip


def test_a_tree_comes_back_from_json() -> None:
    tree = tree_of(FOLDED)
    assert shape(from_json(to_json(tree))) == shape(tree)


def test_a_process_that_is_not_there_cannot_be_sampled() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with pytest.raises(NotSampledError, match="py-spy: "):
        sample(gone.pid, 1)


def test_without_py_spy_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotSampledError, match="not on the PATH"):
        sample(1, 1)


def test_a_busy_process_is_sampled_or_it_is_said_why(tmp_path: Path) -> None:
    code = "def spin():\n    while True: sum(range(1000))\nspin()\n"
    script = tmp_path / "busy.py"
    script.write_text(code)
    busy = subprocess.Popen([sys.executable, "-m", "busy"], cwd=tmp_path)
    try:
        found = sample(busy.pid, 1)
    except NotSampledError as error:
        assert "ermission" in str(error), "only who may not look may fail"  # as above
    else:
        assert "spin (busy.py" in found or "spin" in found
        assert tree_of(found).samples > 10
    finally:
        busy.kill()
        busy.wait()
