"""Cursors: authenticated text that names a place in one feed's history, under one filter."""

from __future__ import annotations

import enum
import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from interlaced.core.failure import Failure, Reason

__all__ = ["CursorCodec", "CursorStamp", "Origin", "Place"]

_VERSION = 0x40  # the two high bits of the first byte
_VERSION_MASK, _FORM_MASK, _KEY_MASK = 0xC0, 0x30, 0x0F
_HEAD = struct.Struct(">B4s4sI")
_MAC = 10
_LONGEST = 2048  # characters; a vector of 100 Kafka offsets still fits


class Origin(enum.IntEnum):
    """What a place counts from; the number is its form on the wire."""

    POSITION = 0x00
    """A position, as its source gave it."""
    COUNTER = 0x10
    """A position of eight bytes, written without its leading zeros. Only on the wire."""
    OLDEST = 0x20
    """The oldest event that the source keeps: nothing has been seen yet."""
    TIME = 0x30
    """A time: nothing has been seen yet."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a history: exclusively after `position` of `epoch`.

    An empty position is the beginning of that epoch's ring. With the origin OLDEST or TIME (`time`
    in seconds since 1970) it is where a subscription asked to begin.
    """

    epoch: int = 0
    position: bytes = b""
    origin: Origin = Origin.POSITION
    time: float = 0.0


class CursorStamp:
    """Writes and reads the cursors of one feed under one filter."""

    __slots__ = ("_feed", "_filter", "_states")

    def __init__(self, keys: Sequence[bytes], feed: str, filter_bytes: bytes) -> None:
        name = feed.encode()
        self._feed = hashlib.blake2b(name, digest_size=4).digest()
        self._filter = hashlib.blake2b(filter_bytes, digest_size=4).digest()
        bound = len(name).to_bytes(4, "big") + name + filter_bytes
        self._states = [
            (_key_id(key), hashlib.blake2b(bound, digest_size=_MAC, key=key)) for key in keys
        ]

    def stamp(self, place: Place) -> str:
        """Writes a cursor, signed with the first key: 32 to 39 characters for a counter."""
        form, position = _written(place)
        key_id, state = self._states[0]
        first = _VERSION | form | key_id
        body = _HEAD.pack(first, self._feed, self._filter, place.epoch) + position
        mac = state.copy()
        mac.update(body)
        return urlsafe_b64encode(body + mac.digest()).rstrip(b"=").decode()

    def read(self, text: str) -> Place:
        """Reads a cursor that any of the keys has signed.

        Raises Failure BAD_CURSOR if it is malformed, forged or of an unknown key, and
        CURSOR_MISMATCH if it belongs to another feed or filter.
        """
        raw = _decoded(text)
        first, feed, filter_hash, epoch = _HEAD.unpack_from(raw)
        if first & _VERSION_MASK != _VERSION:
            raise Failure(Reason.BAD_CURSOR, "the cursor's version is not known")
        states = [state for key_id, state in self._states if key_id == first & _KEY_MASK]
        if not states:
            raise Failure(Reason.BAD_CURSOR, "the cursor was signed with an unknown key")
        if feed != self._feed:
            raise Failure(Reason.CURSOR_MISMATCH, "the cursor belongs to another feed")
        if filter_hash != self._filter:
            raise Failure(Reason.CURSOR_MISMATCH, "the cursor belongs to another filter")
        body, mac = raw[:-_MAC], raw[-_MAC:]
        if not any(_is_signed(state, body, mac) for state in states):
            raise Failure(Reason.BAD_CURSOR, "the cursor is not one of ours")
        return _place(Origin(first & _FORM_MASK), epoch, body[_HEAD.size :])


class CursorCodec:
    """Holds the keys: signs with the first, verifies with all.

    Keys are 16 to 64 bytes; replicas share them. To rotate: add the new one behind the old one
    everywhere, then put it first, then remove the old one once the feeds' retention has passed.
    ValueError says what is wrong with a key.
    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise ValueError("at least one cursor key is needed")
        for key in keys:
            if not 16 <= len(key) <= 64:
                raise ValueError("a cursor key has 16 to 64 bytes")
        self._keys = tuple(keys)

    def bind(self, feed: str, filter_bytes: bytes = b"") -> CursorStamp:
        """Returns the stamp of one feed (its full name) under one filter (its canonical form)."""
        return CursorStamp(self._keys, feed, filter_bytes)


def _key_id(key: bytes) -> int:
    """Four bits that depend on the key alone, so that its place in the list may change."""
    return hashlib.blake2b(key, digest_size=1, person=b"cursor-key-id").digest()[0] & _KEY_MASK


def _written(place: Place) -> tuple[Origin, bytes]:
    """Returns how a place is written."""
    if place.origin is Origin.TIME:
        return Origin.TIME, struct.pack(">d", place.time)
    if place.origin is Origin.OLDEST:
        return Origin.OLDEST, b""
    if len(place.position) == 8:
        return Origin.COUNTER, place.position.lstrip(b"\0") or b"\0"
    return Origin.POSITION, place.position


def _place(form: Origin, epoch: int, position: bytes) -> Place:
    """Reads what `_written` wrote; the MAC has proven that we did."""
    if form is Origin.COUNTER:
        return Place(epoch, position.rjust(8, b"\0"))
    if form is Origin.TIME:
        return Place(epoch, b"", form, struct.unpack(">d", position)[0])
    return Place(epoch, position, form)


def _decoded(text: str) -> bytes:
    """Decodes strictly: one place has one text."""
    if len(text) > _LONGEST:
        raise Failure(Reason.BAD_CURSOR, "the cursor is too long")
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise Failure(Reason.BAD_CURSOR, "the cursor is malformed") from error
    if len(raw) < _HEAD.size + _MAC or urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise Failure(Reason.BAD_CURSOR, "the cursor is malformed")
    return raw


def _is_signed(state: hashlib.blake2b, body: bytes, mac: bytes) -> bool:
    """Compares in constant time."""
    expected = state.copy()
    expected.update(body)
    return hmac.compare_digest(expected.digest(), mac)
