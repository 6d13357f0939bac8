"""SVG plots, drawn by hand: lines, points with their frontier, and intervals against a limit.

Every plot has a title and a description for those who do not see it, and takes its colors from
classes of the page, so that it is right in light and in dark.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

from benchmarks.report.labels import LINE_HEIGHT, Box, place, spread, text_width
from benchmarks.report.markup import escape
from benchmarks.report.scale import Axis, Scale, fit, tick_text

__all__ = ["Bar", "Mark", "Point", "Series", "intervals", "lines", "points"]

WIDTH, HEIGHT = 460.0, 300.0
_TOP, _BOTTOM, _LEFT, _RIGHT = 30.0, 42.0, 44.0, 16.0
_ASIDE = 76.0
"""Room for the names of points at the right end."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line. `tone` is a class of the page: `ours`, `theirs`, with `dash` or `dot` behind it."""

    name: str
    points: Sequence[tuple[float, float]]
    tone: str = "ours"


@dataclass(frozen=True, slots=True)
class Point:
    """One named point; `best` says that it lies on the frontier."""

    name: str
    x: float
    y: float
    best: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """An upright line at `x` with a word beside it."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of an interval plot. `tone` is `good`, `bad` or `ours`."""

    name: str
    low: float
    mid: float
    high: float
    tone: str


def lines(
    title: str,
    told: str,
    series: Sequence[Series],
    *,
    x: Axis,
    y: Axis,
    marks: Sequence[Mark] = (),
) -> str:
    """Return a plot of lines, each named at its end, with upright marks."""
    shown = [one for one in series if one.points]
    right = max([_RIGHT, *(text_width(one.name) + 14 for one in shown)])
    all_points = [point for one in shown for point in one.points]
    across = fit(
        [*(point[0] for point in all_points), *(mark.x for mark in marks)],
        x,
        start=_LEFT,
        end=WIDTH - right,
    )
    down = fit((point[1] for point in all_points), y, start=HEIGHT - _BOTTOM, end=_TOP)
    parts = [_axes(across, down, x, y)]
    parts += [_mark(mark, across) for mark in marks]
    parts += [_line(one, across, down) for one in shown]
    ends = [down.at(one.points[-1][1]) for one in shown]
    heights = spread(ends, low=_TOP + 4, high=HEIGHT - _BOTTOM)
    for one, height in zip(shown, heights, strict=True):
        at = across.at(one.points[-1][0]) + 8
        parts.append(_text(at, height + 4, one.name, f"name {one.tone}"))
    return _svg(title, told, parts)


def points(title: str, told: str, shown: Sequence[Point], *, x: Axis, y: Axis) -> str:
    """Return a plot of named points; a stepped line joins those on the frontier."""
    across = fit((point.x for point in shown), x, start=_LEFT, end=WIDTH - _ASIDE)
    down = fit((point.y for point in shown), y, start=HEIGHT - _BOTTOM, end=_TOP)
    corners = _frontier(shown, across, down)
    path = " ".join(f"{px:.1f},{py:.1f}" for px, py in corners)
    parts = [_axes(across, down, x, y), f'<polyline points="{path}" class="frontier"/>']
    frame = Box(_LEFT + 2, _TOP - 10, WIDTH - _LEFT - 2, HEIGHT - _TOP - _BOTTOM + 6)
    at = [(point.name, across.at(point.x), down.at(point.y)) for point in shown]
    labels = place(at, frame, avoid=[_around(*ends) for ends in pairwise(corners)])
    for point, label, (_, px, py) in zip(shown, labels, at, strict=True):
        tone = "best" if point.best else "other"
        box = label.box
        if label.leader:
            end = min(max(px, box.x), box.x + box.width)
            parts.append(_segment(px, py, end, box.y + box.height / 2, "leader"))
        parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5" class="{tone}"/>')
        parts.append(_text(box.x, box.y + LINE_HEIGHT - 4, label.text, f"name {tone}"))
    return _svg(title, told, parts)


def intervals(
    title: str, told: str, bars: Sequence[Bar], *, x: Axis, limit: tuple[float, str]
) -> str:
    """Return one row per bar, its interval as a line and its middle as a dot, beside a limit."""
    row = 23.0
    left = max([60.0, *(text_width(bar.name) + 18 for bar in bars)])
    height = 26 + row * len(bars) + _BOTTOM
    values = [value for bar in bars for value in (bar.low, bar.high)]
    across = fit([*values, limit[0]], x, start=left, end=WIDTH - 14)
    floor = height - _BOTTOM
    parts = [_ticks_across(across, top=22, floor=floor)]
    parts.append(_text(WIDTH - 14, height - 8, x.label, "label", anchor="end"))
    parts.append(_segment(across.at(limit[0]), 18, across.at(limit[0]), floor, "limit"))
    parts.append(_text(across.at(limit[0]), 12, limit[1], "name limit", anchor="middle"))
    for index, bar in enumerate(bars):
        y = 22 + row * (index + 0.5)
        parts.append(_text(left - 12, y + 4, bar.name, "tick", anchor="end"))
        parts.append(_segment(across.at(bar.low), y, across.at(bar.high), y, f"bar {bar.tone}"))
        parts.append(
            f'<circle cx="{across.at(bar.mid):.1f}" cy="{y:.1f}" r="5" class="dot {bar.tone}"/>'
        )
    return _svg(title, told, parts, height=height)


def _axes(across: Scale, down: Scale, x: Axis, y: Axis) -> str:
    parts = [_ticks_across(across, top=_TOP, floor=HEIGHT - _BOTTOM)]
    for tick in down.ticks:
        at = down.at(tick)
        parts.append(_segment(across.start, at, across.end, at, "grid"))
        parts.append(_text(across.start - 7, at + 4, tick_text(tick), "tick", anchor="end"))
    middle = (across.start + across.end) / 2
    parts.append(_text(middle, HEIGHT - 8, _scaled(x, across), "label", anchor="middle"))
    parts.append(_text(2, 12, _scaled(y, down), "label"))
    return "".join(parts)


def _scaled(axis: Axis, scale: Scale) -> str:
    return f"{axis.label} (log)" if scale.log else axis.label


def _ticks_across(across: Scale, *, top: float, floor: float) -> str:
    """Upright grid lines with their numbers; a number that would touch its neighbor is left out."""
    parts, free = [], float("-inf")
    for tick in across.ticks:
        at, text = across.at(tick), tick_text(tick)
        parts.append(_segment(at, top, at, floor, "grid"))
        if at - text_width(text) / 2 > free:
            parts.append(_text(at, floor + 17, text, "tick", anchor="middle"))
            free = at + text_width(text) / 2 + 4
    return "".join(parts)


def _line(series: Series, across: Scale, down: Scale) -> str:
    at = [(across.at(x), down.at(y)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="dot {series.tone}"/>' for x, y in at
    )
    return f'<polyline points="{path}" class="line {series.tone}"/>{dots}'


def _frontier(shown: Iterable[Point], across: Scale, down: Scale) -> list[tuple[float, float]]:
    """The corners of the step that joins the points of the frontier, from left to right."""
    best = sorted((point for point in shown if point.best), key=lambda point: (point.x, -point.y))
    corners: list[tuple[float, float]] = []
    for point in best:
        at = across.at(point.x), down.at(point.y)
        corners += [(at[0], corners[-1][1]), at] if corners else [at]
    return corners


def _around(one: tuple[float, float], other: tuple[float, float]) -> Box:
    """The box of a line, where no label should be."""
    x, y = min(one[0], other[0]) - 2, min(one[1], other[1]) - 2
    return Box(x, y, abs(one[0] - other[0]) + 4, abs(one[1] - other[1]) + 4)


def _mark(mark: Mark, across: Scale) -> str:
    at = across.at(mark.x)
    before = at + 6 + text_width(mark.text) > across.end
    where = (at - 5, "end") if before else (at + 5, "start")
    line = _segment(at, _TOP, at, HEIGHT - _BOTTOM, "mark")
    return line + _text(where[0], _TOP + 8, mark.text, "name mark", anchor=where[1])


def _segment(x1: float, y1: float, x2: float, y2: float, tone: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{tone}"/>'


def _text(x: float, y: float, text: str, tone: str, *, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{tone}">{escape(text)}</text>'
    )


def _svg(
    title: str,
    told: str,
    parts: Sequence[str],
    *,
    height: float = HEIGHT,
) -> str:
    name = f"plot-{crc32((title + told).encode()):08x}"
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{escape(title)}</title>'
        f'<desc id="{name}-d">{escape(told)}</desc>{"".join(parts)}</svg>'
    )
