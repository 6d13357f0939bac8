"""protobuf, Google's runtime, on upb."""

from __future__ import annotations

from typing import Any

from benchmarks.codecs.codec import SCHEMA, TYPED, Codec
from benchmarks.codecs.schema import Field, assert_upb, message_class, restore
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.walk import UPB, checker, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "protobuf"
DISTRIBUTION = "protobuf"
TAKES = frozenset({SCHEMA})

assert_upb()


def _read(value: Any, field: Field) -> Any:
    if field.optional and not value.HasField(field.name):
        return None
    return getattr(value, field.name)


def open_codec(shape: Shape) -> Codec:
    """Return protobuf made ready for `shape`. It has no rules of its own: they are plain code."""
    made = message_class(shape.message)
    decode = made.FromString
    check = checker(shape.message, UPB)

    def validate(raw: bytes) -> Any:
        value = decode(raw)
        check(value)
        return value

    return Codec(
        tier=TYPED,
        build=lambda data: made(**data),
        encode=made.SerializeToString,
        decode=decode,
        touch=toucher(shape.message, UPB),
        validate=validate,
        restore=lambda value: restore(shape.message, value, _read),
    )
