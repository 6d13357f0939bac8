"""What waits for one subscriber, and what becomes of it when that is too much."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from interlaced.core.filter import Filter
from interlaced.core.frame import OverflowPolicy
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Entry, Missing, Ring

__all__ = ["RULES", "Backlog", "Full", "Rule"]

_MOST_GAPS = 16  # for one reason


class Full(enum.Enum):
    """What a rule did about a full buffer."""

    RELIEVED = enum.auto()
    """It made room."""
    WAITS = enum.auto()
    """It made none: the buffer may stand full until the subscriber's timeout."""
    ENDS = enum.auto()
    """The subscriber is to be disconnected."""


class Backlog:
    """A subscriber's place in the ring: everything from `index` on waits for it.

    What was there before it came does not count against its `buffer`. `kept` holds what a rule
    has taken out of the ring; it goes out as one frame, so it is held below `frame_bytes`.
    """

    __slots__ = (
        "_counted",
        "_matching",
        "buffer",
        "dropped",
        "filter",
        "frame_bytes",
        "gaps",
        "index",
        "kept",
        "kept_bytes",
        "mark",
        "ring",
    )

    def __init__(self, ring: Ring, wanted: Filter, *, buffer: int, frame_bytes: int) -> None:
        self.ring = ring
        self.filter = wanted
        self.buffer = buffer
        self.frame_bytes = frame_bytes
        self.kept: dict[str | int, Entry] = {}
        self.dropped = 0
        self.gaps: list[Missing] = []
        self.seat(ring.end)

    def seat(self, index: int) -> None:
        """Goes to this number of the ring."""
        self.index = self._counted = index
        self.mark = self.ring.end
        self._matching = 0
        self.kept.clear()
        self.kept_bytes = 0

    def move(self, index: int) -> None:
        """Goes on to this number, since everything before it is dealt with."""
        self.index = index
        if self._counted != index:
            self._counted, self._matching = index, 0

    def waiting(self) -> int:
        """Returns how many events wait, of those that came after the subscriber."""
        start = max(self.index, self.mark)
        upper = self.ring.end - start
        if upper <= self.buffer or not self.filter.canonical:
            return upper
        if self._counted < start:
            self._counted, self._matching = start, 0
        fresh = self.ring.items(self._counted, self.ring.end)
        self._matching += sum(isinstance(i, Entry) and self.filter.matches(i) for i in fresh)
        self._counted = self.ring.end
        return self._matching

    def pending(self, until: int) -> Iterator[tuple[int, Entry]]:
        """Yields the events that are wanted before number `until`, and collects the gaps."""
        for number, item in enumerate(self.ring.items(self.index, until), self.index):
            if isinstance(item, Missing):
                self._collect(item)
            elif self.filter.matches(item):
                yield number, item

    def skip(self, events: int) -> None:
        """Drops the oldest events that wait, so many of them."""
        if events <= 0:
            return
        last = self.index
        for number, _ in self.pending(self.ring.end):
            last = number
            self.dropped += 1
            events -= 1
            if events == 0:
                break
        self.move(last + 1)

    def skip_until(self, until: int) -> None:
        """Drops everything before number `until`."""
        self.dropped += sum(1 for _ in self.pending(until))
        self.move(until)

    def take_first(self, until: int) -> None:
        """Takes one frame's worth out of the ring, and tells what it loses before `until`."""
        for number, entry in self.pending(self.ring.end):
            if self.kept and self.kept_bytes + len(entry.data) > self.frame_bytes:
                self.move(number)
                break
            self.keep(number, entry)
        else:
            self.move(self.ring.end)
        if self.index < until:
            self._collect(Missing(Gap(GapWhy.EXPIRED), self.ring.place_before(until)))
            self.move(until)

    def _collect(self, missing: Missing) -> None:
        """Keeps a skipped gap; too many for one reason become one without bounds."""
        why = missing.gap.why
        same = [m.gap for m in self.gaps if m.gap.why is why]
        if missing.gap in same:
            return
        if len(same) >= _MOST_GAPS:
            self.gaps = [m for m in self.gaps if m.gap.why is not why]
            missing = Missing(Gap(why), missing.place)
        self.gaps.append(missing)

    def keep(self, key: str | int, entry: Entry) -> None:
        """Takes an event out of the ring; an earlier one under this key is dropped."""
        self.forget(key)
        self.kept[key] = entry
        self.kept_bytes += len(entry.data)

    def forget(self, key: str | int) -> None:
        """Drops what is kept under this key."""
        old = self.kept.pop(key, None)
        if old is not None:
            self.kept_bytes -= len(old.data)
            self.dropped += 1

    def is_over(self) -> bool:
        """Whether more is kept than may wait."""
        return len(self.kept) > self.buffer or self.kept_bytes > self.frame_bytes


Rule: TypeAlias = Callable[[Backlog, int], Full]
"""Deals with a full buffer. Everything before the number in the second argument leaves the ring."""


def _block(backlog: Backlog, until: int) -> Full:
    if backlog.index < until:
        return Full.ENDS
    return Full.WAITS if backlog.waiting() > backlog.buffer else Full.RELIEVED


def _disconnect(backlog: Backlog, until: int) -> Full:
    return Full.RELIEVED if _block(backlog, until) is Full.RELIEVED else Full.ENDS


def _drop_oldest(backlog: Backlog, until: int) -> Full:
    if backlog.index < until:
        backlog.skip_until(until)
    backlog.skip(backlog.waiting() - backlog.buffer)
    return Full.RELIEVED


def _drop_newest(backlog: Backlog, _until: int) -> Full:
    """Keeps the first that fit. Once one was dropped, so is all that follows until the frame has
    gone: otherwise its cursor would stand for events on both sides of a hole."""
    for number, entry in backlog.pending(backlog.ring.end):
        if backlog.dropped:
            backlog.dropped += 1
            continue
        backlog.keep(number, entry)
        if backlog.is_over() and len(backlog.kept) > 1:
            backlog.forget(number)
    backlog.move(backlog.ring.end)
    return Full.RELIEVED


def _conflate(backlog: Backlog, _until: int) -> Full:
    for _, entry in backlog.pending(backlog.ring.end):
        backlog.keep(entry.key, entry)
        while backlog.is_over() and len(backlog.kept) > 1:
            backlog.forget(next(iter(backlog.kept)))
    backlog.move(backlog.ring.end)
    return Full.RELIEVED


RULES: Mapping[OverflowPolicy, Rule] = {
    OverflowPolicy.BLOCK: _block,
    OverflowPolicy.DISCONNECT: _disconnect,
    OverflowPolicy.DROP_OLDEST: _drop_oldest,
    OverflowPolicy.DROP_NEWEST: _drop_newest,
    OverflowPolicy.CONFLATE: _conflate,
}
"""The rule of each policy."""
