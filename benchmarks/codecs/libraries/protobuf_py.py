"""protobuf-py, Buf's own runtime."""

from __future__ import annotations

from typing import Any

from benchmarks.codecs.buf import class_of
from benchmarks.codecs.codec import SCHEMA, TYPED, Codec
from benchmarks.codecs.schema import Field, restore
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.walk import NATIVE, builder, checker, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "protobuf-py"
DISTRIBUTION = "protobuf-py"
TAKES = frozenset({SCHEMA})


def _read(value: Any, field: Field) -> Any:
    if field.optional and not value.has_field(field.name):
        return None
    return getattr(value, field.name)


def open_codec(shape: Shape) -> Codec:
    """Return protobuf-py made ready for `shape`. Its rules are plain code, as protobuf's are."""
    made = class_of(shape.message)
    decode = made.from_binary
    check = checker(shape.message, NATIVE)

    def validate(raw: bytes) -> Any:
        value = decode(raw)
        check(value)
        return value

    return Codec(
        tier=TYPED,
        build=builder(shape.message, class_of),
        encode=made.to_binary,
        decode=decode,
        touch=toucher(shape.message, NATIVE),
        validate=validate,
        restore=lambda value: restore(shape.message, value, _read),
    )
