"""Latency against the offered rate, with the knee: the highest rate that is served in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.figures import sides, values
from benchmarks.harness.results import BASELINE, INTERLACE, Case
from benchmarks.report.data import Extra, Results, case_table
from benchmarks.report.higher import overload
from benchmarks.report.markup import Safe, figure, paragraph, strong
from benchmarks.report.measured import LEAST_CALLS, middle_of, pairs, timed
from benchmarks.report.plot import Mark, Series, lines
from benchmarks.report.scale import Axis, number
from benchmarks.report.wording import DASH, listed, side_name

__all__ = ["ceilings", "knee", "latency", "offered"]

_STRETCH = 5.0
"""Past the knee p99 is more than this many times the best one."""
_HOW = (
    "Open loop: calls are sent at a constant rate whatever comes back, and each is timed from "
    "the moment at which it was planned to be sent. The knee is the highest rate that is "
    "answered without an error, by at least 95 %, and with a p99 of no more than "
    f"{_STRETCH:g} times the best one. Both sides are offered the same rates."
)
_PERCENTILES = (("p50_ms", "p50", ""), ("p99_ms", "p99", " dash"), ("p999_ms", "p99.9", " fine"))


def latency(results: Results) -> list[str]:
    """Return the parts of the section: one plot per side on the same axes, and the tables."""
    cases, beyond = results.find("sweep", "latency"), results.find("overload")
    plots = [plot for side in (INTERLACE, BASELINE) for plot in _plot(cases, side)]
    most = ceilings(results)
    parts = [paragraph(_HOW), *_told(cases, most)]
    if plots:
        parts.append(Safe('<div class="plots">' + "".join(plots) + "</div>"))
    share: Extra = ("of its own ceiling", lambda case, side: _share(case, side, most))
    named = _named(cases, most)
    told = case_table("Latency against the offered rate", named, extra=share if most else None)
    return [
        *parts,
        told,
        *_truncated([*cases, *beyond]),
        *(paragraph(one) for one in overload(results)),
        case_table("Overload: each side is offered 150 % of its own ceiling", beyond),
    ]


def ceilings(results: Results) -> dict[str, float]:
    """Return the most that each side answered in a closed loop, per second.

    The overload was offered as a share of it, so it is read back from there; empty without one.
    """
    return {
        side: rate * 100 / share
        for case in results.find("overload")
        for side in sides(case)
        if (rate := middle_of(case, side, "offered"))
        and isinstance(share := case.variant.get("share"), int | float)
    }


def _told(cases: Sequence[Case], most: Mapping[str, float]) -> list[str]:
    """Whose ceilings the rates are shares of, and how much was measured for each."""
    if not cases:
        return []
    told = []
    if len(most) > 1:
        each = listed([f"{side_name(side)} {rate:,.0f}/s" for side, rate in most.items()])
        told.append(f"Ceilings in a closed loop: {each}. The rates are shares of the higher one.")
    counts = [
        timed(case, side) for case in cases for side in sides(case) if values(case, side, "calls")
    ]
    bends = [(side, bend) for side in (INTERLACE, BASELINE) if (bend := knee(cases, side))]
    if bends:
        each = listed([f"{side_name(side)} {strong(f'{rate:,.0f}/s')}" for side, rate in bends])
        told.append(f"The knee: {each}.")
    if counts:
        windows = max(pairs(case) for case in cases)
        told.append(
            f"Each row is the median of {windows} windows; a window timed {min(counts):,.0f} to "
            f"{max(counts):,.0f} calls, and p99.9 needs {LEAST_CALLS['p999_ms']:,}."
        )
    return [paragraph(Safe(" ".join(told)))] if told else []


def _named(cases: Sequence[Case], most: Mapping[str, float]) -> list[Case]:
    """The cases with the side named whose ceiling they are shares of."""
    if not most:
        return list(cases)
    whose = side_name(max(most, key=lambda side: most[side]))
    whose = f"{whose}'s" if whose != BASELINE else "the baseline's"
    return [
        replace(one, variant={"ceiling": f"{one.variant['share']} % of {whose} ceiling"})
        if "share" in one.variant
        else one
        for one in cases
    ]


def _share(case: Case, side: str, most: Mapping[str, float]) -> str:
    rate = offered(case, side)
    return f"{rate / most[side] * 100:.0f} %" if rate and most.get(side) else DASH


def _truncated(cases: Sequence[Case]) -> list[str]:
    """Older records hold the latencies of what was answered within the window alone."""
    every = [key for case in cases for one in case.samples for key in one.values]
    if not every or {"goodput", "drain_ms"} & set(every):
        return []
    return [paragraph(_WITHIN, kind="soft")]


_WITHIN = (
    "Timed is what was answered within its window. Where a side is offered more than it answers, "
    "what came later is not in these percentiles: its true latency is higher."
)


def offered(case: Case, side: str) -> float | None:
    """Return the rate that was offered, per second: measured, or as the variant has it."""
    measured = middle_of(case, side, "offered")
    planned = case.variant.get("rate", case.variant.get("offered"))
    return measured or (float(planned) if isinstance(planned, int | float) else None)


def knee(cases: Sequence[Case], side: str) -> float | None:
    """Return the highest offered rate that is served in time; None without two rates.

    In time: without an error, nearly all of what was offered, and p99 not far from the best one.
    """
    at = [
        (rate, p99, _is_served(case, side, rate))
        for case in cases
        if (rate := offered(case, side)) is not None
        and (p99 := middle_of(case, side, "p99_ms")) is not None
    ]
    if len(at) < 2:
        return None
    best = min(p99 for _, p99, _ in at)
    return max(
        (rate for rate, p99, is_served in at if is_served and p99 <= _STRETCH * best), default=None
    )


def _is_served(case: Case, side: str, rate: float) -> bool:
    answered = middle_of(case, side, "rate")
    return not sum(values(case, side, "errors")) and (answered is None or answered >= 0.95 * rate)


def _series(cases: Sequence[Case], side: str) -> list[Series]:
    tone = "ours" if side == INTERLACE else "theirs"
    series = []
    for key, name, dash in _PERCENTILES:
        found = [(offered(case, side), middle_of(case, side, key)) for case in cases]
        at = sorted((rate, ms) for rate, ms in found if rate is not None and ms is not None)
        series.append(Series(name, at, tone + dash))
    return series


def _plot(cases: Sequence[Case], side: str) -> list[str]:
    series = _series(cases, side)
    if not any(len(one.points) > 1 for one in series):
        return []
    bend = knee(cases, side)
    marks = [Mark(bend, f"knee {bend:,.0f}/s")] if bend else []
    told = "; ".join(
        f"{one.name}: "
        + ", ".join(f"{number(ms)} ms at {number(rate)}/s" for rate, ms in one.points)
        for one in series
    )
    title = f"{side_name(side).capitalize()}: latency against the offered rate"
    both = [
        at for one in (INTERLACE, BASELINE) for each in _series(cases, one) for at in each.points
    ]
    plot = lines(
        *(title, told, series),
        x=Axis("offered calls per s", log=False, zero=True, holds=tuple(rate for rate, _ in both)),
        y=Axis("ms", log=True, holds=tuple(ms for _, ms in both)),
        marks=marks,
    )
    return [figure(plot, title)]
