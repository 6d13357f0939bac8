"""Peak memory of one case, in a process of its own.

What counts is the resident set as the kernel sees it, since most of these libraries allocate in C
where tracemalloc is blind. The peak is reset before the action (/proc/self/clear_refs), and the
action runs until what it made weighs enough to be seen in pages; all results are kept meanwhile.
"""

from __future__ import annotations

import gc
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.codecs.codec import Codec

__all__ = ["ACTIONS", "NoPeakError", "blocks_of", "peak_of"]

ACTIONS = ("encode", "decode_keep")
TARGET = 8_000_000
MOST = 20_000
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
    count = max(1, min(MOST, TARGET // len(raw)))
    kept: list[Any] = [None] * count
    gc.collect()
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
        "encode": _blocks(codec.encode, value),
        "decode": _blocks(codec.decode, raw),
    }


def _blocks(run: Any, argument: Any) -> int:
    kept = [run(argument), run(argument)]
    kept.clear()
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        kept.append(run(argument))
        return sys.getallocatedblocks() - before
    finally:
        gc.enable()


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
