"""The validated tier of libraries that decode to dicts, and plain data from msgspec's structs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.codecs.schema import Field, restore
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.structs import struct_of

__all__ = ["converting", "from_struct"]


def converting(shape: Shape, decode: Callable[[Any], Any]) -> Callable[[Any], Any] | None:
    """Return `decode` with msgspec's conversion behind it, the fastest checker of plain data."""
    if not shape.message:
        return None
    convert, ruled = msgspec.convert, struct_of(shape.message, ruled=True)
    return lambda raw: convert(decode(raw), ruled)


def from_struct(shape: Shape) -> Callable[[Any], Any]:
    """Return the `restore` of a library that decodes to structs."""
    return lambda value: restore(shape.message, value, _read)


def _read(value: Any, field: Field) -> Any:
    return getattr(value, field.name)
