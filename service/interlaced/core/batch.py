"""Batches: as many waiting events as fit one frame, joined and shared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlaced.core.filter import Filter
from interlaced.core.frame import Frame, FrameKind
from interlaced.core.ring import Entry, Item, Missing, Ring

__all__ = ["BatchMemo", "Taken", "gather"]

_MEMO = 4  # filters; each keeps at most one frame alive


@dataclass(slots=True, frozen=True)
class Taken:
    """What was taken: the bodies of events, or one gap, and how many items that used up."""

    bodies: Sequence[bytes]
    gap: Missing | None
    used: int


def gather(items: Sequence[Item], wanted: Filter, frame_bytes: int) -> Taken:
    """Takes wanted events up to a gap or `frame_bytes`, at least one; a gap comes alone."""
    bodies: list[bytes] = []
    takes_all = not wanted.canonical
    size = 0
    for used, item in enumerate(items):
        if not isinstance(item, Entry):
            return Taken(bodies, None, used) if bodies else Taken((), item, used + 1)
        if not (takes_all or wanted.matches(item)):
            continue
        size += len(item.data)
        if size > frame_bytes and bodies:
            return Taken(bodies, None, used)
        bodies.append(item.data)
    return Taken(bodies, None, len(items))


class BatchMemo:
    """Shares batches among the subscribers that are at one position with one filter."""

    __slots__ = ("_entries", "frame_bytes")

    def __init__(self, frame_bytes: int) -> None:
        self.frame_bytes = frame_bytes
        self._entries: dict[bytes, tuple[Ring, int, int, Taken, Frame]] = {}

    def take(self, ring: Ring, start: int, wanted: Filter) -> tuple[Taken, Frame]:
        """Takes from number `start` on. The frame is shared and has no cursor until the first
        taker writes one; it means nothing if no event was taken."""
        known = self._entries.get(wanted.canonical)
        if known is not None and known[0] is ring and known[1] == start and known[2] == ring.end:
            return known[3], known[4]
        taken = gather(ring.items(start, ring.end), wanted, self.frame_bytes)
        frame = Frame(FrameKind.BATCH, "", body=b"".join(taken.bodies), events=len(taken.bodies))
        if len(self._entries) >= _MEMO:
            self._entries.clear()
        self._entries[wanted.canonical] = (ring, start, ring.end, taken, frame)
        return taken, frame

    def clear(self) -> None:
        """Forgets every frame."""
        self._entries.clear()
