"""The messages of the schema as classes of protobuf-py, made as its generated code makes them."""

from __future__ import annotations

import types
from functools import cache, partial
from typing import Any

from google.protobuf import descriptor_pb2
from protobuf import Enum, Message
from protobuf._codegen import file_desc
from protobuf.wkt.google.protobuf import duration_pb, timestamp_pb, wrappers_pb

from benchmarks.codecs.schema import file_bytes

__all__ = ["class_of"]


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
