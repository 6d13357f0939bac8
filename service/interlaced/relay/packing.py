"""Ring items as bytes and back. An event stays as its first worker encoded it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from interlaced.core.cursor import Origin, Place
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Entry, Item, Missing
from interlaced.relay.wire import WireError

__all__ = ["Scanner", "pack_items", "pack_place", "unpack_items", "unpack_place"]

# 1, epoch, the length of the position, of four texts in characters, of them all in bytes, of data
_ENTRY = struct.Struct(">BIHIIIIII")
_MISSING = struct.Struct(">BBII")  # 0, why, and the lengths of two texts; a place follows
_PLACE = struct.Struct(">BIdH")  # origin, epoch, time, length of the position
_WHYS = tuple(GapWhy)


class Scanner:
    """Reads fields one behind the other; WireError if there are too few bytes."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_done(self) -> bool:
        """Whether everything was read."""
        return self._at >= len(self._data)

    def peek(self) -> int:
        """Returns the next byte and stays before it."""
        return self._data[self._at]

    def fields(self, form: struct.Struct) -> tuple[int, ...]:
        """Reads numbers."""
        if self._at + form.size > len(self._data):
            raise WireError("the message is too short")
        found = form.unpack_from(self._data, self._at)
        self._at += form.size
        return found

    def take(self, length: int) -> bytes:
        """Reads so many bytes."""
        end = self._at + length
        if end > len(self._data):
            raise WireError("the message is too short")
        found = self._data[self._at : end]
        self._at = end
        return found

    def text(self, length: int) -> str:
        """Reads a text of so many bytes."""
        try:
            return self.take(length).decode(errors="surrogatepass")
        except UnicodeDecodeError as error:
            raise WireError("a text is no text") from error


def pack_items(items: Sequence[Item]) -> bytes:
    """Writes items of a ring."""
    parts: list[bytes] = []
    for item in items:
        if isinstance(item, Entry):
            _pack_entry(item, parts)
        else:
            _pack_missing(item, parts)
    return b"".join(parts)


def _pack_entry(entry: Entry, parts: list[bytes]) -> None:
    kind, source, subject, key = entry.type, entry.source, entry.subject, entry.key
    texts = f"{kind}{source}{subject}{key}".encode(errors="surrogatepass")
    head = _ENTRY.pack(
        *(1, entry.epoch, len(entry.position), len(kind), len(source), len(subject), len(key)),
        *(len(texts), len(entry.data)),
    )
    parts += (head, entry.position, texts, entry.data)


def _pack_missing(missing: Missing, parts: list[bytes]) -> None:
    first = missing.gap.first.encode(errors="surrogatepass")
    last = missing.gap.last.encode(errors="surrogatepass")
    head = _MISSING.pack(0, _WHYS.index(missing.gap.why), len(first), len(last))
    parts += (head, first, last, pack_place(missing.place))


def pack_place(place: Place) -> bytes:
    """Writes a place."""
    head = _PLACE.pack(place.origin, place.epoch, place.time, len(place.position))
    return head + place.position


def unpack_items(data: bytes) -> list[Item]:
    """Reads what `pack_items` wrote; WireError for anything else."""
    scanner = Scanner(data)
    items: list[Item] = []
    while not scanner.is_done:
        items.append(_entry(scanner) if scanner.peek() else _missing(scanner))
    return items


def _entry(scanner: Scanner) -> Entry:
    mark, epoch, place, kind, source, subject, key, texts, size = scanner.fields(_ENTRY)
    position = scanner.take(place)
    text = scanner.text(texts)
    source += kind
    subject += source
    if mark != 1 or len(text) != subject + key:
        raise WireError("there is no such item")
    return Entry(
        scanner.take(size), epoch, position,
        text[:kind], text[kind:source], text[source:subject], text[subject:],
    )  # fmt: skip


def _missing(scanner: Scanner) -> Missing:
    _, why, first, last = scanner.fields(_MISSING)
    if why >= len(_WHYS):
        raise WireError("there is no such gap")
    gap = Gap(_WHYS[why], scanner.text(first), scanner.text(last))
    return Missing(gap, unpack_place(scanner))


def unpack_place(scanner: Scanner) -> Place:
    """Reads what `pack_place` wrote; WireError for anything else."""
    origin, epoch, time, length = scanner.fields(_PLACE)
    try:
        return Place(epoch, scanner.take(length), Origin(origin), time)
    except ValueError as error:
        raise WireError("there is no such place") from error
