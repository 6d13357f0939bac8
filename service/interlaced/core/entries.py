"""Making ring entries: the one place where an event is encoded."""

from __future__ import annotations

from collections.abc import Callable

from interlaced.core.cursor import Place
from interlaced.core.model import Event, Gap, GapWhy
from interlaced.core.ports import FeedObserver
from interlaced.core.ring import Entry, Item, Missing

__all__ = ["EntryMaker"]

_LONGEST_ID = 256


class EntryMaker:
    """Encodes each event once. One that no frame could carry becomes a gap that names it."""

    __slots__ = ("_encode", "_max_event", "_observer")

    def __init__(
        self, encode: Callable[[Event], bytes], max_event: int, observer: FeedObserver
    ) -> None:
        self._encode = encode
        self._max_event = max_event
        self._observer = observer

    def __call__(self, event: Event, epoch: int) -> Item:
        """Returns what the ring holds for an event of this epoch."""
        try:
            data = self._encode(event)
        except (ValueError, TypeError):
            return self._unfit(event, epoch)
        if len(data) > self._max_event:
            return self._unfit(event, epoch)
        return Entry(
            data, epoch, event.position, event.type, event.source, event.subject, event.key
        )

    def fits(self, event: Event) -> bool:
        """Whether a frame can carry the event."""
        try:
            return len(self._encode(event)) <= self._max_event
        except (ValueError, TypeError):
            return False

    def _unfit(self, event: Event, epoch: int) -> Missing:
        self._observer.gap(GapWhy.UPSTREAM_SEQUENCE)
        name = event.id[:_LONGEST_ID].encode(errors="replace").decode()
        return Missing(Gap(GapWhy.UPSTREAM_SEQUENCE, name, name), Place(epoch, event.position))
