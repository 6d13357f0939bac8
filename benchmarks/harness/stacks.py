"""Stacks of a running process, sampled from outside by py-spy, as a tree of calls."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from typing import Any

__all__ = ["Call", "NotSampledError", "from_json", "sample", "to_json", "tree_of"]

RATE = 500
"""Samples per second."""
LEAST = 0.004
"""The least share of all samples that a call must have to be kept."""
MAIN = "_run_module_as_main"
"""What is on the stack of a main thread that `python -m` has started."""
UNNAMED = "?"
_FRAME = re.compile(r"(?P<name>.*?) \((?P<place>[^()]*?)(?::\d+)?\)$")
_ADDRESS = re.compile(r"^0x[0-9a-f]+$")


class NotSampledError(RuntimeError):
    """py-spy is not there, may not look at the process, or saw nothing."""


@dataclass(slots=True)
class Call:
    """A function, its file, and how many samples found it on the stack, called from here."""

    name: str
    place: str
    samples: int = 0
    inner: dict[tuple[str, str], Call] = field(default_factory=dict)


def sample(pid: int, seconds: int) -> str:
    """Sample all busy threads of a process, native frames among them; return folded stacks.

    Raise NotSampledError where that cannot be done; the text says why.
    """
    beside = Path(sys.executable).parent / "py-spy"
    spy = str(beside) if beside.is_file() else which("py-spy")
    if spy is None:
        raise NotSampledError("py-spy is not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stacks"
        whole = [spy, "record", "--native", "--pid", str(pid), "--duration", str(seconds)]
        done = subprocess.run(
            [*whole, "--rate", str(RATE), "--format", "raw", "--output", str(out)],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds + 60,
        )
        found = out.read_text(encoding="utf-8") if out.is_file() else ""
    if done.returncode != 0 or not found:
        told = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        raise NotSampledError(f"py-spy: {told[0] if told else 'it found nothing'}")
    return found


def tree_of(folded: str) -> Call:
    """Return the tree of folded stacks, `outer;inner 12` a line, of the main thread: others wait in
    C for most of their time, which looks like work from outside.

    Calls that are seldom on the stack are left out, and so is what all of them have in common.
    Frames without a name that follow each other in one file are one.
    """
    root = Call("all", "")
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        if MAIN not in stack:
            continue
        root.samples += int(count)
        here = root
        for frame in stack.split(";"):
            name, place = _read(frame)
            if (name, place) == (UNNAMED, here.place) and here.name == UNNAMED:
                continue
            here = here.inner.setdefault((name, place), Call(name, place))
            here.samples += int(count)
    _prune([root], root.samples * LEAST)
    first = root
    while len(first.inner) == 1:
        [first] = first.inner.values()
    return Call(root.name, root.place, first.samples, first.inner)


def _read(frame: str) -> tuple[str, str]:
    """The name of a frame, and its file without the line; an address has no name."""
    found = _FRAME.match(frame)
    if found is None:
        return frame, ""
    name = UNNAMED if _ADDRESS.match(found["name"]) else found["name"]
    return name, found["place"]


def _prune(calls: Iterable[Call], least: float) -> None:
    for call in calls:
        kept = {key: one for key, one in call.inner.items() if one.samples >= least}
        call.inner = kept
        _prune(kept.values(), least)


def to_json(call: Call) -> list[Any]:
    """Return a tree as plain data: name, place, samples, and the calls from it."""
    return [call.name, call.place, call.samples, [to_json(one) for one in call.inner.values()]]


def from_json(data: list[Any]) -> Call:
    """Return the tree that `to_json` wrote."""
    name, place, samples, inner = data
    calls = [from_json(one) for one in inner]
    return Call(name, place, samples, {(one.name, one.place): one for one in calls})
