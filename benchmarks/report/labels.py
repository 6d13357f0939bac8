"""Labels of plots that do not lie on each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["LINE_HEIGHT", "Box", "Placed", "place", "spread", "text_width"]

LINE_HEIGHT = 15.0
_WIDTH_OF_A_LETTER = 7.2
_GAP = 8.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    def overlap(self, other: Box) -> float:
        """Return the area that both cover."""
        across = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        down = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(across, 0.0) * max(down, 0.0)

    def outside(self, frame: Box) -> float:
        """Return the area that lies outside of `frame`."""
        return self.width * self.height - self.overlap(frame)


@dataclass(frozen=True, slots=True)
class Placed:
    """A label at the middle left of its box; `leader` where it stands away from its point."""

    text: str
    box: Box
    leader: bool


def text_width(text: str) -> float:
    """Return about how wide a text is, in pixels at the size of the plots' labels."""
    return len(text) * _WIDTH_OF_A_LETTER


def place(
    points: Sequence[tuple[str, float, float]], frame: Box, *, avoid: Sequence[Box] = ()
) -> list[Placed]:
    """Return one label per point, each at the free place nearest to it, inside `frame`."""
    taken = [*avoid, *(Box(x - 5, y - 5, 10, 10) for _, x, y in points)]
    placed = []
    for text, x, y in points:
        boxes = list(_candidates(text, x, y))
        others = [Box(ox - 5, oy - 5, 10, 10) for _, ox, oy in points if (ox, oy) != (x, y)]
        costs = [
            _cost(box, taken, frame) + _doubt(box, others) + rank for rank, box in enumerate(boxes)
        ]
        best = min(range(len(boxes)), key=costs.__getitem__)
        taken.append(boxes[best])
        placed.append(Placed(text, boxes[best], leader=best >= _NEAR))
    return placed


def spread(wanted: Sequence[float], *, low: float, high: float) -> list[float]:
    """Return heights near the wanted ones, a line apart from each other, in the same order."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    heights = list(wanted)
    floor = low
    for index in order:
        heights[index] = max(wanted[index], floor)
        floor = heights[index] + LINE_HEIGHT
    ceiling = high
    for index in reversed(order):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - LINE_HEIGHT
    return heights


_NEAR = 8
"""The candidates before this one touch their point; those after it need a leader line."""


def _candidates(text: str, x: float, y: float) -> Iterable[Box]:
    """Places around a point, the best to read first, then the same further away."""
    width, height = text_width(text), LINE_HEIGHT
    for away in (1.0, 3.0, 5.0):
        gap, shift = _GAP * away, height * (away - 1)
        for left, top in (
            (x + gap, y - height / 2),
            (x - gap - width, y - height / 2),
            (x - width / 2, y - gap - height),
            (x - width / 2, y + gap),
            (x + gap * 0.7, y - height - shift / 2 - 2),
            (x + gap * 0.7, y + shift / 2 + 2),
            (x - gap * 0.7 - width, y - height - shift / 2 - 2),
            (x - gap * 0.7 - width, y + shift / 2 + 2),
        ):
            yield Box(left, top, width, height)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    """How much a label would hide, or how far it would reach out of the frame."""
    return sum(box.overlap(other) for other in taken) * 20 + box.outside(frame) * 20


def _doubt(box: Box, others: Sequence[Box]) -> float:
    """How much a label seems to belong to a point that is not its own."""
    near = Box(box.x - 9, box.y - 3, box.width + 18, box.height + 6)
    return sum(near.overlap(other) for other in others) / 8
