"""Two runs side by side: improved, regressed or within noise, case by case.

`python -m benchmarks.compare A B` reads two files of results. Where both sides of a case ran in
turn, what is compared is Interlace's ratio to the baseline, which a slow hour of the machine does
not move; elsewhere it is the bare figure, and the line says so.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import describe, identify, is_rate, main_key, merged, sides, values
from benchmarks.harness.results import (
    Case,
    Interval,
    Run,
    UnknownSchemaError,
    from_json,
)
from benchmarks.harness.stats import ratio

__all__ = ["Change", "Verdict", "compare", "main"]

IMPROVED, REGRESSED, WITHIN_NOISE = "improved", "regressed", "within noise"
Verdict = str
REGRESSION = 5
THRESHOLD = 0.05


@dataclass(frozen=True, slots=True)
class Change:
    """How a case moved from A to B. `ratio` is B : A of what is compared, with its interval."""

    name: str
    side: str
    ratio: Interval
    is_rate: bool
    is_paired: bool
    windows: tuple[int, int]

    def verdict(self, threshold: float = THRESHOLD) -> Verdict:
        """Return the verdict; a change is one where the interval excludes the threshold."""
        if self.ratio.low > 1 + threshold:
            return IMPROVED if self.is_rate else REGRESSED
        if self.ratio.high < 1 - threshold:
            return REGRESSED if self.is_rate else IMPROVED
        return WITHIN_NOISE


def compare(before: Run, after: Run) -> tuple[list[Change], list[str]]:
    """Return how each case moved, and the names of those that only one of the runs has."""
    known = {identify(case): case for case in merged(before.cases)}
    later = {identify(case): case for case in merged(after.cases)}
    changes = [
        change
        for key, case in later.items()
        if key in known
        for change in _changes(known[key], case)
    ]
    alone = [f"only in A: {describe(case)}" for key, case in known.items() if key not in later]
    alone += [f"only in B: {describe(case)}" for key, case in later.items() if key not in known]
    return changes, alone


def _changes(before: Case, after: Case) -> Iterator[Change]:
    key = main_key(after)
    if after.suite == "service" and len(sides(after)) == 2 and sides(before) == sides(after):
        told = [_ratios(case, key) for case in (before, after)]
        yield from _change(after, sides(after)[0], told, is_paired=True)
        return
    for side in sides(after):
        told = [values(case, side, key) for case in (before, after)]
        yield from _change(after, side, told, is_paired=False)


def _ratios(case: Case, key: str) -> list[float]:
    """The first side : the second, window by window; those that ran in turn belong together."""
    ours, theirs = (values(case, side, key) for side in sides(case))
    return [own / other for own, other in zip(ours, theirs, strict=False) if other > 0]


def _change(
    case: Case, side: str, told: Sequence[Sequence[float]], *, is_paired: bool
) -> Iterator[Change]:
    """The change of one side; nothing where a run did not measure it."""
    before, after = told
    if not before or not after or min(*before, *after) <= 0:
        return
    moved = ratio(after, before)
    windows = (len(before), len(after))
    yield Change(describe(case), side, moved, is_rate(case.unit), is_paired, windows)


def _line(change: Change, threshold: float) -> str:
    low, mid, high = ((one - 1) * 100 for one in _bounds(change.ratio))
    what = "ratio of windows run in turn" if change.is_paired else f"{change.side}, bare figure"
    few = "  (few windows)" if min(change.windows) < 5 else ""
    return (
        f"{change.verdict(threshold):<12}  {mid:+6.1f} %  ({low:+.1f} to {high:+.1f} %)  "
        f"{change.name}  [{what}]{few}"
    )


def _bounds(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.mid, interval.high


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the verdict of every case. End with 0; under `--gate` with 5 where one regressed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="A", help="results of the older run")
    parser.add_argument("after", type=Path, metavar="B", help="results of the newer run")
    parser.add_argument("--threshold", type=float, default=THRESHOLD * 100, metavar="PERCENT")
    parser.add_argument("--gate", action="store_true", help="end with 5 where a case regressed")
    asked = parser.parse_args(arguments)
    runs = [_read(path) for path in (asked.before, asked.after)]
    changes, alone = compare(*runs)
    threshold = asked.threshold / 100
    for change in changes:
        print(_line(change, threshold))
    for told in alone:
        print(told)
    counts = [change.verdict(threshold) for change in changes]
    commits = [str(run.machine.get("commit", "unknown")) for run in runs]
    print(f"from commit {commits[0]} to {commits[1]}", file=sys.stderr)
    words = (IMPROVED, REGRESSED, WITHIN_NOISE)
    print(", ".join(f"{counts.count(word)} {word}" for word in words), file=sys.stderr)
    return REGRESSION if asked.gate and REGRESSED in counts else 0


def _read(path: Path) -> Run:
    """Reads one run, or ends: a file that is none is a wrong call."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return from_json(document if isinstance(document, dict) else {})
    except (OSError, json.JSONDecodeError, KeyError, TypeError, UnknownSchemaError) as error:
        print(f"{path}: no results can be read here ({type(error).__name__})", file=sys.stderr)
        raise SystemExit(2) from error


if __name__ == "__main__":
    raise SystemExit(main())
