"""`python -m benchmarks.report` writes `report.html` and puts the raw data beside it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report.page import render
from benchmarks.summary import FOLDER, SUITES, read_runs

__all__ = ["main", "write_report"]


def write_report(folder: Path, output: Path, *, command: str) -> Path:
    """Write the page of the runs in `folder` to `output`, raw data beside it; return its path."""
    output.mkdir(parents=True, exist_ok=True)
    names = [f"{name}.json" for name in (*SUITES, "summary")]
    files = [name for name in names if (folder / name).is_file()]
    for name in files:
        if folder.resolve() != output.resolve():
            shutil.copyfile(folder / name, output / name)
    path = output / "report.html"
    path.write_text(render(read_runs(folder), command=command, files=files), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page of the runs in a folder; end with 0 whatever they measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the runs are")
    parser.add_argument("--output", type=Path, help="the folder to write; else that of the runs")
    parser.add_argument("--command", default="make bench", help="the command that measured them")
    asked = parser.parse_args(arguments)
    print(write_report(asked.folder, asked.output or asked.folder, command=asked.command))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
