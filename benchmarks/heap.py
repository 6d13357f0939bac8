"""`python -m benchmarks.heap FILE LEVER serve ...`: Interlace that tells what its heaps hold.

On SIGUSR1 it collects its garbage and writes to FILE how many bytes native code has allocated and
not given back, and how many blocks Python has. The resident memory of a process jumps by megabytes
for reasons of the allocator; these two grow by what is kept, and by nothing else.
"""

from __future__ import annotations

import ctypes
import gc
import json
import signal
import sys
from pathlib import Path

__all__ = ["main", "native_bytes"]

_FIELDS = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library, of which `uordblks` is what is in use."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIELDS.split())
    uordblks: int
    hblkhd: int


def native_bytes() -> int:
    """Return the bytes that `malloc` has given out in this process, mapped ones with them."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Mallinfo
    told: _Mallinfo = ask()
    return told.uordblks + told.hblkhd


def main() -> None:
    """Serve with a lever taken away, and tell when asked."""
    from benchmarks.levers.without import main as run

    path = Path(sys.argv.pop(1))

    def tell(_number: int, _frame: object) -> None:
        gc.collect()
        held = {"native_bytes": native_bytes(), "python_blocks": sys.getallocatedblocks()}
        unfinished = path.with_suffix(".part")
        unfinished.write_text(json.dumps(held), encoding="ascii")
        unfinished.rename(path)

    signal.signal(signal.SIGUSR1, tell)
    run()


if __name__ == "__main__":
    main()
