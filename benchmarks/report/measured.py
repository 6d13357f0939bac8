"""Which values the page shows, which ratio, and what a ratio says: less, more, or neither."""

from __future__ import annotations

import re
from collections.abc import Iterable
from statistics import median
from typing import Literal

from benchmarks.figures import is_rate, main_key, sides, values
from benchmarks.harness.results import Case, Interval

__all__ = [
    "LEAST_CALLS",
    "Standing",
    "batch_of",
    "counted",
    "interval_of_median",
    "middle_of",
    "pairs",
    "shown_ratio",
    "standing",
    "timed",
]

Standing = Literal["less", "more", "neither"]
LEAST_CALLS = {"p99_ms": 100, "p999_ms": 10_000}
"""Calls in a window from which on a percentile is shown; below them it is one call's time."""
_NEVER_ZERO = frozenset(
    {"p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms", "cpu_us_per_call", "cpu_ms"}
    | {"kb_per_subscriber"}
)
"""A zero here is no figure: nothing was measured in that window."""
_WITHOUT = {"slow_branch": frozenset({"rate", "busy", "load_busy"})}
"""What says nothing in a scenario: a window holds one wave of slow calls, whatever the side."""
_PUBLISHED = re.compile(r"published (\d+) at a time")


def counted(case: Case, side: str, key: str) -> list[float]:
    """Return what one side measured under `key` and what means something, window by window."""
    if key in _WITHOUT.get(case.scenario, ()) or not _has_calls_for(case, side, key):
        return []
    return [one for one in values(case, side, key) if one or key not in _NEVER_ZERO]


def _has_calls_for(case: Case, side: str, key: str) -> bool:
    return key not in LEAST_CALLS or timed(case, side) >= LEAST_CALLS[key]


def timed(case: Case, side: str) -> float:
    """Return how many latencies a window holds in the median: one per call, or one per batch of
    events that reached its last subscriber."""
    calls = values(case, side, "calls")
    subscribers = case.variant.get("subscribers")
    if not calls or not isinstance(subscribers, int) or "subscribe" not in case.scenario:
        return median(calls) if calls else 0.0
    return median(calls) / subscribers / (batch_of(case) or 1)


def batch_of(case: Case) -> int | None:
    """Return how many events a Publish of a feed's case had; None where nothing says so."""
    known = case.variant.get("batch")
    if isinstance(known, int):
        return known
    found = (_PUBLISHED.search(note) for note in case.notes)
    return next((int(one[1]) for one in found if one), None)


def middle_of(case: Case, side: str, key: str) -> float | None:
    """Return the median of what counts; None where nothing does."""
    found = counted(case, side, key)
    return median(found) if found else None


def pairs(case: Case) -> int:
    """Return how many windows of both sides ran in turn; 0 where a case has one side."""
    names = sides(case)
    key = main_key(case)
    return min(len(values(case, side, key)) for side in names[:2]) if len(names) > 1 else 0


def shown_ratio(case: Case) -> Interval | None:
    """Return the ratio of a case; None where a call of either side failed."""
    failed = any(sum(values(case, side, "errors")) for side in sides(case))
    return None if failed else case.ratio


def standing(case: Case) -> Standing | None:
    """Return whether Interlace costs less, more, or neither that can be told; None: no ratio."""
    ratio = shown_ratio(case)
    if ratio is None:
        return None
    more_is_better = case.suite == "codecs" or is_rate(case.unit)
    if ratio.low > 1:
        return "less" if more_is_better else "more"
    if ratio.high < 1:
        return "more" if more_is_better else "less"
    return "neither"


def interval_of_median(found: Iterable[float]) -> tuple[float, float] | None:
    """Return the bounds between which the median lies in 95 %; None for too few values.

    It counts ranks and draws nothing: of 20 values the 6th and the 15th.
    """
    ordered = sorted(found)
    count = len(ordered)
    tail, ways, rank = 0.0, 1.0, 0
    while rank < count:
        tail += ways / 2.0**count
        if tail > 0.025:
            break
        ways = ways * (count - rank) / (rank + 1)
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None
