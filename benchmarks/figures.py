"""What a case measured: its main figure, which direction is better, and its name for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from statistics import median

from benchmarks.harness.results import Case, Interval

__all__ = [
    "describe",
    "identify",
    "is_rate",
    "main_key",
    "merged",
    "middle",
    "sides",
    "times_as_good",
    "values",
]

_PREFERRED = ("cpu_us_per_call", "us", "rate", "rss_mb", "bytes")
"""The keys of samples, by how well a ratio of them survives a shared machine."""


def main_key(case: Case) -> str:
    """Return the key of the samples that the case is about: its unit, or the best known one."""
    found = [key for sample in case.samples for key in sample.values]
    if case.unit in found or not found:
        return case.unit
    return next((key for key in _PREFERRED if key in found), found[0])


def is_rate(unit: str) -> bool:
    """Return whether more of this unit is better: rates are, times and sizes are not."""
    word = unit.lower()
    return word in {"rate", "times", "x"} or "/s" in word or word.endswith("per_s")


def sides(case: Case) -> list[str]:
    """Return the sides in the order in which they first ran."""
    return list(dict.fromkeys(sample.side for sample in case.samples))


def values(case: Case, side: str, key: str) -> list[float]:
    """Return what one side measured under `key`, window by window."""
    return [one.values[key] for one in case.samples if one.side == side and key in one.values]


def middle(case: Case, side: str, key: str) -> float | None:
    """Return the median of what one side measured under `key`; None where it measured nothing."""
    found = values(case, side, key)
    return median(found) if found else None


def identify(case: Case) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return what makes a case the same in two runs."""
    variant = tuple(sorted((key, str(value)) for key, value in case.variant.items()))
    return case.suite, case.scenario, variant


def times_as_good(case: Case) -> Interval | None:
    """Return how many times as good the first side is: a ratio of rates is, one of costs is over.

    The codecs' ratios are how many times as fast already.
    """
    ratio = case.ratio
    if ratio is None or case.suite == "codecs" or is_rate(case.unit):
        return ratio
    return Interval(1 / ratio.high, 1 / ratio.mid, 1 / ratio.low) if ratio.low > 0 else None


def merged(cases: Iterable[Case]) -> list[Case]:
    """Return the cases, those that are the same but for their samples made one."""
    found: dict[object, Case] = {}
    for case in cases:
        first = found.setdefault(identify(case), case)
        if first is not case:
            samples, notes = first.samples + case.samples, first.notes + case.notes
            both = replace(first, samples=samples, notes=notes, ratio=first.ratio or case.ratio)
            found[identify(case)] = both
    return list(found.values())


def describe(case: Case) -> str:
    """Return the name of a case for people: its scenario and the variant behind it."""
    told = ", ".join(f"{key}={value}" for key, value in case.variant.items())
    return f"{case.scenario} ({told})" if told else case.scenario
