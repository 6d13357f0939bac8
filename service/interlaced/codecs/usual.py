"""Reads and writes the usual JSON and MessagePack with msgspec, at the speed of C, and proves by
means as fast that nothing was lost.

It never guesses: what it cannot prove raises one of UNUSUAL, and the careful codec decides.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from types import GenericAlias
from typing import Annotated, Any

import msgspec

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.doubles import SAFE_DIGITS, read_double

__all__ = [
    "LONGEST_INTEGER",
    "UNUSUAL",
    "json_to_msgpack",
    "msgpack_to_json",
    "read_json",
    "read_msgpack",
    "write_json",
]

UNUSUAL = (msgspec.MsgspecError, ArithmeticError, RecursionError, TypeError, ValueError)
"""What a usual reader or writer raises for everything that the careful one must look at."""

LONGEST_INTEGER = 1000
"""So many characters of an integer are read. It takes the square of their number to read them."""
_STEP = 50
"""Every so many bytes one is looked at, in search of a longer integer."""
_BLANK = b" \t\r\n"
_DEPTH = 8
"""How many lists and maps in one another are usual. The decoder's types grow as 2 to its power."""
_LARGEST = sys.float_info.max
_FINITE = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]

_parse = msgspec.json.Decoder().decode
_parse_doubles = msgspec.json.Decoder(float_hook=read_double).decode
_print = msgspec.json.Encoder().encode
_pack = msgspec.msgpack.Encoder().encode


def read_json(data: bytes) -> Value:
    """Reads JSON that loses nothing; one of UNUSUAL for all else, and for what is not proven."""
    if _has_huge_integer(data):
        raise CodecError("an integer may be too long")
    value: Value = _parse(data)
    printed = _print(value)
    # The same text again: no key was there twice, and every number is written as it is held.
    if printed == data:
        return value
    # Blanks inside texts go on both sides; every key and every number stays.
    if printed.translate(None, _BLANK) == data.translate(None, _BLANK):
        return value
    # A key that was there twice takes its colon along, and any in its value. Printed texts hold
    # their colons as they are, so those of the data must not hide behind an escape.
    if data.count(b":") != printed.count(b":") or b"\\u003a" in data or b"\\u003A" in data:
        raise CodecError("a key may be there twice")
    return _parse_doubles(data) if _has_long_number(data) else value


def _has_huge_integer(data: bytes) -> bool:
    """Whether so many digits stand in a row that the careful reader might refuse them."""
    # No such row fits between the samples; floats may be dense enough to look like one there.
    return len(data) >= LONGEST_INTEGER and (
        _HUGE_SAMPLED in data[::_STEP].translate(_SHAPE) and _HUGE in data.translate(_SHAPE)
    )


def _has_long_number(data: bytes) -> bool:
    """Whether a number may have more digits than a double always holds, or an exponent."""
    shape = data.translate(_SHAPE)
    # What stands behind a u is an escape such as those of Latin and Chinese letters.
    return _LONG in shape or shape.count(b"0e") != sum(map(shape.count, _ESCAPES))


def write_json(value: Value) -> bytes:
    """Writes JSON; one of UNUSUAL where it would not be read back as equal: bytes, NaN, infinities,
    keys that are no text, foreign types."""
    printed = _print(value)
    if _parse(printed) != value:
        raise CodecError("the value is not what was written")
    return printed


def read_msgpack(data: bytes) -> Value:
    """Reads MessagePack in its shortest form that holds what JSON can hold; else one of UNUSUAL."""
    value: Value = _unpacker()(data)
    # A map with a key twice comes back shorter.
    if _pack(value) != data:
        raise CodecError("the bytes are not the shortest form")
    return value


def json_to_msgpack(data: bytes) -> bytes:
    """Writes JSON as MessagePack; one of UNUSUAL where the loss of nothing is not proven."""
    return _pack(read_json(data))


def msgpack_to_json(data: bytes) -> bytes:
    """Writes MessagePack as JSON; one of UNUSUAL where the loss of nothing is not proven."""
    return _print(read_msgpack(data))


@cache
def _unpacker() -> Callable[[bytes], Any]:
    """The decoder of what JSON can hold, too. Made when first needed: it takes milliseconds."""
    return msgspec.msgpack.Decoder(_nested(None | bool | int | _FINITE | str)).decode


def _nested(leaf: Any) -> Any:
    """The type of leaves in lists and in maps by text. msgspec knows no type that holds itself."""
    held = leaf
    for _ in range(_DEPTH):
        held = leaf | GenericAlias(list, (held,)) | GenericAlias(dict, (str, held))
    return held


def _shapes() -> bytes:
    """A table of zeros for digits and points, e for the letters of exponents, and u for itself."""
    table = bytearray(b" " * 256)
    for byte in b"0123456789.":
        table[byte] = ord("0")
    table[ord("e")] = table[ord("E")] = ord("e")
    table[ord("u")] = ord("u")
    return bytes(table)


_SHAPE = _shapes()
_LONG = b"0" * (SAFE_DIGITS + 2)
"""A point is among them; and an integer may have them, which only costs a second reading."""
_ESCAPES = (b"u0e", b"u00e", b"u000e")
_HUGE = b"0" * LONGEST_INTEGER
"""A minus before it is one character more."""
_HUGE_SAMPLED = b"0" * (LONGEST_INTEGER // _STEP)
