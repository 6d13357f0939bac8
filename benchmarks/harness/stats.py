"""Medians, quartiles and bootstrap intervals. Nothing is ever left out as an outlier."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence

from benchmarks.harness.results import Interval

__all__ = [
    "ENOUGH_PAIRS",
    "bootstrap",
    "coverage",
    "few_pairs",
    "iqr",
    "median",
    "paired_ratio",
    "percentile",
    "ratio",
]

RESAMPLES = 2_000
COVERAGE = 0.95
SEED = 20_261_122
ENOUGH_PAIRS = 6
"""From so many pairs on their least and their greatest hold the true median in 95 % of all runs."""


def median(values: Sequence[float]) -> float:
    """Return the median. Raise statistics.StatisticsError for no values."""
    return statistics.median(values)


def iqr(values: Sequence[float]) -> float:
    """Return the distance between the quartiles; 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` (0 to 1) of all are no greater than; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float] = statistics.median,
    *,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return `statistic` of `values` with its 95 % percentile bootstrap interval.

    The seed is fixed: the same values give the same interval on every machine.
    """
    chance = random.Random(SEED)
    count = len(values)
    drawn = sorted(statistic(chance.choices(values, k=count)) for _ in range(resamples))
    return _interval(drawn, statistic(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return ours : theirs from windows that ran in turn: the median of the rounds' ratios.

    A round's two windows saw the same machine, so pairs are drawn, never their halves. A bootstrap
    of a few pairs is narrower than its 95 %, so the interval is never narrower than the one between
    two of the ratios that holds the median in 95 % whatever their distribution is; below six pairs
    there is none, see `coverage`. Raise ValueError where the two differ in number.
    """
    ratios = sorted(own / other for own, other in zip(ours, theirs, strict=True))
    drawn, place = bootstrap(ratios), _outermost(len(ratios))
    return Interval(min(drawn.low, ratios[place]), drawn.mid, max(drawn.high, ratios[-1 - place]))


def coverage(pairs: int) -> float:
    """Return in which share of runs the whole range of so many ratios holds the true median."""
    return 1 - 0.5 ** (pairs - 1) if pairs else 0.0


def few_pairs(pairs: int) -> list[str]:
    """Return the note that so few pairs need, or none: their interval is not one of 95 %."""
    if pairs >= ENOUGH_PAIRS:
        return []
    told = "1 pair" if pairs == 1 else f"{pairs} pairs"
    return [f"{told}: the interval is one of {coverage(pairs):.0%}, not of 95 %"]


def _outermost(pairs: int) -> int:
    """Return how many ratios may lie outside on each side with 95 % kept, by the sign test."""
    place, outside = 0, 2 * 0.5**pairs
    while outside <= 1 - COVERAGE:
        place += 1
        outside += 2 * math.comb(pairs, place) * 0.5**pairs
    return max(0, place - 1)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Return median(ours) : median(theirs) of windows that are no pairs; sides are drawn apart."""
    chance = random.Random(SEED)
    drawn = sorted(
        statistics.median(chance.choices(ours, k=len(ours)))
        / statistics.median(chance.choices(theirs, k=len(theirs)))
        for _ in range(RESAMPLES)
    )
    return _interval(drawn, statistics.median(ours) / statistics.median(theirs))


def _interval(ordered: Sequence[float], mid: float) -> Interval:
    tail = (1 - COVERAGE) / 2
    low = ordered[int(tail * len(ordered))]
    high = ordered[min(len(ordered) - 1, int((1 - tail) * len(ordered)))]
    return Interval(low, mid, high)
