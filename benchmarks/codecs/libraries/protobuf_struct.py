"""google.protobuf.Struct: what protobuf offers to a document without a schema.

Its numbers are doubles: a document with a greater integer than 2**53 is refused, not timed.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.struct_pb2 import Value

from benchmarks.codecs.codec import DOCUMENT, UNTYPED, Codec
from benchmarks.codecs.schema import assert_upb
from benchmarks.codecs.shapes import Shape

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "protobuf-struct"
DISTRIBUTION = "protobuf"
TAKES = frozenset({DOCUMENT})

assert_upb()


def _build(data: Any) -> Value:
    value = Value()
    if isinstance(data, dict):
        value.struct_value.update(data)
    elif isinstance(data, list):
        value.list_value.extend(data)
    else:
        raise TypeError("a document is an object or a list")
    return value


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {key: _plain(one) for key, one in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_plain(one) for one in value.list_value.values]
    return None if kind == "null_value" else getattr(value, str(kind))


def open_codec(shape: Shape) -> Codec:
    """Return Struct made ready for the document `shape`. Raise ValueError where it has a schema."""
    if shape.message:
        raise ValueError(f"{shape.name} has a schema, and Struct has none")
    return Codec(
        tier=UNTYPED,
        build=_build,
        encode=Value.SerializeToString,
        decode=Value.FromString,
        touch=None,
        validate=None,
        restore=_plain,
    )
