"""msgpack, with its packer reused."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped] # it ships no types

from benchmarks.codecs.codec import DOCUMENT, SCHEMA, UNTYPED, Codec, from_items
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.validation import converting
from benchmarks.codecs.walk import ITEMS, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "msgpack"
DISTRIBUTION = "msgpack"
TAKES = frozenset({SCHEMA, DOCUMENT})


def open_codec(shape: Shape) -> Codec:
    """Return msgpack made ready for `shape`."""
    packer = msgpack.Packer(use_bin_type=True, autoreset=True)
    return Codec(
        tier=UNTYPED,
        build=None,
        encode=packer.pack,
        decode=msgpack.unpackb,
        touch=toucher(shape.message, ITEMS) if shape.message else None,
        validate=converting(shape, msgpack.unpackb),
        restore=from_items(shape),
    )
