"""`python -m benchmarks.report` writes `report.html` and puts the raw data beside it."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.flames import FILE, read_flames
from benchmarks.harness.results import Run
from benchmarks.report.page import render
from benchmarks.summary import FOLDER, SUITES, read_runs

__all__ = ["WrongDateError", "main", "write_report"]

EXTRA = ("soak", "levers", "grpcio", "flames")
"""Raw data of other measurements, which are linked where they lie beside the runs."""


class WrongDateError(ValueError):
    """The folder to write is named after another day than that of the runs."""


def write_report(folder: Path, output: Path, *, command: str) -> Path:
    """Write the page of the runs in `folder` to `output`, raw data beside it; return its path.

    Raise WrongDateError where `output` is named after a day on which none of the runs started.
    """
    runs = read_runs(folder)
    _assert_same_day(output, runs)
    output.mkdir(parents=True, exist_ok=True)
    names = [f"{name}.json" for name in (*SUITES, "summary", *EXTRA)]
    files = [name for name in names if (folder / name).is_file()]
    for name in files:
        if folder.resolve() != output.resolve():
            shutil.copyfile(folder / name, output / name)
    path = output / "report.html"
    stacks = read_flames(folder / FILE)
    page = render(runs, command=command, files=files, stacks=stacks)
    path.write_text(page, encoding="utf-8")
    return path


def _assert_same_day(output: Path, runs: Sequence[Run]) -> None:
    """A folder that is named after a day holds the runs of that day."""
    name = output.resolve().name
    days = sorted({run.started[:10] for run in runs})
    if days and re.fullmatch(r"\d{4}-\d\d-\d\d", name) and name not in days:
        raise WrongDateError(f"the folder is named {name}, the runs started on {', '.join(days)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of the runs in a folder; end with 0 whatever they measured.

    It ends with 2 where the folder to write is named after another day.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the runs are")
    parser.add_argument("--output", type=Path, help="the folder to write; else that of the runs")
    parser.add_argument("--command", default="make bench", help="the command that measured them")
    asked = parser.parse_args(arguments)
    try:
        print(write_report(asked.folder, asked.output or asked.folder, command=asked.command))
    except WrongDateError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
