"""Ends with 5 where a budget fails or was not measured: `python -m benchmarks.gate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.budgets import BUDGETS
from benchmarks.harness.stats import ENOUGH_PAIRS
from benchmarks.summary import FOLDER, SCHEMA

__all__ = ["REGRESSION", "check", "main"]

REGRESSION = 5
"""The exit code of `interlace bench gate` that says: a budget fails, or nobody measured it."""


def check(summary: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the lines of the budgets that hold, and of those that fail or are missing."""
    held: list[str] = []
    broken: list[str] = []
    known = {record["name"]: record for record in summary["budgets"]}
    reasons = summary.get("why_missing", {})
    for budget in BUDGETS:
        record = known.get(budget.name)
        if record is None or record["measured"] is None:
            why = reasons.get(budget.name, "not in this run")
            broken.append(f"MISSING  {budget.name}: {budget.what}; {why}")
        else:
            (held if _holds(record) else broken).append(_line(record))
    return held, broken


def _holds(record: Mapping[str, Any]) -> bool:
    """Judges anew: the file's own word is not taken for it."""
    budget = next(one for one in BUDGETS if one.name == record["name"])
    return budget.holds(record["measured"]["mid"])


def _line(record: Mapping[str, Any]) -> str:
    budget = next(one for one in BUDGETS if one.name == record["name"])
    measured = record["measured"]
    holds = _holds(record)
    ends = budget.holds(measured["low"]) == budget.holds(measured["high"])
    how_sure = "clearly" if ends else "but the interval holds the budget"
    if record.get("pairs", 0) < ENOUGH_PAIRS:
        how_sure = "by too few windows to be sure"
    sign = "at most" if budget.sense == "at_most" else "at least"
    return (
        f"{'ok     ' if holds else 'FAILED '}  {budget.name}: "
        f"{measured['mid']:.3g} ({measured['low']:.3g} to {measured['high']:.3g}), "
        f"{sign} {budget.budget:g}, {how_sure}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every budget with its verdict; end with 5 where one fails or is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gate", description=__doc__)
    parser.add_argument("--summary", type=Path, default=FOLDER / "summary.json")
    asked = parser.parse_args(arguments)
    try:
        summary = json.loads(asked.summary.read_text())
    except (OSError, ValueError):
        return _refuse(f"{asked.summary}: no summary can be read here")
    if not isinstance(summary, dict) or summary.get("schema") != SCHEMA:
        return _refuse(f"{asked.summary}: a summary of another version")
    held, broken = check(summary)
    for line in [*held, *broken]:
        print(line)
    if broken:
        told = f"{len(broken)} of {len(BUDGETS)} budgets fail or were not measured"
        print(f"{told}; measure again with: {_rerun(summary)}", file=sys.stderr)
        return REGRESSION
    print(f"all {len(BUDGETS)} budgets hold", file=sys.stderr)
    return 0


def _refuse(text: str) -> int:
    print(f"{text}; make one with: interlace bench quick", file=sys.stderr)
    return REGRESSION


def _rerun(summary: Mapping[str, Any]) -> str:
    return str(summary.get("command") or "interlace bench quick")


if __name__ == "__main__":
    raise SystemExit(main())
