"""json of the standard library, with the compact and reused encoder that it offers."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from benchmarks.codecs.codec import DOCUMENT, SCHEMA, UNTYPED, Codec, from_json_items
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.validation import converting
from benchmarks.codecs.walk import JSON_ITEMS, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "json"
DISTRIBUTION = ""
TAKES = frozenset({SCHEMA, DOCUMENT})


def _base64(value: Any) -> str:
    if isinstance(value, bytes):
        return b64encode(value).decode("ascii")
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def open_codec(shape: Shape) -> Codec:
    """Return json made ready for `shape`. Text stays UTF-8, as the other libraries leave it."""
    write = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_base64).encode
    return Codec(
        tier=UNTYPED,
        build=None,
        encode=lambda value: write(value).encode(),
        decode=json.loads,
        touch=toucher(shape.message, JSON_ITEMS) if shape.message else None,
        validate=converting(shape, json.loads),
        restore=from_json_items(shape),
    )
