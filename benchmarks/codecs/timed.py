"""Times each action of each library on one shape, through pytest-benchmark.

It runs in a process of its own per shape. Libraries take turns within an action, the garbage
collector stays on as in a service, and the clock is the CPU time of the process.
"""

from __future__ import annotations

import gc
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.codecs.codec import ACTIONS, Codec
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.shapes import Shape

__all__ = ["FailedRunError", "iterations", "test_action", "time_actions"]


class FailedRunError(RuntimeError):
    """pytest did not finish what it was asked to time."""


class _Cells:
    """A pytest plugin that hands every cell of the matrix to `test_action`."""

    def __init__(self, codecs: Mapping[str, Codec], shape: Shape, effort: Effort) -> None:
        self._shape = shape
        self._effort = effort
        self._cells = [
            (library, action, codec)
            for action in ACTIONS
            for library, codec in codecs.items()
            if codec.action(action, shape.data) is not None
        ]

    def pytest_benchmark_generate_machine_info(self) -> dict[str, str]:
        """Leave the machine to our own block: asking twice costs a second per shape."""
        return {"node": "see the machine block of the run"}

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make a test of every cell."""
        metafunc.parametrize(
            "cell",
            [(codec, action, self._shape, self._effort) for _, action, codec in self._cells],
            ids=[f"{library}/{action}" for library, action, _ in self._cells],
        )


def test_action(benchmark: Any, cell: tuple[Codec, str, Shape, Effort]) -> None:
    """Times one cell; started by `time_actions` alone."""
    codec, action, shape, effort = cell
    found = codec.action(action, shape.data)
    if found is None:
        raise FailedRunError(f"{action} is not one of this library's")
    run, argument = found
    count = iterations(lambda: run(argument), effort.window_s)
    gc.collect()
    gc.freeze()
    benchmark.pedantic(run, (argument,), iterations=count, rounds=effort.rounds, warmup_rounds=1)


def _read(told: dict[str, Any]) -> dict[str, dict[str, Sequence[float]]]:
    found: dict[str, dict[str, Sequence[float]]] = {}
    for one in told["benchmarks"]:
        library, _, action = one["param"].rpartition("/")
        found.setdefault(action, {})[library] = one["stats"]["data"]
    return found


def iterations(run: Callable[[], Any], window_s: float) -> int:
    """Return how many calls of `run` fill `window_s` seconds of CPU; this warms it up too."""
    count = 1
    while True:
        started = time.process_time()
        for _ in range(count):
            run()
        took = time.process_time() - started
        if took > 0 and took >= window_s / 2:
            return max(1, round(count * window_s / took))
        count *= 4


def time_actions(
    codecs: Mapping[str, Codec], shape: Shape, effort: Effort
) -> dict[str, dict[str, Sequence[float]]]:
    """Return seconds of CPU per call, a value per round, by action and library.

    Raise FailedRunError where pytest fails.
    """
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        empty = Path(folder) / "pytest.ini"
        empty.write_text("[pytest]\npython_files = timed.py\n", encoding="utf-8")
        options = ["--benchmark-timer=time.process_time", f"--benchmark-json={told}"]
        plugins = ["-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
        code = pytest.main(
            ["-q", "-c", str(empty), "--rootdir", folder, *plugins, *options, __file__],
            plugins=[_Cells(codecs, shape, effort)],
        )
        if code != 0:
            raise FailedRunError(f"pytest ended with {code} on {shape.name}")
        return _read(json.loads(told.read_text(encoding="utf-8")))
