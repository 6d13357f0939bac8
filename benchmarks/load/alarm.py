"""A timer of the kernel that wakes a loop at a moment, to some ten microseconds.

uvloop rounds `call_later` to whole milliseconds: at 2,000 calls per second most would leave late,
and all in lumps. To spin until the moment comes would take the core from the upstream that runs
beside the load.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable

__all__ = ["Alarm"]

_MONOTONIC, _ABSOLUTE = 1, 1
_NANO = 1_000_000_000


class _Spec(ctypes.Structure):
    """`struct itimerspec`: the period, which is none, and the moment."""

    _fields_ = (
        ("period_s", ctypes.c_long),
        ("period_ns", ctypes.c_long),
        ("at_s", ctypes.c_long),
        ("at_ns", ctypes.c_long),
    )


class Alarm:
    """Calls `ring` on the running loop at each moment that it is set to, one at a time."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "the kernel gives no timer")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._take)

    def set(self, at: float) -> None:
        """Ring at `at` by `time.perf_counter`, or at once where that is over."""
        spec = _Spec(0, 0, *divmod(max(1, int(at * _NANO)), _NANO))
        self._libc.timerfd_settime(self._fd, _ABSOLUTE, ctypes.byref(spec), None)

    def close(self) -> None:
        """Never ring again; doing it twice does nothing."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _take(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return  # it was set anew between the kernel's word and now
        self._ring()
