"""Flame graphs: who called whom, and for how much of the time, drawn from the top down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.flames import Flame
from benchmarks.harness.stacks import Call
from benchmarks.report.data import NOT_MEASURED
from benchmarks.report.markup import Safe, escape, folded, paragraph, section
from benchmarks.report.wording import side_name

__all__ = ["draw", "flames"]

WIDTH, ROW = 1000.0, 17.0
_LETTER = 6.1
"""How wide a letter is, about."""
_LEAST_TEXT = 5
"""A box with room for fewer letters has none."""
_OURS = ("interlaced/", "interlace/", "benchmarks/")
_HEADING = "Where does the time go?"
_SAID = (
    "What the serving process does under load, sampled by py-spy with native frames: the thread of "
    "its loop alone, since gRPC's own threads mostly wait. A box is a function, as wide as its "
    "share of the samples, beneath the one that called it; blue ones are of this repository. Hover "
    "over one, or let it be read, for its share. A process that is sampled is slower: shares say "
    "more than times, and no other figure of this page comes from it."
)


@dataclass(frozen=True, slots=True)
class _Box:
    call: Call
    x: float
    width: float
    depth: int


def flames(found: Sequence[Flame]) -> Safe:
    """Return the section: a folded graph for each scenario and side."""
    if not found:
        return section("flames", _HEADING, [NOT_MEASURED])
    return section("flames", _HEADING, [paragraph(_SAID), *map(_folded, found)])


def _folded(flame: Flame) -> Safe:
    name = f"{flame.name}, {side_name(flame.side)}"
    plot = f'<div class="scroll">{draw(flame.root, name)}</div>'
    return folded(f"{name}, {flame.root.samples:,} samples", plot)


def draw(root: Call, title: str) -> Safe:
    """Return a tree as SVG; every box says its name, its file and its share."""
    boxes = list(_lay_out(root, 0.0, WIDTH, 0))
    height = ROW * (1 + max((box.depth for box in boxes), default=0))
    drawn = "".join(_draw_box(box, root.samples) for box in boxes)
    return Safe(
        f'<svg class="flame" viewBox="0 0 {WIDTH:g} {height:g}" role="img">'
        f"<title>{escape(title)}</title>{drawn}</svg>"
    )


def _lay_out(call: Call, x: float, width: float, depth: int) -> Iterator[_Box]:
    """Yield the boxes of the calls from here, the widest first."""
    for inner in sorted(call.inner.values(), key=lambda one: -one.samples):
        share = width * inner.samples / call.samples
        yield _Box(inner, x, share, depth)
        yield from _lay_out(inner, x, share, depth + 1)
        x += share


def _draw_box(box: _Box, total: int) -> str:
    call, y = box.call, box.depth * ROW
    told = f"{call.name} ({call.place}): {100 * call.samples / total:.1f} %"
    kind = (
        "ours" if call.place.startswith(_OURS) else "py" if call.place[-3:] == ".py" else "native"
    )
    room = int(box.width / _LETTER)
    text = ""
    if room >= _LEAST_TEXT:
        name = call.name if len(call.name) <= room else f"{call.name[: room - 1]}…"
        text = f'<text x="{box.x + 3:.1f}" y="{y + ROW - 5:.1f}">{escape(name)}</text>'
    return (
        f'<g class="{kind}"><title>{escape(told)}</title><rect x="{box.x:.1f}" y="{y:g}" '
        f'width="{max(0.5, box.width - 0.5):.1f}" height="{ROW - 1:g}"/>{text}</g>'
    )
