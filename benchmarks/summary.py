"""Measured ratios beside the budgets: `python -m benchmarks.summary` writes `summary.json`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.budgets import AT_MOST, BUDGETS, Budget
from benchmarks.figures import describe, times_as_good
from benchmarks.harness.results import Case, Interval, Run, read_run
from benchmarks.harness.stats import ENOUGH_PAIRS

__all__ = [
    "FOLDER",
    "SCHEMA",
    "SUITES",
    "Judged",
    "judge",
    "main",
    "read_runs",
    "sure",
    "to_summary",
    "verdict",
    "write_summary",
]

SCHEMA = 1
FOLDER = Path("build/bench")
SUITES = ("service", "codecs")


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget beside what was measured for it; `why` says what is missing where nothing was."""

    budget: Budget
    measured: Interval | None
    case: Case | None
    why: str = ""

    @property
    def pairs(self) -> int:
        """How many windows each side had, at least; 0 where nothing was measured."""
        case = self.case
        found = Counter(sample.side for sample in case.samples) if case else Counter[str]()
        return min(found.values(), default=0)

    @property
    def passed(self) -> bool:
        """Whether the middle of what was measured is within the budget."""
        return self.measured is not None and self.budget.holds(self.measured.mid)


def read_runs(folder: Path) -> list[Run]:
    """Return the runs that lie in `folder`. Raise ValueError where a file is none of ours."""
    paths = [folder / f"{suite}.json" for suite in SUITES]
    return [read_run(path) for path in paths if path.is_file()]


def judge(runs: Sequence[Run], budgets: Sequence[Budget] = BUDGETS) -> list[Judged]:
    """Return every budget with the worst of the cases that decide it."""
    cases = [case for run in runs for case in run.cases]
    return [_judge(budget, cases) for budget in budgets]


def _judge(budget: Budget, every: Sequence[Case]) -> Judged:
    cases = [case for case in every if budget.covers(case)]
    if not cases:
        return Judged(budget, None, None, _why_not(budget, every))
    absent = budget.absent(cases)
    if absent:
        told = ", ".join(str(value) for value in absent)
        return Judged(budget, None, None, f"not measured for {told}")
    ratios = []
    for case in cases:
        measured = case.ratio if budget.sense == AT_MOST else times_as_good(case)
        if measured is None:
            notes = "; ".join(case.notes) or "no windows of both sides"
            return Judged(budget, None, case, f"{describe(case)} has no ratio: {notes}")
        ratios.append((measured, case))
    worst = (max if budget.sense == AT_MOST else min)(ratios, key=lambda pair: pair[0].mid)
    return Judged(budget, *worst)


def _why_not(budget: Budget, cases: Sequence[Case]) -> str:
    """Why no case counts: a scenario that could not be measured left a case that says so."""
    kin = [one for one in cases if (one.suite, one.scenario) == (budget.suite, budget.scenario)]
    notes = [note for one in kin if not one.samples for note in one.notes]
    return "; ".join(notes) or "not in this run"


def sure(judged: Judged) -> bool:
    """Return whether the whole interval lies on the side of the verdict, and has enough pairs."""
    if judged.measured is None or judged.pairs < ENOUGH_PAIRS:
        return False
    holds = judged.budget.holds
    return holds(judged.measured.low) == holds(judged.measured.high)


def verdict(judged: Judged) -> str:
    """Return the verdict in words: passed, failed, missing; and whether the interval is sure."""
    if judged.measured is None:
        return "missing"
    word = "passed" if judged.passed else "failed"
    if judged.pairs < ENOUGH_PAIRS:
        return f"{word}, by too few windows to be sure"
    return f"clearly {word}" if sure(judged) else f"{word}, within noise of the budget"


def to_summary(runs: Sequence[Run], *, command: str) -> dict[str, Any]:
    """Return the summary of version 1 as a plain dict."""
    judged = judge(runs)
    missing = [one for one in judged if one.measured is None]
    return {
        "schema": SCHEMA,
        "machine": dict(runs[0].machine) if runs else {},
        "command": command,
        "budgets": [_record(one) for one in judged if one.measured is not None],
        "missing": [one.budget.name for one in missing],
        "why_missing": {one.budget.name: one.why for one in missing},
    }


def _record(judged: Judged) -> Mapping[str, Any]:
    budget, measured, case = judged.budget, judged.measured, judged.case
    bounds = measured and {"low": measured.low, "mid": measured.mid, "high": measured.high}
    return {
        "name": budget.name,
        "what": budget.what,
        "measured": bounds,
        "budget": budget.budget,
        "aim": budget.aim,
        "sense": budget.sense,
        "passed": judged.passed,
        "verdict": verdict(judged),
        "pairs": judged.pairs,
        "case": {"scenario": case.scenario, **case.variant} if case else {},
    }


def write_summary(folder: Path, *, command: str) -> Path:
    """Write `summary.json` beside the runs of `folder` and return its path."""
    path = folder / "summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_summary(read_runs(folder), command=command), indent=1) + "\n")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the summary of the runs in a folder; end with 0 whatever they measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.summary", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the runs are")
    parser.add_argument("--command", default="make bench", help="the command that measured them")
    asked = parser.parse_args(arguments)
    print(write_summary(asked.folder, command=asked.command))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
