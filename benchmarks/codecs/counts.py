"""How much a piece of code does, counted and not timed: the same on every machine and every day."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Callable
from types import BuiltinFunctionType, FrameType
from typing import Any

__all__ = ["blocks_held", "calls_of"]


def calls_of(run: Callable[[], Any]) -> Counter[str]:
    """Return how often `run` calls what, Python functions and C functions alike, by module.

    It is warmed up first, so that caches which fill once do not count.
    """
    run()
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            found[str(frame.f_globals.get("__name__", "?"))] += 1
        elif event == "c_call" and isinstance(argument, BuiltinFunctionType):
            found[str(argument.__module__ or "builtins")] += 1
        elif event == "c_call":
            found["builtins"] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    # The function that puts the profile back is counted as well, and is no work of `run`.
    found["sys"] -= 1
    return +found


def blocks_held(run: Callable[[], Any]) -> int:
    """Return how many of Python's memory blocks one result of `run` holds."""
    kept = [run(), run()]
    kept.clear()
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        kept.append(run())
        return sys.getallocatedblocks() - before
    finally:
        gc.enable()
