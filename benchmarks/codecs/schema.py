"""The schema of the benchmark: protobuf classes, and a plain description that all libraries share.

The classes come from `schema.binpb`, the compiled `schema.proto`, in the way in which generated
code makes them. So there is one source, and nothing to read twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.internal import api_implementation

__all__ = [
    "PACKAGE",
    "Field",
    "Kind",
    "Spec",
    "assert_upb",
    "file_bytes",
    "message_class",
    "restore",
    "spec_of",
]

PACKAGE = "interlace.benchmarks.codecs"
COMPILED = Path(__file__).with_name("schema.binpb")
# Importing these put the files that ours imports into the pool.
IMPORTED = (duration_pb2, timestamp_pb2, wrappers_pb2)

Kind = str  # "int", "float", "str", "bool", "bytes", "enum" or "message"

_KINDS: dict[int, Kind] = {
    FieldDescriptor.CPPTYPE_INT32: "int",
    FieldDescriptor.CPPTYPE_INT64: "int",
    FieldDescriptor.CPPTYPE_UINT32: "int",
    FieldDescriptor.CPPTYPE_UINT64: "int",
    FieldDescriptor.CPPTYPE_DOUBLE: "float",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_ENUM: "enum",
    FieldDescriptor.CPPTYPE_STRING: "str",
    FieldDescriptor.CPPTYPE_MESSAGE: "message",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. Of a map, `kind` and `message` describe the values; its keys are text."""

    name: str
    kind: Kind
    repeated: bool = False
    keyed: bool = False
    optional: bool = False
    message: str = ""
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Spec:
    """One message: its name and its fields."""

    name: str
    fields: tuple[Field, ...]


def assert_upb() -> None:
    """Raise RuntimeError unless protobuf runs on upb; a slower back-end would flatter others."""
    found = api_implementation.Type()
    if found != "upb":
        raise RuntimeError(f"protobuf runs on {found!r} here, not on upb")


@cache
def file_bytes() -> bytes:
    """Return the serialized FileDescriptorProto of `schema.proto`."""
    files = descriptor_pb2.FileDescriptorSet.FromString(COMPILED.read_bytes()).file
    return files[-1].SerializeToString()


@cache
def _pool() -> Any:
    pool: Any = descriptor_pool.Default()  # type: ignore[no-untyped-call] # its stubs say nothing
    pool.AddSerializedFile(file_bytes())
    return pool


@cache
def message_class(name: str) -> Any:
    """Return the protobuf class of the message `name` of the schema."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def spec_of(name: str) -> Spec:
    """Return the plain description of the message `name`."""
    descriptor: Descriptor = _pool().FindMessageTypeByName(f"{PACKAGE}.{name}")
    return Spec(name, tuple(_field(one) for one in descriptor.fields))


def _field(one: FieldDescriptor) -> Field:
    entry = one.message_type
    keyed = entry is not None and entry.GetOptions().map_entry
    value = entry.fields_by_name["value"] if keyed and entry is not None else one
    return Field(
        name=one.name,
        kind="bytes" if value.type == FieldDescriptor.TYPE_BYTES else _KINDS[value.cpp_type],
        repeated=one.is_repeated and not keyed,
        keyed=keyed,
        optional=one.has_presence and value.message_type is None,
        message="" if value.message_type is None else value.message_type.name,
        numbers=() if value.enum_type is None else tuple(value.enum_type.values_by_number),
    )


def restore(name: str, value: Any, read: Any) -> dict[str, Any]:
    """Return a decoded `value` of the message `name` as plain data.

    `read(value, field)` returns what the field holds, or None where it is absent.
    """

    def deep(field: Field, one: Any) -> Any:
        return restore(field.message, one, read) if field.kind == "message" else one

    found: dict[str, Any] = {}
    for field in spec_of(name).fields:
        one = read(value, field)
        if one is None:
            continue
        if field.keyed:
            found[field.name] = {key: deep(field, each) for key, each in one.items()}
        elif field.repeated:
            found[field.name] = [deep(field, each) for each in one]
        else:
            found[field.name] = deep(field, one)
    return found
