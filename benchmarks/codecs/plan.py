"""What a run measures: which libraries and shapes, how long, and the documents of a corpus."""

from __future__ import annotations

import json
import lzma
from dataclasses import dataclass
from pathlib import Path

from benchmarks.codecs.shapes import Shape, shape

__all__ = ["Effort", "find_documents", "open_shape"]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long things take: rounds, never fewer than 20, and the CPU that each timed window takes.

    `window_s` is for the matrix of libraries, never less than 5 ms, and `turn_s` for what is timed
    in turn: long enough that what the other side has left in the caches tells in neither, also
    where one call takes as long as ten of the other's.
    """

    rounds: int
    window_s: float
    turn_s: float
    is_quick: bool

    @classmethod
    def quick(cls) -> Effort:
        """Return the effort of a run of about a minute."""
        return cls(rounds=20, window_s=0.005, turn_s=0.02, is_quick=True)

    @classmethod
    def full(cls) -> Effort:
        """Return the effort of a run of several minutes."""
        return cls(rounds=30, window_s=0.005, turn_s=0.02, is_quick=False)


def find_documents(folder: Path) -> list[Path]:
    """Return the JSON documents of a corpus, plain and .xz. Raise FileNotFoundError for none."""
    found = sorted([*folder.glob("*.json"), *folder.glob("*.json.xz")])
    if not found:
        raise FileNotFoundError(f"no .json and no .json.xz in {folder}")
    return found


def open_shape(name: str) -> Shape:
    """Return one of the ten shapes, or the document at the path `name`, which has no schema."""
    path = Path(name)
    if not path.suffix:
        return shape(name)
    raw = path.read_bytes()
    text = lzma.decompress(raw) if path.suffix == ".xz" else raw
    return Shape(path.name.removesuffix(".xz").removesuffix(".json"), "", json.loads(text))
