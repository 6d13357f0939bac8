"""Reads plain data into a message in every spelling of the mapping, and says what is wrong.

This is the whole proto3 JSON mapping, value by value; the compiled reader accepts a part of it at
once and leaves the rest, and every refusal, to this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from google.protobuf import message_factory
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.struct_values import write_list, write_struct, write_value
from interlaced.codecs.transcode_plan import (
    Element,
    Field,
    Kind,
    Plan,
    Plans,
    span,
)
from interlaced.codecs.wellknown import (
    read_bytes,
    read_double,
    read_duration,
    read_field_mask,
    read_float,
    read_integer,
    read_timestamp,
)

__all__ = ["DEEPEST", "CarefulReader", "Content"]

DEEPEST = 100
"""How many messages may lie in one another; protobuf reads back no more."""

Content: TypeAlias = Value
"""What a constructor of protobuf takes for a field: a dict for a message, or the value itself."""

_Texts: TypeAlias = Callable[[str], Value]
_EXTENSION = re.compile(r"\[[A-Za-z0-9._]*\]").fullmatch
_FROM_TEXT: dict[Kind, _Texts] = {
    Kind.TIMESTAMP: read_timestamp,
    Kind.DURATION: read_duration,
    Kind.FIELD_MASK: read_field_mask,
}
_FROM_VALUE: dict[Kind, Callable[[Value], Value]] = {
    Kind.BYTES: read_bytes,
    Kind.DOUBLE: read_double,
    Kind.FLOAT: read_float,
}
_WRITERS: dict[Kind, Callable[[Value], bytes]] = {
    Kind.STRUCT: write_struct,
    Kind.VALUE: write_value,
    Kind.LIST: write_list,
}
_SKIPPED = object()


class CarefulReader:
    """Reads plain data for messages of any type; holds nothing but plans."""

    def __init__(self, plans: Plans, pool: DescriptorPool, *, ignore_unknown: bool) -> None:
        self._plans = plans
        self._pool = pool
        self._ignore_unknown = ignore_unknown

    def read(self, element: Element, value: Value) -> Content:
        """Returns what the message's constructor takes; CodecError with the field's path."""
        return self._one(element, value, "", DEEPEST)

    def _one(self, element: Element, value: Value, place: str, left: int) -> Content:
        """One value that is there; null only where null is a value."""
        try:
            return self._convert(element, value, place, left)
        except CodecError as error:
            if error.place or not place:
                raise
            raise CodecError(str(error), place) from error

    def _convert(self, element: Element, value: Value, place: str, left: int) -> Content:
        kind = element.kind
        if element.message is not None and left < 1:
            raise CodecError(f"more than {DEEPEST} messages lie in one another")
        if kind is Kind.MESSAGE:
            return self._message(self._plans.of(element.child), value, place, left)
        if kind is Kind.WRAPPER:
            return {"value": self._one(element.wrapped, value, place, left)}
        if kind is Kind.ANY:
            return self._any(value, place, left)
        if kind in _WRITERS:
            return _read_dynamic(element, value)
        return self._scalar(element, value)

    def _scalar(self, element: Element, value: Value) -> Content:
        kind = element.kind
        limits = span(kind)
        if limits is not None:
            return read_integer(value, *limits)
        if kind in _FROM_VALUE:
            return _FROM_VALUE[kind](value)
        if kind is Kind.BOOL:
            if not isinstance(value, bool):
                raise CodecError("the value is neither true nor false")
            return value
        if kind is Kind.NULL and value is None:
            return 0
        if element.enum is not None:
            return self._enum(element.enum, value)
        if not isinstance(value, str):
            raise CodecError("the value is no text")
        return _check_text(value) if kind is Kind.STRING else _FROM_TEXT[kind](value)

    def _enum(self, kind: EnumDescriptor, value: Value) -> Content:
        # The check comes first: protobuf's own look-up breaks on half a surrogate pair.
        if isinstance(value, str) and _check_text(value) in kind.values_by_name:
            return kind.values_by_name[value].number
        if isinstance(value, str) and not value.lstrip("+-").isdecimal():
            if self._ignore_unknown:
                return _SKIPPED
            raise CodecError("the text is no name of the enum")
        number = read_integer(value, -(2**31), 2**31 - 1)
        if kind.is_closed and number not in kind.values_by_number:  # type: ignore[attr-defined]  # missing in the stubs
            raise CodecError("the number is none of the closed enum")
        return number

    def _message(self, plan: Plan, value: Value, place: str, left: int) -> dict[str, Content]:
        if not isinstance(value, dict):
            raise CodecError("the value is no object")
        content: dict[str, Content] = {}
        seen: set[str] = set()
        for key, member in value.items():
            field = plan.by_spelling.get(key) if isinstance(key, str) else None
            if field is None:
                self._refuse_unknown(plan, key)
                continue
            if field.name in seen:
                raise CodecError("a field is there twice, in two spellings", place)
            seen.add(field.name)
            here = f"{place}.{field.json_name}" if place else field.json_name
            held = self._field(field, member, here, left)
            if held is None:
                continue
            if field.oneof and field.oneof in seen:
                raise CodecError("two fields of one oneof are set", here)
            seen.add(field.oneof or field.name)
            content[field.name] = held
        return content

    def _refuse_unknown(self, plan: Plan, key: Value) -> None:
        if not self._ignore_unknown:
            raise CodecError("a key names no field of the message")
        if isinstance(key, str) and plan.message.is_extendable and _EXTENSION(key):
            raise CodecError("a key names an extension, and extensions are not transcoded")

    def _field(self, field: Field, value: Value, place: str, left: int) -> Content:
        """What the field is set to, or None where it stays unset."""
        element = field.element
        if value is None:
            return None if field.repeated or field.key else _read_null(element)
        if field.key is not None:
            return self._map(field, value, place, left - 1)
        if not field.repeated:
            held = self._one(element, value, place, left - 1)
            return None if held is _SKIPPED else held
        if not isinstance(value, list):
            raise CodecError("the value is no list", place)
        items = [
            self._item(element, item, f"{place}[{index}]", left - 1)
            for index, item in enumerate(value)
        ]
        return [item for item in items if item is not _SKIPPED]

    def _item(self, element: Element, value: Value, place: str, left: int) -> Content:
        if value is None and element.kind not in {Kind.VALUE, Kind.NULL}:
            raise CodecError("null is no item and no member here", place)
        return self._one(element, value, place, left)

    def _map(self, field: Field, value: Value, place: str, left: int) -> Content:
        if not isinstance(value, dict):
            raise CodecError("the value is no object", place)
        members: dict[Content, Content] = {}
        for key, member in value.items():
            name = _read_key(field.key, key, place)
            if name in members:
                raise CodecError("a map has the same key twice, in two spellings", place)
            held = self._item(field.element, member, f"{place}[]", left)
            if held is not _SKIPPED:
                members[name] = self._own(field.element, held)
        return members

    def _own(self, element: Element, held: Content) -> Content:
        """A map's constructor wants messages for some types, and takes them for all."""
        if element.message is None or not isinstance(held, dict):
            return held
        return message_factory.GetMessageClass(element.message)(**held)

    def _any(self, value: Value, place: str, left: int) -> Content:
        if not isinstance(value, dict):
            raise CodecError("the value is no object")
        if not value:
            return {}
        url = value.get("@type")
        if not isinstance(url, str):
            raise CodecError("an Any has no text @type")
        try:
            held = self._pool.FindMessageTypeByName(  # type: ignore[no-untyped-call]  # untyped stubs
                _check_text(url).rpartition("/")[2]
            )
        except KeyError as error:
            raise CodecError("the @type of an Any names no type that is known here") from error
        rest: Value = {key: member for key, member in value.items() if key != "@type"}
        element = Element.of_message(held)
        if element.kind is not Kind.MESSAGE:
            rest = self._embedded(rest)
        content = self._one(element, rest, place, left - 1)
        try:
            return {"type_url": url, "value": _build(held, content).SerializeToString()}
        except EncodeError as error:
            raise CodecError("an Any lacks a required field") from error

    def _embedded(self, rest: Value) -> Value:
        if not isinstance(rest, dict) or "value" not in rest:
            raise CodecError("an Any of a well-known type has no value")
        if len(rest) > 1 and not self._ignore_unknown:
            raise CodecError("an Any of a well-known type has more than a value")
        return rest["value"]


def _build(message: object, content: Content) -> Message:
    """A message of this type from what was read for it."""
    if isinstance(content, Message):
        return content
    if not isinstance(content, dict):
        raise TypeError("only an object becomes a message")
    made: Message = message_factory.GetMessageClass(message)(**content)  # type: ignore[arg-type]  # both back-ends have a descriptor class of their own
    return made


def _read_null(element: Element) -> Content:
    if element.kind is Kind.VALUE:
        return _read_dynamic(element, None)
    return 0 if element.kind is Kind.NULL else None


def _read_dynamic(element: Element, value: Value) -> Message:
    made: Message = message_factory.GetMessageClass(element.child)()
    try:
        made.ParseFromString(_WRITERS[element.kind](value))
    except (DecodeError, RecursionError) as error:
        raise CodecError("the value is nested deeper than protobuf reads back") from error
    return made


def _read_key(kind: Kind | None, key: Value, place: str) -> Content:
    try:
        if kind is Kind.STRING and isinstance(key, str):
            return _check_text(key)
        if kind is Kind.BOOL and (isinstance(key, bool) or key in ("true", "false")):
            return key in (True, "true")
        limits = span(kind) if kind else None
        if limits is not None:
            return read_integer(key, *limits)
    except CodecError as error:
        raise CodecError("a key of the map is none of its type", place) from error
    raise CodecError("a key of the map is none of its type", place)


def _check_text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CodecError("a text has half a surrogate pair") from error
    return text
