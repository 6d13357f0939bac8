"""Times each action of each library on one shape, through pytest-benchmark.

It runs in a process of its own per shape. In each round every action of every library has one turn,
in an order that is drawn anew, so that what slows the machine down for a while slows all of them
and nobody always follows the same one. The garbage collector stays on as in a service, and the
clock is the CPU time of the process.
"""

from __future__ import annotations

import gc
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.codecs.codec import ACTIONS, Codec
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.shapes import Shape

__all__ = ["FailedRunError", "Turns", "iterations", "order_of", "test_turns", "time_actions"]

SEED = 20_261_123
Cell: TypeAlias = tuple[str, str]
"""A library and one of its actions."""


class FailedRunError(RuntimeError):
    """pytest did not finish what it was asked to time."""


class Turns:
    """Every action of every library, in turn: what pytest-benchmark times is one turn after the
    other, of as many calls as fill a window."""

    def __init__(self, codecs: Mapping[str, Codec], shape: Shape, effort: Effort) -> None:
        self._actions = {
            (library, action): found
            for action in ACTIONS
            for library, codec in codecs.items()
            if (found := codec.action(action, shape.data)) is not None
        }
        self._counts = {
            cell: iterations(partial(run, argument), effort.window_s)
            for cell, (run, argument) in self._actions.items()
        }
        self.order = order_of(list(self._actions), effort.rounds)
        self._next = iter(self.order)

    def take(self) -> tuple[tuple[Callable[[Any], Any], Any, int], dict[str, Any]]:
        """Return what the next turn runs, as pytest-benchmark wants it from a setup."""
        cell = next(self._next)
        return (*self._actions[cell], self._counts[cell]), {}

    def read(self, seconds: Sequence[float]) -> dict[str, dict[str, list[float]]]:
        """Return seconds per call by action and library out of those of all turns, in order."""
        found: dict[str, dict[str, list[float]]] = {}
        for library, action in self._actions:
            found.setdefault(action, {})[library] = []
        for (library, action), took in zip(self.order, seconds, strict=True):
            found[action][library].append(took / self._counts[library, action])
        return found


def order_of(cells: Sequence[Cell], rounds: int) -> list[Cell]:
    """Return the turns of all rounds: every cell once in each, the same order on every machine."""
    chance = random.Random(SEED)
    return [cell for _ in range(rounds) for cell in chance.sample(cells, len(cells))]


class _Plugin:
    """A pytest plugin that hands the turns to `test_turns`."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    def pytest_benchmark_generate_machine_info(self) -> dict[str, str]:
        """Leave the machine to our own block: asking twice costs a second per shape."""
        return {"node": "see the machine block of the run"}

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Make the one test that there is."""
        metafunc.parametrize("turns", [self._turns], ids=["all"])


def test_turns(benchmark: Any, turns: Turns) -> None:
    """Times every turn; started by `time_actions` alone."""
    gc.collect()
    gc.freeze()
    benchmark.pedantic(_repeat, setup=turns.take, rounds=len(turns.order), iterations=1)


def _repeat(run: Callable[[Any], Any], argument: Any, count: int) -> None:
    for _ in repeat(None, count):
        run(argument)


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
) -> dict[str, dict[str, list[float]]]:
    """Return seconds of CPU per call, a value per round, by action and library.

    Raise FailedRunError where pytest fails.
    """
    import pytest

    turns = Turns(codecs, shape, effort)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        empty = Path(folder) / "pytest.ini"
        empty.write_text("[pytest]\npython_files = timed.py\n", encoding="utf-8")
        options = ["--benchmark-timer=time.process_time", f"--benchmark-json={told}"]
        plugins = ["-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider"]
        code = pytest.main(
            ["-q", "-c", str(empty), "--rootdir", folder, *plugins, *options, __file__],
            plugins=[_Plugin(turns)],
        )
        if code != 0:
            raise FailedRunError(f"pytest ended with {code} on {shape.name}")
        (timed,) = json.loads(told.read_text(encoding="utf-8"))["benchmarks"]
        return turns.read(timed["stats"]["data"])
