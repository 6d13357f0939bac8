"""The ring: the last events of a feed, encoded, under numbers that only grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interlaced.core.cursor import Origin, Place
from interlaced.core.model import Gap

__all__ = ["Entry", "Item", "Missing", "Ring"]

_OVERHEAD = 320  # bytes that an entry takes beside its encoded event, measured on CPython 3.11
_COMPACT = 1024


@dataclass(slots=True)
class Entry:
    """An event, encoded once, with what filters and conflation look at."""

    data: bytes
    epoch: int
    position: bytes
    type: str
    source: str
    subject: str
    key: str

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes."""
        return len(self.data) + _OVERHEAD


@dataclass(slots=True, frozen=True)
class Missing:
    """A gap at its place among the events; `place` is where to resume behind it."""

    gap: Gap
    place: Place

    @property
    def size(self) -> int:
        """What it takes in memory, in bytes."""
        return _OVERHEAD


Item: TypeAlias = Entry | Missing


class Ring:
    """Holds items from number `first` up to but without `end`, bounded in count and bytes.

    `life` (0 to 2**32 - 1) names this ring; `epoch` is that of the history which it holds. Whoever
    appends trims: `surplus` says up to where, so that readers can be moved on before.
    """

    __slots__ = (
        "_base",
        "_items",
        "_max_bytes",
        "_max_events",
        "_places",
        "bytes",
        "end",
        "epoch",
        "first",
        "floor",
        "life",
    )

    def __init__(self, life: int, *, max_events: int, max_bytes: int) -> None:
        self.life = life
        self.epoch = life
        self.first = 0
        self.end = 0
        self.bytes = 0
        self.floor = Place(life)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._base = 0  # the number of _items[0]; what lies before `first` is None
        self._items: list[Item | None] = []
        self._places: dict[bytes, int] = {}

    def append(self, item: Item) -> None:
        """Adds an item at `end`."""
        self._items.append(item)
        self.bytes += item.size
        # a gap has a place of its own only where it stands for an event
        position = _place_after(item).position
        if position and (isinstance(item, Entry) or position not in self._places):
            self._places[position] = self.end
        self.end += 1

    def bound(self, max_events: int, max_bytes: int) -> None:
        """Changes the bounds; the next `surplus` follows them."""
        self._max_events = max_events
        self._max_bytes = max_bytes

    def begin_at(self, floor: Place, epoch: int) -> None:
        """Begins behind a place that another process's ring begins behind; only while empty."""
        self.floor = floor
        self.epoch = epoch

    def begin_epoch(self, epoch: int) -> None:
        """Goes on with another history: places of the one before are no longer found."""
        self.epoch = epoch
        self._places.clear()

    def surplus(self) -> int:
        """Returns the number up to which `trim` must go to keep the bounds; the newest stays."""
        keep = max(self.first, self.end - self._max_events)
        left = self.bytes
        for number in range(self.first, keep):
            left -= self[number].size
        while left > self._max_bytes and keep < self.end - 1:
            left -= self[keep].size
            keep += 1
        return keep

    def trim(self, until: int) -> None:
        """Forgets everything before number `until`."""
        for number in range(self.first, until):
            item = self[number]
            self.bytes -= item.size
            self._items[number - self._base] = None
            self.floor = _place_after(item)
            if self._places.get(self.floor.position) == number:
                del self._places[self.floor.position]
        self.first = max(self.first, until)
        dead = self.first - self._base
        if dead > _COMPACT and dead * 2 > len(self._items):
            del self._items[:dead]
            self._base = self.first

    def __getitem__(self, number: int) -> Item:
        item = self._items[number - self._base] if number >= self._base else None
        if item is None:
            raise IndexError("the ring no longer holds this number")
        return item

    def items(self, start: int, end: int) -> Sequence[Item]:
        """Returns what it holds from number `start` up to but without `end`."""
        if start < self.first:
            raise IndexError("the ring no longer holds this number")
        found = self._items[start - self._base : end - self._base]
        return [item for item in found if item is not None]

    def place_before(self, number: int) -> Place:
        """Returns the place that a reader is at whose next number is this one."""
        if number <= self.first:
            return self.floor
        return _place_after(self[number - 1])

    def after(self, place: Place) -> int | None:
        """Returns the number that follows a place, or None if the ring does not know it."""
        if place.origin is not Origin.POSITION:
            return None
        if place == self.floor:
            return self.first
        if place.epoch != self.epoch or not place.position:
            return None
        number = self._places.get(place.position)
        return None if number is None else number + 1


def _place_after(item: Item) -> Place:
    if isinstance(item, Entry):
        return Place(item.epoch, item.position)
    return item.place
