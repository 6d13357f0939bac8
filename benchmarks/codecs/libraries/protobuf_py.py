"""protobuf-py, Buf's own runtime. Its classes are made here as its generated code makes them."""

from __future__ import annotations

import types
from functools import cache, partial
from typing import Any

from google.protobuf import descriptor_pb2
from protobuf import Enum, Message
from protobuf._codegen import file_desc
from protobuf.wkt.google.protobuf import duration_pb, timestamp_pb, wrappers_pb

from benchmarks.codecs.codec import SCHEMA, TYPED, Codec
from benchmarks.codecs.schema import Field, file_bytes, restore
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.walk import NATIVE, builder, checker, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "class_of", "open_codec"]

NAME = "protobuf-py"
DISTRIBUTION = "protobuf-py"
TAKES = frozenset({SCHEMA})


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto.FromString(file_bytes())
    made: dict[str, Any] = {}
    for message in file.message_type:
        slots = {"__slots__": tuple(field.name for field in message.field)}
        made[message.name] = types.new_class(message.name, (Message,), {}, partial(_fill, slots))
    for enum in file.enum_type:
        prefix = f"{enum.name.upper()}_"
        members = {one.name.removeprefix(prefix): one.number for one in enum.value}
        made[enum.name] = types.new_class(enum.name, (Enum,), {}, partial(_fill, members))
    imported = [duration_pb.desc(), timestamp_pb.desc(), wrappers_pb.desc()]
    file_desc(file_bytes(), imported, made)
    return made


def class_of(message: str) -> Any:
    """Return the class of a message of the schema."""
    return _classes()[message]


def _fill(body: dict[str, Any], namespace: dict[str, Any]) -> None:
    namespace.update(body)


def _read(value: Any, field: Field) -> Any:
    if field.optional and not value.has_field(field.name):
        return None
    return getattr(value, field.name)


def open_codec(shape: Shape) -> Codec:
    """Return protobuf-py made ready for `shape`. Its rules are plain code, as protobuf's are."""
    classes = _classes()
    made = classes[shape.message]
    decode = made.from_binary
    check = checker(shape.message, NATIVE)

    def validate(raw: bytes) -> Any:
        value = decode(raw)
        check(value)
        return value

    return Codec(
        tier=TYPED,
        build=builder(shape.message, classes.__getitem__),
        encode=made.to_binary,
        decode=decode,
        touch=toucher(shape.message, NATIVE),
        validate=validate,
        restore=lambda value: restore(shape.message, value, _read),
    )
