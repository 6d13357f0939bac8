"""A whole run: which processes it takes, and the file that it writes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.codecs.converting import CONVERTING, PLAIN
from benchmarks.codecs.libraries import MODULES
from benchmarks.codecs.memory import ACTIONS
from benchmarks.codecs.shapes import SHAPES
from benchmarks.codecs.worker import FailedWorkerError, Task, perform_apart
from benchmarks.harness.machine import describe, finish
from benchmarks.harness.results import SCHEMA, Case, Run

__all__ = ["FAILED", "documents_of", "plan", "run_tasks"]

# The scenario of what could not be measured because its process failed.
FAILED = "failed"
# A quick run has the matrix of these, unless others are asked for: no budget looks at it.
QUICK_SHAPES = ("typical_record", "list_1000")
# A quick run looks at memory where it differs most.
QUICK_MEMORY = ("typical_record",)


def plan(
    libraries: Sequence[str], shapes: Sequence[str], documents: Sequence[str], *, is_quick: bool
) -> list[Task]:
    """Return the tasks of a run, in order. No `libraries` means all, no `shapes` all of them.

    The transcodes belong to no library: they are left out where `libraries` names some, unless
    "transcode" is among them.
    """
    names = tuple(name for name in libraries or MODULES if name != "transcode")
    usual = QUICK_SHAPES if is_quick else tuple(SHAPES)
    chosen = [name for name in SHAPES if name in (shapes or usual)]
    tasks = []
    for shape in [*chosen, *documents] if names else []:
        tasks.append(Task("matrix", shape, names, is_quick=is_quick))
        if is_quick and shape not in QUICK_MEMORY:
            continue
        tasks += [
            Task("memory", shape, (name,), action, is_quick)
            for name in names
            if name != "protobuf-struct" or shape in documents
            for action in ACTIONS
        ]
    if not libraries or "transcode" in libraries:
        pool = (*PLAIN, *CONVERTING) if is_quick else (*SHAPES, *CONVERTING)
        wanted = [name for name in pool if not shapes or name in shapes]
        tasks += [Task("transcode", name, is_quick=is_quick) for name in wanted]
    return tasks


def run_tasks(
    tasks: Sequence[Task],
    command: str,
    tell: Callable[[str], None],
    perform: Callable[[Task], list[Case]] = perform_apart,
) -> Run:
    """Perform `tasks` one after the other, each in a process of its own, and return the run."""
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    machine = describe(loop="none")
    cases: list[Case] = []
    for number, task in enumerate(tasks, 1):
        tell(f"[{number}/{len(tasks)}] {task.title()}")
        try:
            cases += perform(task)
        except FailedWorkerError as error:
            # The rest of a long run is worth keeping; the file and the exit code say what is not.
            tell(str(error))
            cases.append(_failed(task, error))
    return Run(SCHEMA, "codecs", started, finish(machine), command, tuple(cases))


def _failed(task: Task, error: FailedWorkerError) -> Case:
    variant = {"shape": Path(task.shape).name, "task": task.title()}
    last = str(error).strip().splitlines()[-1]
    return Case("codecs", FAILED, variant, "", notes=(f"{task.title()}: {last}",))


def documents_of(paths: Sequence[Path]) -> list[str]:
    """Return `paths` as tasks name them: whole, since a worker runs elsewhere."""
    return [str(path.resolve()) for path in paths]
