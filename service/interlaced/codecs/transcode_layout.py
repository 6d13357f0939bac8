"""Lays out a message type for `transcode_wire`: tags, keys and kinds, in the order of fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from interlaced.codecs import transcode_wire as wire
from interlaced.codecs.transcode_plan import Element, Kind, Plan, Plans
from interlaced.codecs.transcode_print import Printer
from interlaced.codecs.wellknown import print_float

__all__ = ["lay_out"]

_KINDS: dict[int, int] = {
    FieldDescriptor.TYPE_INT32: wire.SIGNED,
    FieldDescriptor.TYPE_UINT32: wire.SIGNED,
    FieldDescriptor.TYPE_INT64: wire.SIGNED,
    FieldDescriptor.TYPE_UINT64: wire.UNSIGNED,
    FieldDescriptor.TYPE_SINT32: wire.ZIGZAG,
    FieldDescriptor.TYPE_SINT64: wire.ZIGZAG,
    FieldDescriptor.TYPE_BOOL: wire.BOOL,
    FieldDescriptor.TYPE_ENUM: wire.ENUM,
    FieldDescriptor.TYPE_FIXED32: wire.FIXED32,
    FieldDescriptor.TYPE_SFIXED32: wire.SFIXED32,
    FieldDescriptor.TYPE_FLOAT: wire.FLOAT,
    FieldDescriptor.TYPE_FIXED64: wire.FIXED64,
    FieldDescriptor.TYPE_SFIXED64: wire.SFIXED64,
    FieldDescriptor.TYPE_DOUBLE: wire.DOUBLE,
    FieldDescriptor.TYPE_STRING: wire.STRING,
    FieldDescriptor.TYPE_BYTES: wire.BYTES,
}
_MESSAGES: dict[Kind, int] = {
    Kind.MESSAGE: wire.MESSAGE,
    Kind.TIMESTAMP: wire.TIMESTAMP,
    Kind.DURATION: wire.DURATION,
    Kind.WRAPPER: wire.WRAPPER,
}
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""What follows a tag, as its last three bits say it."""
_BEYOND_ALL_TAGS = 2**32
_encode = msgspec.json.Encoder().encode

PrinterOf = Callable[[Descriptor], Printer]


def lay_out(message: Descriptor, plans: Plans, printer_of: PrinterOf) -> wire.Layout | None:
    """The layout of a message type; None where the printer alone may print it: extensions, groups.

    `printer_of` gives the printers of types that have a form of their own in JSON.
    """
    reached = plans.reach(message)
    if any(map(_is_beyond, reached)):
        return None
    layouts = {plan.message.full_name: wire.Layout() for plan in reached}
    work = _LayingOut(layouts, printer_of)
    for plan in reached:
        slots = layouts[plan.message.full_name].slots
        slots += [work.slot(field) for field in _in_order(plan)]
        slots.append(wire.Slot(_BEYOND_ALL_TAGS, wire.OTHER))
    return layouts[message.full_name]


def _is_beyond(plan: Plan) -> bool:
    fields = plan.message.fields
    is_grouped = any(field.type == FieldDescriptor.TYPE_GROUP for field in fields)
    return is_grouped or plan.message.is_extendable


def _in_order(plan: Plan) -> list[FieldDescriptor]:
    return [plan.message.fields_by_name[field.name] for field in plan.fields]


class _LayingOut:
    """Makes slots; a message's own layout may still be empty when a slot names it."""

    def __init__(self, layouts: dict[str, wire.Layout], printer_of: PrinterOf) -> None:
        self._layouts = layouts
        self._printer_of = printer_of

    def slot(self, field: FieldDescriptor) -> wire.Slot:
        """The slot of a field as a whole."""
        slot = self._slot_of_field(field)
        slot.key = _encode(field.json_name) + b":"  # type: ignore[attr-defined]  # missing in the stubs
        return slot

    def _slot_of_field(self, field: FieldDescriptor) -> wire.Slot:
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            slot = wire.Slot(_tag(field, _LENGTH), wire.MAP)
            slot.map_key = self._one(entry.fields_by_name["key"])
            slot.map_key.is_quoted = slot.map_key.kind != wire.STRING
            slot.held = self._one(entry.fields_by_name["value"])
            slot.is_repeated = True
            return slot
        slot = self._one(field)
        slot.is_repeated = field.is_repeated
        if field.is_repeated and field.is_packed:
            slot.tag = _tag(field, _LENGTH)
            slot.is_packed = True
        return slot

    def _one(self, field: FieldDescriptor) -> wire.Slot:
        """One value of the field."""
        element = Element.of(field)
        if element.message is not None:
            return self._message(element, field)
        kind = wire.NULL if element.kind is Kind.NULL else _KINDS[field.type]
        slot = wire.Slot(_tag(field, _follows_tag(kind)), kind)
        slot.is_quoted = element.kind in {Kind.INT64, Kind.UINT64}
        if element.enum is not None:
            by_number = element.enum.values_by_number
            slot.names = {number: _encode(by_number[number].name) for number in by_number}
        elif element.kind is Kind.FLOAT:
            slot.shorten = print_float
        return slot

    def _message(self, element: Element, field: FieldDescriptor) -> wire.Slot:
        slot = wire.Slot(_tag(field, _LENGTH), _MESSAGES.get(element.kind, wire.OTHER))
        if element.kind is Kind.MESSAGE:
            slot.layout = self._layouts[element.child.full_name]
        elif element.kind is Kind.WRAPPER:
            slot.held = self._one(element.child.fields_by_name["value"])
            slot.empty = self._converter(element.child)(b"")
        elif slot.kind == wire.OTHER:
            slot.convert = self._converter(element.child)
        return slot

    def _converter(self, message: Descriptor) -> Callable[[bytes], bytes]:
        made: Any = message_factory.GetMessageClass(message)
        read, show = made.FromString, self._printer_of(message).print
        return lambda data: _encode(show(read(data)))


def _tag(field: FieldDescriptor, follows: int) -> int:
    number: int = field.number
    return number << 3 | follows


def _follows_tag(kind: int) -> int:
    if kind in {wire.FIXED64, wire.SFIXED64, wire.DOUBLE}:
        return _EIGHT_BYTES
    if kind in {wire.FIXED32, wire.SFIXED32, wire.FLOAT}:
        return _FOUR_BYTES
    return _LENGTH if kind in {wire.STRING, wire.BYTES} else _VARINT
