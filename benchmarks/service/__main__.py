"""`python -m benchmarks.service`: the whole service beside its hand-written peer.

Ends with 1 where a case failed: an error in a window, unequal answers, unequal work.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.service.measure import Pace
from benchmarks.service.plan import Plan
from benchmarks.service.run import has_failed, run_to_end
from benchmarks.service.scenarios import ALL, QUICK

__all__ = ["main"]

OUTPUT = Path("build/bench/service.json")
QUICK_PACE = Pace(seconds=0.25, rounds=10, ramp=0.1, warm=0.4)
"""Short windows, many of them: a machine whose pace changes within seconds then changes it for both
sides of nearly every pair."""
WHOLE_PACE = Pace(seconds=2.0, rounds=9, ramp=0.4, warm=2.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, tell it, and write it."""
    asked = _parser().parse_args(arguments)
    names = asked.only or (QUICK if asked.quick else tuple(ALL))
    base = QUICK_PACE if asked.quick else WHOLE_PACE
    pace = Pace(
        seconds=asked.seconds or base.seconds,
        rounds=asked.rounds or base.rounds,
        ramp=min(base.ramp, (asked.seconds or base.seconds) / 2),
        warm=asked.seconds or base.warm,
    )
    command = shlex.join(["python", "-m", "benchmarks.service", *(arguments or sys.argv[1:])])
    plan = Plan(pace, is_quick=asked.quick)
    try:
        done = run_to_end(names, plan, command=command, path=asked.json)
    except (asyncio.CancelledError, KeyboardInterrupt):
        print("stopped; what was measured before is written", file=sys.stderr)
        return 130
    print(f"written to {asked.json}")
    return 1 if has_failed(done.cases) else 0


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in ALL]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"unknown: {', '.join(unknown)}; there is {', '.join(ALL)}"
        )
    return names


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only what decides a budget")
    parser.add_argument("--only", type=_names, help="these scenarios, with commas between")
    parser.add_argument("--seconds", type=_positive, help="how long a timed window is")
    parser.add_argument("--rounds", type=int, help="how many windows each side has")
    parser.add_argument("--json", type=Path, default=OUTPUT, help="where the results go")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
