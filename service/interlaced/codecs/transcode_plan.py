"""What transcoding must know of a message type, read from its descriptor once."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

__all__ = ["Element", "Field", "Kind", "Plan", "Plans", "span"]


class Kind(enum.StrEnum):
    """How one value looks in JSON."""

    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT = "float"
    DOUBLE = "double"
    BOOL = "bool"
    STRING = "string"
    BYTES = "bytes"
    ENUM = "enum"
    NULL = "null"
    """The enum NullValue, which is null in JSON."""
    MESSAGE = "message"
    TIMESTAMP = "timestamp"
    DURATION = "duration"
    FIELD_MASK = "field_mask"
    WRAPPER = "wrapper"
    STRUCT = "struct"
    VALUE = "value"
    LIST = "list"
    ANY = "any"


_SCALARS = {
    FieldDescriptor.CPPTYPE_INT32: Kind.INT32,
    FieldDescriptor.CPPTYPE_UINT32: Kind.UINT32,
    FieldDescriptor.CPPTYPE_INT64: Kind.INT64,
    FieldDescriptor.CPPTYPE_UINT64: Kind.UINT64,
    FieldDescriptor.CPPTYPE_FLOAT: Kind.FLOAT,
    FieldDescriptor.CPPTYPE_DOUBLE: Kind.DOUBLE,
    FieldDescriptor.CPPTYPE_BOOL: Kind.BOOL,
}
_WELL_KNOWN = {
    "google.protobuf.Timestamp": Kind.TIMESTAMP,
    "google.protobuf.Duration": Kind.DURATION,
    "google.protobuf.FieldMask": Kind.FIELD_MASK,
    "google.protobuf.Struct": Kind.STRUCT,
    "google.protobuf.Value": Kind.VALUE,
    "google.protobuf.ListValue": Kind.LIST,
    "google.protobuf.Any": Kind.ANY,
}
_SPANS = {
    Kind.INT32: (-(2**31), 2**31 - 1),
    Kind.UINT32: (0, 2**32 - 1),
    Kind.INT64: (-(2**63), 2**63 - 1),
    Kind.UINT64: (0, 2**64 - 1),
}


def span(kind: Kind) -> tuple[int, int] | None:
    """The least and the greatest integer of a kind of integers; None for all others."""
    return _SPANS.get(kind)


@dataclass(frozen=True, slots=True)
class Element:
    """One value: of a field, of a list's items, or of a map's values."""

    kind: Kind
    message: Descriptor | None = None
    enum: EnumDescriptor | None = None

    @classmethod
    def of(cls, field: FieldDescriptor) -> Element:
        """Reads it from a field's descriptor."""
        if field.message_type is not None:
            return cls.of_message(field.message_type)
        if field.enum_type is not None:
            null = field.enum_type.full_name == "google.protobuf.NullValue"
            return cls(Kind.NULL if null else Kind.ENUM, None, field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return cls(Kind.BYTES)
        return cls(_SCALARS.get(field.cpp_type, Kind.STRING))

    @classmethod
    def of_message(cls, message: Descriptor) -> Element:
        """A message of this type, wherever it stands."""
        if message.file.name == "google/protobuf/wrappers.proto":
            return cls(Kind.WRAPPER, message)
        return cls(_WELL_KNOWN.get(message.full_name, Kind.MESSAGE), message)

    @property
    def wrapped(self) -> Element:
        """What a wrapper wraps."""
        if self.message is None:
            raise TypeError("only a message wraps")
        return Element.of(self.message.fields_by_name["value"])

    @property
    def child(self) -> Descriptor:
        """The type of a message."""
        if self.message is None:
            raise TypeError("only a message has a type")
        return self.message


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its two names, whether it repeats, and what it holds."""

    name: str
    json_name: str
    element: Element
    repeated: bool
    key: Kind | None
    """The kind of a map's keys; None for everything but a map."""
    presence: bool
    oneof: str
    """The oneof that it shares with others, or empty."""

    @property
    def has_long(self) -> bool:
        """Whether it holds 64-bit integers, which are texts in JSON."""
        element = self.element
        kind = element.wrapped.kind if element.kind is Kind.WRAPPER else element.kind
        return kind in {Kind.INT64, Kind.UINT64}


class Plan:
    """The fields of one message type in the order of their numbers."""

    def __init__(self, message: Descriptor) -> None:
        self.message = message
        fields = sorted(message.fields, key=lambda field: field.number)
        self.fields = tuple(map(_read_field, fields))

    @cached_property
    def by_spelling(self) -> dict[str, Field]:
        """The field of every key that JSON may use; a JSON name beats an original name."""
        originals = {field.name: field for field in self.fields}
        return originals | {field.json_name: field for field in self.fields}

    @cached_property
    def peculiar(self) -> bool:
        """Whether only the careful reader may look up these names.

        One field's name may be the JSON name of another; and msgspec 0.22 takes an empty key for
        the key of a TypedDict that is not ASCII.
        """
        return any(
            self.by_spelling[field.name] is not field or not field.json_name.isascii()
            for field in self.fields
        )

    @cached_property
    def oneofs(self) -> list[list[Field]]:
        """The members of each oneof that has several."""
        groups: dict[str, list[Field]] = {}
        for field in self.fields:
            if field.oneof:
                groups.setdefault(field.oneof, []).append(field)
        return list(groups.values())


class Plans:
    """The plans that one transcoder has made, by type."""

    def __init__(self) -> None:
        self._made: dict[str, Plan] = {}

    def of(self, message: Descriptor) -> Plan:
        """The plan of a type, made when it is first asked for."""
        plan = self._made.get(message.full_name)
        if plan is None:
            plan = self._made[message.full_name] = Plan(message)
        return plan

    def reach(self, message: Descriptor) -> list[Plan]:
        """The plans of a type and of all types that its fields hold as plain messages."""
        found: dict[str, Plan] = {}
        waiting = [message]
        while waiting:
            plan = self.of(waiting.pop())
            if plan.message.full_name not in found:
                found[plan.message.full_name] = plan
                waiting += [
                    field.element.child
                    for field in plan.fields
                    if field.element.kind is Kind.MESSAGE
                ]
        return list(found.values())


def _read_field(field: FieldDescriptor) -> Field:
    entry = field.message_type
    is_map = entry is not None and entry.GetOptions().map_entry
    held = entry.fields_by_name["value"] if is_map else field
    shared = field.containing_oneof
    return Field(
        name=field.name,
        json_name=field.json_name,  # type: ignore[attr-defined]  # missing in the stubs
        element=Element.of(held),
        repeated=field.is_repeated and not is_map,
        key=Element.of(entry.fields_by_name["key"]).kind if is_map else None,
        presence=field.has_presence,
        oneof=shared.name if shared is not None and len(shared.fields) > 1 else "",
    )
