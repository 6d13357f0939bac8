"""Peak memory of one case, in a process of its own.

What counts is the resident set as the kernel sees it, since most of these libraries allocate in C
where tracemalloc is blind. The peak is reset before the action (/proc/self/clear_refs), and the
action runs until what it made weighs enough to be seen in pages; all results are kept meanwhile.
"""

from __future__ import annotations

import ctypes
import gc
import re
from pathlib import Path
from typing import Any

from benchmarks.codecs.codec import Codec
from benchmarks.codecs.counts import blocks_held

__all__ = ["ACTIONS", "NoPeakError", "blocks_of", "peak_of"]

ACTIONS = ("encode", "decode_keep")
TARGET = 16_000_000
FEWEST, MOST = 4, 20_000
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class NoPeakError(RuntimeError):
    """This system has no peak that can be reset: memory is measured on Linux alone."""


def peak_of(codec: Codec, action: str, data: Any) -> dict[str, float]:
    """Return the growth of the peak per value in bytes, how many values were kept, and the peak.

    `encode` starts from a built value and keeps bytes; `decode_keep` starts from bytes and keeps
    values that have been touched, because protobuf makes its Python objects only then. Raise
    NoPeakError on a system without the kernel's account.
    """
    value = codec.value(data)
    raw = codec.encode(value)
    count = max(FEWEST, min(MOST, TARGET // len(raw)))
    kept: list[Any] = [None] * count
    gc.collect()
    _give_back()
    before = _reset()
    if action == "encode":
        for index in range(count):
            kept[index] = codec.encode(value)
    else:
        for index in range(count):
            kept[index] = one = codec.decode(raw)
            if codec.touch is not None:
                codec.touch(one)
    peak = _status("VmHWM")
    return {
        "peak_bytes_per_value": max(0, peak - before) / count,
        "values": count,
        "rss_mb": peak / 1e6,
    }


def blocks_of(codec: Codec, data: Any) -> dict[str, float]:
    """Return how many of Python's blocks one encoded and one decoded value hold; exact."""
    value = codec.value(data)
    raw = codec.encode(value)
    return {
        "encode": blocks_held(lambda: codec.encode(value)),
        "decode": blocks_held(lambda: codec.decode(raw)),
    }


def _give_back() -> None:
    """Ask glibc for the pages that nobody uses, or the action would fill those first, unseen."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _reset() -> int:
    try:
        _CLEAR.write_text("5", encoding="ascii")
    except OSError as error:
        raise NoPeakError("no peak of the resident set can be reset here") from error
    return _status("VmRSS")


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise NoPeakError(f"{_STATUS} has no {name}")
    return int(found[1]) * 1024
