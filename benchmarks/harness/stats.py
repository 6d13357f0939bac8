"""Medians, quartiles and bootstrap intervals. Nothing is ever left out as an outlier."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Sequence

from benchmarks.harness.results import Interval

__all__ = ["bootstrap", "iqr", "median", "paired_ratio", "percentile", "ratio"]

RESAMPLES = 2_000
COVERAGE = 0.95
SEED = 20_261_122


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

    A round's two windows saw the same machine, so pairs are drawn, never their halves. Raise
    ValueError where the two differ in number.
    """
    return bootstrap([own / other for own, other in zip(ours, theirs, strict=True)])


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
