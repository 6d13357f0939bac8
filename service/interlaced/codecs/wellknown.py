"""The texts in which JSON writes what protobuf holds otherwise: numbers, bytes, times, paths.

Everything here is exact, or raises CodecError: what a field cannot hold is never rounded to fit.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from interlaced.codecs.codec import CodecError, Value

if TYPE_CHECKING:
    from google.protobuf import duration_pb2, field_mask_pb2

__all__ = [
    "CLOCK_SECONDS",
    "CLOCK_TEXTS",
    "FRACTION_HEADS",
    "FRACTION_TAILS",
    "HOUR_SECONDS",
    "HOUR_TEXTS",
    "LARGEST_FLOAT",
    "MILLI_NANOS",
    "REST_NANOS",
    "SHORT_FRACTIONS",
    "SHORT_NANOS",
    "SHORT_SPANS",
    "THOUSAND_TEXTS",
    "print_duration",
    "print_field_mask",
    "print_float",
    "print_fraction",
    "read_bytes",
    "read_double",
    "read_duration",
    "read_field_mask",
    "read_float",
    "read_integer",
    "read_moment",
    "read_span",
    "read_timestamp",
]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # both sides of every subtraction are UTC
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799
_LONGEST_DURATION = 315576000000
_NANOS = 1_000_000_000
LARGEST_FLOAT = math.nextafter(2.0**128 - 2.0**103, 0)
"""The largest double that is still rounded to a finite float: the largest float is printed with
fewer digits than it has, as a number above itself."""
_EXACT = 2**53

_MOST_DAYS, _MOST_HOURS = 32768, 16384
_POWERS: tuple[int, ...] = tuple(10 ** (9 - length) for length in range(10))
THOUSAND_TEXTS = tuple(f"{number:03d}" for number in range(1000))
"""Three decimals each."""
_HOUR_STARTS = {f"{hour:02d}:": hour * 3600 for hour in range(24)}
CLOCK_TEXTS = tuple(f"{second // 60:02d}:{second % 60:02d}" for second in range(3600))
"""Minutes and seconds, by the seconds of their hour."""
CLOCK_SECONDS = {text: second for second, text in enumerate(CLOCK_TEXTS)}
"""The seconds of an hour, by their minutes and seconds."""
MILLI_NANOS = {f".{text}": number * 1_000_000 for number, text in enumerate(THOUSAND_TEXTS)}
"""Nanos by a point and three decimals."""
_MICROS = {text: number * 1000 for number, text in enumerate(THOUSAND_TEXTS)}
_LAST_NANOS = {f"{text}Z": number for number, text in enumerate(THOUSAND_TEXTS)}
_MILLIS_OF_SPANS = {f"{text[1:]}s": nanos for text, nanos in MILLI_NANOS.items()}
SHORT_SPANS = {nanos: f"{text}s" for text, nanos in MILLI_NANOS.items()} | {0: "s"}
"""What stands behind the seconds of a positive Duration, where no more than three decimals do."""

_DAY = re.compile(r"\d{4}-\d\d-\d\dT", re.A).fullmatch
_OFFSET = re.compile(r"(?:\.(\d{1,9}))?([+-])([01]\d|2[0-3]):([0-5]\d)", re.A).fullmatch
_NO_MOMENT = "a Timestamp is beyond the years 1 to 9999, or its nanos are no fraction"
_NO_TIME = "the text is no RFC 3339 time with an offset and at most 9 decimals"
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.A).fullmatch
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.A).fullmatch
_NUMBER = re.compile(r"[+-]?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,4})?", re.A).fullmatch
_CAMEL_PATH = re.compile(r"[A-Za-z0-9.]*").fullmatch
_SNAKE_PATH = re.compile(r"(?:[a-z0-9.]|_[a-z])*").fullmatch
_CAPITAL = re.compile(r"[A-Z]")
_LOW_LINE = re.compile(r"_([a-z])")


def read_timestamp(text: str) -> dict[str, int]:
    """Reads RFC 3339 into the fields of a Timestamp."""
    seconds, nanos = read_moment(text)
    return {"seconds": seconds, "nanos": nanos}


def read_moment(text: str) -> tuple[int, int]:
    """Reads RFC 3339 into the seconds and nanos of a Timestamp."""
    try:
        # Look-ups check the digits as they read them, faster than a pattern could.
        seconds = HOUR_SECONDS[text[:14]] + CLOCK_SECONDS[text[14:19]]
    except (KeyError, ValueError) as error:
        raise CodecError(_NO_TIME) from error
    rest = text[19:]
    try:
        nanos = MILLI_NANOS[rest[:4]] + REST_NANOS[rest[4:]] if rest[4:] else SHORT_NANOS[rest]
    except KeyError:
        return _read_offset(seconds, rest)
    return seconds, nanos


SHORT_NANOS = {
    "Z": 0,
    **{f".{number}Z": number * 10**8 for number in range(10)},
    **{f".{number:02d}Z": number * 10**7 for number in range(100)},
}
"""Nanos by what stands behind a second of UTC, where that has fewer than three decimals."""


class _Rests(dict[str, int]):
    """The nanos of what stands behind the first three decimals of UTC, such as "500Z"; KeyError for
    all else. It keeps none or three, and computes what is rarer."""

    def __missing__(self, text: str) -> int:
        if len(text) == 7:
            return _MICROS[text[:3]] + _LAST_NANOS[text[3:]]
        decimals = text[:-1]
        usual = decimals.isdecimal() and text.isascii() and text[-1] == "Z" and len(decimals) < 6
        if not usual:
            raise KeyError(text)
        return int(decimals) * _POWERS[3 + len(decimals)]


REST_NANOS = _Rests({"Z": 0} | {f"{text}Z": micros for text, micros in _MICROS.items()})
"""Nanos by what stands behind the first three decimals."""


def _read_offset(seconds: int, rest: str) -> tuple[int, int]:
    """A time that is not in UTC; `rest` is what follows its seconds."""
    found = _OFFSET(rest)
    if found is None:
        raise CodecError(_NO_TIME)
    decimals, sign, hours, minutes = found.groups()
    offset = int(hours) * 3600 + int(minutes) * 60
    seconds += offset if sign == "-" else -offset
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise CodecError("the time is beyond the years 1 to 9999")
    return seconds, int(decimals) * _POWERS[len(decimals)] if decimals else 0


class _Starts(dict[str, int]):
    """The second at which a day such as "2020-02-29T" begins; ValueError if there is none."""

    def __missing__(self, text: str) -> int:
        if _DAY(text) is None:
            raise ValueError("no day")
        start = (datetime.fromisoformat(text[:10]) - _EPOCH).days * 86400
        if len(self) >= _MOST_DAYS:
            self.clear()
        self[text] = start
        return start


_DAYS = _Starts()


class _HourStarts(dict[str, int]):
    """The second at which an hour such as "2020-02-29T13:" begins; raises if there is none."""

    def __missing__(self, text: str) -> int:
        start = _DAYS[text[:11]] + _HOUR_STARTS[text[11:]]
        if len(self) >= _MOST_HOURS:
            self.clear()
        self[text] = start
        return start


HOUR_SECONDS = _HourStarts()
"""The second at which an hour such as "2020-02-29T13:" begins, read once."""


class _Days(dict[int, str]):
    """The text of a day since 1970, such as "2020-02-29T"; raises for one beyond the years."""

    def __missing__(self, day: int) -> str:
        try:
            text = f"{(_EPOCH + timedelta(day)).date().isoformat()}T"
        except OverflowError as error:
            raise CodecError(_NO_MOMENT) from error
        if len(self) >= _MOST_DAYS:
            self.clear()
        self[day] = text
        return text


_DAY_TEXTS = _Days()
"""Days by their number since 1970, printed once."""


class _HourTexts(dict[int, str]):
    """The text of an hour since 1970, such as "2020-02-29T13:"; raises for one beyond the years."""

    def __missing__(self, hour: int) -> str:
        text = f"{_DAY_TEXTS[hour // 24]}{hour % 24:02d}:"
        if len(self) >= _MOST_HOURS:
            self.clear()
        self[hour] = text
        return text


HOUR_TEXTS = _HourTexts()
"""Hours by their number since 1970, printed once."""


class _Heads(dict[int, str]):
    """The point and the first three decimals of nanos, by their milliseconds."""

    def __missing__(self, _: int) -> str:
        raise CodecError(_NO_MOMENT)


SHORT_FRACTIONS = {nanos: f"{text}Z" for text, nanos in MILLI_NANOS.items()} | {0: "Z"}
"""What stands behind a second of UTC, by nanos, where no more than three decimals do."""
FRACTION_HEADS = _Heads(enumerate(MILLI_NANOS))
FRACTION_TAILS = ("Z", *(f"{text}Z" for text in THOUSAND_TEXTS[1:]))
"""The last three decimals and the Z, by the nanos beyond whole microseconds."""


def print_fraction(nanos: int) -> str:
    """Writes nanos behind their second, in 0, 3, 6 or 9 decimals, and a Z."""
    short = SHORT_FRACTIONS.get(nanos)
    if short is not None:
        return short
    micros = THOUSAND_TEXTS[nanos // 1000 % 1000]
    return f"{FRACTION_HEADS[nanos // 1_000_000]}{micros}{FRACTION_TAILS[nanos % 1000]}"


def read_duration(text: str) -> dict[str, int]:
    """Reads seconds with up to 9 decimals and the letter s into the fields of a Duration."""
    seconds, nanos = read_span(text)
    return {"seconds": seconds, "nanos": nanos}


def read_span(text: str) -> tuple[int, int]:
    """Reads seconds with up to 9 decimals and the letter s into the seconds and nanos."""
    whole, _, rest = text.partition(".")
    nanos = _MILLIS_OF_SPANS.get(rest)
    if nanos is not None and len(whole) < 12 and whole.isdecimal() and whole.isascii():
        return int(whole), nanos
    whole, _, decimals = text[:-1].partition(".")
    usual = whole.isdecimal() and decimals.isdecimal() and text.isascii() and text[-1] == "s"
    if usual and len(whole) < 12 and len(decimals) < 10:
        return int(whole), int(decimals) * _POWERS[len(decimals)]
    found = _DURATION(text)
    if found is None:
        raise CodecError('the text is no duration such as "1.5s" with at most 9 decimals')
    sign, whole, decimals = found.groups()
    seconds = int(whole)
    nanos = int(decimals) * _POWERS[len(decimals)] if decimals else 0
    if seconds > _LONGEST_DURATION:
        raise CodecError("the duration is beyond 10000 years")
    return (-seconds, -nanos) if sign else (seconds, nanos)


def print_duration(message: duration_pb2.Duration) -> str:
    """Writes seconds with 0, 3, 6 or 9 decimals and the letter s."""
    seconds, nanos = message.seconds, message.nanos
    if 0 <= seconds <= _LONGEST_DURATION and 0 <= nanos < _NANOS:
        short = SHORT_SPANS.get(nanos)
        return f"{seconds}{short}" if short else f"{seconds}{print_fraction(nanos)[:-1]}s"
    if not (-_LONGEST_DURATION <= seconds <= _LONGEST_DURATION and -_NANOS < nanos < _NANOS):
        raise CodecError("a Duration is beyond 10000 years, or its nanos are no fraction")
    if seconds > 0 or nanos > 0:
        raise CodecError("a Duration has seconds and nanos of different signs")
    return f"-{-seconds}{print_fraction(-nanos)[:-1]}s"


def read_field_mask(text: str) -> dict[str, list[str]]:
    """Reads camelCase paths with commas between them into the fields of a FieldMask."""
    paths = text.split(",") if text else []
    if not all(map(_CAMEL_PATH, paths)):
        raise CodecError("a path has something else than letters, digits and dots")
    return {"paths": [_CAPITAL.sub(lambda found: f"_{found[0].lower()}", path) for path in paths]}


def print_field_mask(message: field_mask_pb2.FieldMask) -> str:
    """Writes paths in camelCase with commas between them."""
    paths = message.paths[:]
    if not all(map(_SNAKE_PATH, paths)) or paths == [""]:
        raise CodecError("a FieldMask has a path that camelCase cannot spell")
    return ",".join(_LOW_LINE.sub(lambda found: found[1].upper(), path) for path in paths)


def read_bytes(value: Value) -> bytes:
    """Reads base64 of either alphabet, padded or not; bytes are themselves."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise CodecError("the value is no base64 text")
    body = value.rstrip("=")
    if len(value) - len(body) > 2:
        raise CodecError("the text is not base64")
    try:
        plain = body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4)
        return base64.b64decode(plain.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise CodecError("the text is not base64") from error


def read_integer(value: Value, low: int, high: int) -> int:
    """Reads a number or the text of one; CodecError for a fraction and beyond `low` to `high`."""
    number: int | Decimal
    if value.__class__ is int:
        number = value
    elif isinstance(value, str) and _WHOLE(value):
        number = int(value)
    else:
        number = _read_decimal(value)
    if not low <= number <= high:
        raise CodecError("the integer is out of range")
    if number != int(number):
        raise CodecError("the number has a fraction, and the field is an integer")
    return int(number)


def _read_decimal(value: Value) -> Decimal:
    """A number with a point or an exponent, exactly as it was written."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and _NUMBER(value):
        return Decimal(value)
    if isinstance(value, float) and abs(value) <= _EXACT:
        return Decimal(value)
    if isinstance(value, float):
        raise CodecError("the number is too large a double to be a certain integer")
    raise CodecError("the value is no integer")


def read_double(value: Value) -> float:
    """Reads a number, the text of one, "NaN", "Infinity" or "-Infinity".

    Decimals become the nearest double, as everywhere; an integer must be one that it holds.
    """
    if isinstance(value, str):
        if value in ("NaN", "Infinity", "-Infinity"):
            return float(value)
        if not _NUMBER(value):
            raise CodecError("the text is no number")
        # No integer knows "-0".
        value = int(value) if _WHOLE(value) and int(value) else Decimal(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise CodecError("the value is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise CodecError("the number is beyond the range of a double") from error
    if not math.isfinite(number):
        raise CodecError("the number is beyond the range of a double")
    if isinstance(value, int) and int(number) != value:
        raise CodecError("the integer has more digits than a double can hold")
    return number


def read_float(value: Value) -> float:
    """Reads like `read_double`, for a field of four bytes."""
    number = read_double(value)
    if not math.isfinite(number):
        return number
    if not -LARGEST_FLOAT <= number <= LARGEST_FLOAT:
        raise CodecError("the number is beyond the range of a float")
    whole = isinstance(value, int) or (isinstance(value, str) and bool(_WHOLE(value)))
    if whole and _round(number) != number:
        raise CodecError("the integer has more digits than a float can hold")
    return number


def _round(number: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return rounded


def print_float(number: float) -> float:
    """The double with the fewest digits that names this finite float of four bytes."""
    for digits in (6, 7, 8):
        short = float(f"{number:.{digits}g}")
        try:
            if _round(short) == number:
                return short
        except OverflowError:
            continue  # the largest floats, rounded up, are beyond the range
    return float(f"{number:.9g}")
