"""Axes of plots: where a value lies, which ticks it gets, and how a number is written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Axis", "Scale", "fit", "number", "tick_text"]

_STEPS = (1, 2, 2.5, 5, 10)
_WIDE_SPAN = 8.0
"""From this ratio of greatest to least on, a logarithmic axis shows more than a linear one."""


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows. `log` of None chooses by the span; `zero` starts a linear one at 0.

    `holds` are values that it reaches in any case, so that plots side by side share their axes.
    """

    label: str
    log: bool | None = None
    zero: bool = False
    holds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Scale:
    """A mapping of values from `low` to `high` onto pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Return the pixel of `value`; what lies outside of the axis lies on its end."""
        share = self._share(min(max(value, self.low), self.high))
        return self.start + (self.end - self.start) * share

    def _share(self, value: float) -> float:
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def fit(values: Iterable[float], axis: Axis, *, start: float, end: float) -> Scale:
    """Return a scale that holds every value, on ends that are ticks. It takes any finite values."""
    kept = [value for value in (*values, *axis.holds) if math.isfinite(value)] or [0.0, 1.0]
    least, most = min(kept), max(kept)
    log = axis.log if axis.log is not None else least > 0 and most / least >= _WIDE_SPAN
    if log and most > 0:
        ticks = _log_ticks(max(least, most / 1e6), most)
        return Scale(ticks[0], ticks[-1], start, end, log=True, ticks=ticks)
    ticks = _linear_ticks(min(least, 0.0) if axis.zero else least, most)
    return Scale(ticks[0], ticks[-1], start, end, log=False, ticks=ticks)


def _linear_ticks(least: float, most: float, *, about: int = 5) -> tuple[float, ...]:
    if most <= least:
        pad = abs(least) / 2 or 1.0
        least, most = least - pad if least else 0.0, most + pad
    raw = (most - least) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in _STEPS if factor * power >= raw * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return tuple(round(index * step, 12) for index in range(first, last + 1))


def _log_ticks(least: float, most: float) -> tuple[float, ...]:
    """Ticks at 1, 2 and 5 of each power where few are needed, at powers alone where many are."""
    marks: Sequence[int] = (1, 2, 5) if most / least < 150 else (1,)
    first, last = math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 1
    every = [mark * 10.0**power for power in range(first, last + 1) for mark in marks]
    below = [tick for tick in every if tick <= least * 1.0001]
    above = [tick for tick in every if tick >= most * 0.9999]
    low, high = below[-1], above[0]
    if low >= high:
        high = above[1]
    return tuple(tick for tick in every if low <= tick <= high)


def tick_text(value: float) -> str:
    """Return a tick as short as it can be: 0.5, 20, 5k, 2M."""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * (10 if letter == "k" else 1):
            return f"{value / unit:g}{letter}"
    return f"{value:,g}" if abs(value) < 1e4 else f"{value:,.0f}"


def number(value: float, *, digits: int = 3) -> str:
    """Return a measured value to three digits, or as many as said: 0.123, 12.3, 1,230."""
    if not math.isfinite(value):
        return "n/a"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):,.{max(0, min(places, 6))}f}"
