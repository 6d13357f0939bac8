"""Writes a list of times in RFC 3339 as the wire form of a repeated Timestamp.

As `transcode_wire`, this is plain Python that mypyc compiles (`tools/compile.py`), and worth its
call only then. It takes times in UTC, with a Z; UnusualTime for all else, right or wrong.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Final

from librt.strings import BytesWriter

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = ["IS_COMPILED", "UnusualTime", "write_times"]

_SHORTEST: Final = len("2020-02-29T00:00:00Z")
_LONGEST: Final = len("2020-02-29T00:00:00.123456789Z")
_POINT_AT: Final = 19
_DASH: Final = 0x2D
_POINT: Final = 0x2E
_COLON: Final = 0x3A
_T: Final = 0x54
_Z: Final = 0x5A
_DAYS_IN: Final = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
_DAYS_BEFORE: Final = [0, 306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275]
"""By month, in a year that begins in March."""
_EPOCH: Final = 719468
"""The days from March 1 of the year 0 to January 1, 1970."""
_TAG_OF_SECONDS: Final = 1 << 3
_TAG_OF_NANOS: Final = 2 << 3
_LONGEST_VARINT: Final = 10


class UnusualTime(ValueError):  # noqa: N818  # a sign to look again, not an error that anyone sees
    """The text is no time in UTC with a Z, or none at all."""


def write_times(tag: int, texts: list[str]) -> bytes:
    """Writes the times as items of the field with this tag; UnusualTime if it leaves one alone."""
    out = BytesWriter()
    for text in texts:
        _write_time(out, tag, text)
    return out.getvalue()


def _write_time(out: BytesWriter, tag: i64, text: str) -> None:
    size: i64 = len(text)
    if size < _SHORTEST or size > _LONGEST or ord(text[size - 1]) != _Z:
        raise UnusualTime
    seconds: i64 = _read_day(text) * 86400 + _read_clock(text)
    nanos: i64 = _read_fraction(text, size - 1)
    length: i64 = 1 + _width(seconds)
    if nanos != 0:
        length += 1 + _width(nanos)
    _write_varint(out, tag)
    out.append(length)
    out.append(_TAG_OF_SECONDS)
    _write_varint(out, seconds)
    if nanos != 0:
        out.append(_TAG_OF_NANOS)
        _write_varint(out, nanos)


def _read_day(text: str) -> i64:
    """The days since 1970."""
    if ord(text[4]) != _DASH or ord(text[7]) != _DASH or ord(text[10]) != _T:
        raise UnusualTime
    year: i64 = _pair(text, 0) * 100 + _pair(text, 2)
    month: i64 = _pair(text, 5)
    day: i64 = _pair(text, 8)
    if year < 1 or month < 1 or month > 12 or day < 1:
        raise UnusualTime
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS_IN[month] and not (is_leap and month == 2 and day == 29):
        raise UnusualTime
    if month < 3:
        year -= 1
    years: i64 = year * 365 + year // 4 - year // 100 + year // 400
    before: i64 = _DAYS_BEFORE[month]
    return years + before + day - 1 - _EPOCH


def _read_clock(text: str) -> i64:
    """The seconds of the day."""
    if ord(text[13]) != _COLON or ord(text[16]) != _COLON:
        raise UnusualTime
    hour: i64 = _pair(text, 11)
    minute: i64 = _pair(text, 14)
    second: i64 = _pair(text, 17)
    if hour > 23 or minute > 59 or second > 59:
        raise UnusualTime
    return hour * 3600 + minute * 60 + second


def _read_fraction(text: str, end: i64) -> i64:
    """The nanos behind the seconds."""
    at: i64 = _POINT_AT
    if at == end:
        return 0
    if ord(text[at]) != _POINT or at + 1 == end:
        raise UnusualTime
    nanos: i64 = 0
    at += 1
    while at < end:
        nanos = nanos * 10 + _digit(text, at)
        at += 1
    while at < _LONGEST - 1:
        nanos *= 10
        at += 1
    return nanos


def _pair(text: str, at: i64) -> i64:
    return _digit(text, at) * 10 + _digit(text, at + 1)


def _digit(text: str, at: i64) -> i64:
    digit: i64 = ord(text[at]) - 0x30
    if digit < 0 or digit > 9:
        raise UnusualTime
    return digit


def _width(number: i64) -> i64:
    """How many bytes the varint of a number has."""
    if number < 0:
        return _LONGEST_VARINT
    width: i64 = 1
    while number > 0x7F:
        number >>= 7
        width += 1
    return width


def _write_varint(out: BytesWriter, number: i64) -> None:
    if number < 0:
        for _ in range(_LONGEST_VARINT - 1):
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(1)
        return
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


IS_COMPILED: Final = not isinstance(write_times, FunctionType)
"""Whether this module was compiled."""
