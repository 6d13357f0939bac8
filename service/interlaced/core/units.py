"""Durations, rates, sizes and shares as people write them: `2s`, `50/s`, `16MiB`, `10%`."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "Rate",
    "format_duration",
    "format_size",
    "parse_duration",
    "parse_rate",
    "parse_share",
    "parse_size",
]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_BYTES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_NUMBER = r"([0-9]+(?:\.[0-9]+)?)"
_DURATION = re.compile(rf"{_NUMBER}(ms|s|m|h|d)")
_SIZE = re.compile(rf"{_NUMBER} ?({'|'.join(_BYTES)})")
_RATE = re.compile(rf"{_NUMBER}/(ms|s|m|h|d)")
_SHARE = re.compile(rf"{_NUMBER}%")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many per so many seconds."""

    count: float
    seconds: float

    @property
    def per_second(self) -> float:
        """How many per second."""
        return self.count / self.seconds

    def __str__(self) -> str:
        unit = next(name for name, size in _SECONDS.items() if size == self.seconds)
        return f"{self.count:g}/{unit}"


def parse_duration(text: str) -> float:
    """Reads `250ms`, `2s`, `5m`, `1h` or `7d` into seconds; ValueError says what is expected."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("expected a duration such as 250ms, 2s, 5m, 1h or 7d")
    return float(match[1]) * _SECONDS[match[2]]


def format_duration(seconds: float) -> str:
    """Writes seconds as people read them, in the largest unit that stays whole."""
    for unit in ("d", "h", "m", "s"):
        size = _SECONDS[unit]
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"


def parse_rate(text: str) -> Rate:
    """Reads `50/s` or `1000/h`; ValueError says what is expected."""
    match = _RATE.fullmatch(text)
    if match is None or float(match[1]) == 0:
        raise ValueError("expected a rate such as 50/s or 1000/h")
    return Rate(float(match[1]), _SECONDS[match[2]])


def parse_size(text: str) -> int:
    """Reads `4MiB` or `500kB` into bytes; ValueError says what is expected."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("expected a size such as 500kB, 4MiB or 1GiB")
    return int(float(match[1]) * _BYTES[match[2]])


def format_size(size: int) -> str:
    """Writes bytes as people read them."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= _BYTES[unit] and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def parse_share(text: str) -> float:
    """Reads `10%` into 0.1; ValueError says what is expected."""
    match = _SHARE.fullmatch(text)
    if match is None or float(match[1]) > 100:
        raise ValueError("expected a share such as 10%, at most 100%")
    return float(match[1]) / 100
