"""Latency against the offered rate, with the knee: the highest rate that is served in time."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.figures import middle, values
from benchmarks.harness.results import BASELINE, INTERLACE, Case
from benchmarks.report.data import Results, case_table
from benchmarks.report.markup import Safe, figure, paragraph
from benchmarks.report.plot import Mark, Series, lines
from benchmarks.report.scale import Axis, number

__all__ = ["knee", "latency", "offered"]

_STRETCH = 5.0
"""Past the knee p99 is more than this many times the best one."""
_PERCENTILES = (("p50_ms", "p50", ""), ("p99_ms", "p99", " dash"), ("p999_ms", "p99.9", " fine"))


def latency(results: Results) -> list[str]:
    """Return the parts of the section: one plot per side on the same axes, and the tables."""
    cases = results.find("sweep", "latency")
    plots = [plot for side in (INTERLACE, BASELINE) for plot in _plot(cases, side)]
    said = (
        "Open loop: calls are sent at a constant rate whatever comes back, and each is timed from "
        "the moment at which it was planned to be sent. The knee is the highest rate that is "
        "answered without an error, by at least 95 %, and with a p99 of no more than "
        f"{_STRETCH:g} times the best one. Both sides are offered the same rates."
    )
    parts = [paragraph(said)]
    if plots:
        parts.append(Safe('<div class="plots">' + "".join(plots) + "</div>"))
    return [
        *parts,
        case_table("Latency against the offered rate", cases),
        case_table(
            "Overload: 150 % of the ceiling, each side of its own", results.find("overload")
        ),
    ]


def offered(case: Case, side: str) -> float | None:
    """Return the rate that was offered, per second: measured, or as the variant has it."""
    measured = middle(case, side, "offered")
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
        and (p99 := middle(case, side, "p99_ms")) is not None
    ]
    if len(at) < 2:
        return None
    best = min(p99 for _, p99, _ in at)
    return max(
        (rate for rate, p99, is_served in at if is_served and p99 <= _STRETCH * best), default=None
    )


def _is_served(case: Case, side: str, rate: float) -> bool:
    answered = middle(case, side, "rate")
    return not sum(values(case, side, "errors")) and (answered is None or answered >= 0.95 * rate)


def _series(cases: Sequence[Case], side: str) -> list[Series]:
    tone = "ours" if side == INTERLACE else "theirs"
    series = []
    for key, name, dash in _PERCENTILES:
        found = [(offered(case, side), middle(case, side, key)) for case in cases]
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
    title = f"{side.capitalize()}: latency against the offered rate"
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
