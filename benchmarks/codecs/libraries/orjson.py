"""orjson."""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from typing import Any

import orjson

from benchmarks.codecs.codec import DOCUMENT, SCHEMA, UNTYPED, Codec, from_json_items
from benchmarks.codecs.schema import spec_of
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.validation import converting
from benchmarks.codecs.walk import JSON_ITEMS, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "orjson"
DISTRIBUTION = "orjson"
TAKES = frozenset({SCHEMA, DOCUMENT})


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _has_bytes(shape: Shape) -> bool:
    return bool(shape.message) and any(one.kind == "bytes" for one in spec_of(shape.message).fields)


def open_codec(shape: Shape) -> Codec:
    """Return orjson made ready for `shape`; the hook for bytes is there where bytes are."""
    return Codec(
        tier=UNTYPED,
        build=None,
        encode=partial(orjson.dumps, default=_base64) if _has_bytes(shape) else orjson.dumps,
        decode=orjson.loads,
        touch=toucher(shape.message, JSON_ITEMS) if shape.message else None,
        validate=converting(shape, orjson.loads),
        restore=from_json_items(shape),
    )
