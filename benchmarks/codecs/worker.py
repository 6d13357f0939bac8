"""One process of a run: measures one thing and writes its cases to a file.

`python -m benchmarks.codecs.worker OUT TASK`, where TASK is the JSON of a `Task`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.codecs.cases import matrix_cases, memory_case
from benchmarks.codecs.plan import Effort, open_shape
from benchmarks.codecs.transcodes import transcode_cases
from benchmarks.harness.results import SCHEMA, Case, Run, read_run, write_run

__all__ = ["FailedWorkerError", "Task", "main", "perform", "perform_apart"]

ROOT = Path(__file__).resolve().parents[2]
# A hang limit, far above what any task takes.
LIMIT_S = 600


class FailedWorkerError(RuntimeError):
    """A process of the run failed; its text is what the process said last."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one process measures. `verb` is matrix, memory or transcode."""

    verb: str
    shape: str
    libraries: tuple[str, ...] = ()
    action: str = ""
    is_quick: bool = False

    def title(self) -> str:
        """Return what a person reads while the task runs."""
        parts = [self.verb, Path(self.shape).name, self.action]
        if self.verb == "memory":
            parts += self.libraries
        return " ".join(part for part in parts if part)


def perform(task: Task) -> list[Case]:
    """Measure `task` in this process."""
    effort = Effort.quick() if task.is_quick else Effort.full()
    if task.verb == "transcode":
        return transcode_cases(task.shape, effort)
    shape = open_shape(task.shape)
    if task.verb == "memory":
        return memory_case(task.libraries[0], shape, task.action)
    return matrix_cases(task.libraries, shape, effort)


def perform_apart(task: Task) -> list[Case]:
    """Measure `task` in a process of its own. Raise FailedWorkerError where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "cases.json"
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.codecs.worker", str(out), json.dumps(asdict(task))],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if done.returncode != 0 or not out.exists():
            said = (done.stdout + done.stderr).strip()[-3000:]
            raise FailedWorkerError(f"{task.title()} ended with {done.returncode}:\n{said}")
        return list(read_run(out).cases)


def main() -> None:
    """Perform the task of the command line."""
    out, text = sys.argv[1:]
    task = Task(**json.loads(text))
    cases = tuple(perform(task))
    write_run(Run(SCHEMA, "codecs", "", {}, task.title(), cases), Path(out))


if __name__ == "__main__":
    main()
