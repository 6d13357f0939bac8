"""ormsgpack. It keeps no packer; its functions are its fastest use."""

from __future__ import annotations

import ormsgpack

from benchmarks.codecs.codec import DOCUMENT, SCHEMA, UNTYPED, Codec, from_items
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.validation import converting
from benchmarks.codecs.walk import ITEMS, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "ormsgpack"
DISTRIBUTION = "ormsgpack"
TAKES = frozenset({SCHEMA, DOCUMENT})


def open_codec(shape: Shape) -> Codec:
    """Return ormsgpack made ready for `shape`."""
    return Codec(
        tier=UNTYPED,
        build=None,
        encode=ormsgpack.packb,
        decode=ormsgpack.unpackb,
        touch=toucher(shape.message, ITEMS) if shape.message else None,
        validate=converting(shape, ormsgpack.unpackb),
        restore=from_items(shape),
    )
