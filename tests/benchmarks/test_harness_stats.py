"""Ratios come from pairs, intervals hold the middle, and nothing is left out."""

from __future__ import annotations

import pytest
from benchmarks.harness.stats import (
    ENOUGH_PAIRS,
    bootstrap,
    coverage,
    few_pairs,
    iqr,
    median,
    paired_ratio,
    percentile,
    ratio,
)


def test_an_interval_holds_its_middle_and_is_the_same_each_time() -> None:
    values = [3.0, 1.0, 2.0, 9.0, 2.5]
    interval = bootstrap(values)
    assert interval.low <= interval.mid <= interval.high
    assert interval.mid == median(values)
    assert bootstrap(values) == interval


def test_pairs_take_a_drift_of_the_machine_out_of_the_ratio() -> None:
    drifting = [100.0, 200.0, 400.0, 800.0]
    assert paired_ratio([value / 2 for value in drifting], drifting).high == pytest.approx(0.5)


def test_pairs_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        paired_ratio([1.0, 2.0], [1.0, 2.0, 3.0])


def test_one_outlier_widens_the_interval_and_stays() -> None:
    calm, wild = bootstrap([1.0] * 9), bootstrap([1.0] * 5 + [50.0] * 4)
    assert calm.high == 1.0
    assert wild.high == 50.0


def test_an_interval_of_pairs_is_never_narrower_than_what_holds_whatever_they_are() -> None:
    six = paired_ratio([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0] * 6)
    assert (six.low, six.high) == (1.0, 6.0)  # [2, 5] holds the median in 78 %
    nine = paired_ratio([float(value) for value in range(1, 10)], [1.0] * 9)
    assert nine.low <= 2.0
    assert nine.high >= 8.0


def test_six_pairs_are_the_fewest_for_95_percent() -> None:
    assert coverage(ENOUGH_PAIRS) >= 0.95
    assert coverage(ENOUGH_PAIRS - 1) < 0.95
    assert few_pairs(ENOUGH_PAIRS) == []
    assert "3 pairs" in few_pairs(3)[0]


def test_sides_that_are_no_pairs_are_drawn_apart() -> None:
    found = ratio([1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0])
    assert (found.low, found.mid, found.high) == (0.5, 0.5, 0.5)


def test_quartiles_and_percentiles() -> None:
    assert iqr([1.0, 2.0, 3.0, 4.0, 5.0]) == 2.0
    assert iqr([7.0]) == 0.0
    assert percentile([float(value) for value in range(1, 101)], 0.99) == 99.0
    assert percentile([5.0], 0.5) == 5.0
    assert percentile([], 0.5) == 0.0
