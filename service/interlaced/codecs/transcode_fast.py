"""Reads the usual spelling of every value: msgspec checks the types while it parses, and generated
functions touch only the fields that change their form on the way.

It never guesses. Whatever is not usual raises, and the careful reader decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import msgspec
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.struct_values import count_keys, write_list, write_struct, write_value
from interlaced.codecs.transcode_careful import DEEPEST
from interlaced.codecs.transcode_plan import Element, Field, Kind, Plan, Plans
from interlaced.codecs.transcode_source import ONE_TIME, SourceWriter
from interlaced.codecs.wellknown import (
    LARGEST_FLOAT,
    read_duration,
    read_field_mask,
    read_timestamp,
)

__all__ = ["UNUSUAL", "FastReader", "has_keys", "read_object"]

M = TypeVar("M", bound=Message)

UNUSUAL = (
    ArithmeticError,
    CodecError,
    DecodeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What a fast reader raises for everything that the careful one must look at."""

_TYPES: dict[Kind, Any] = {
    Kind.INT32: int,
    Kind.UINT32: int,
    Kind.INT64: int | str,
    Kind.UINT64: int | str,
    Kind.DOUBLE: float | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)],
    Kind.FLOAT: Annotated[float, msgspec.Meta(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
    | Annotated[int, msgspec.Meta(ge=-(2**24), le=2**24)],
    Kind.BOOL: bool,
    Kind.STRING: str,
    Kind.BYTES: bytes,
    Kind.NULL: None,
    Kind.TIMESTAMP: str,
    Kind.DURATION: str,
    Kind.FIELD_MASK: str,
    Kind.STRUCT: dict[str, Any],
    Kind.VALUE: Any,
    Kind.LIST: list[Any],
    Kind.ANY: Any,
}
"""What msgspec lets pass; integers in a double stay below what it rounds."""

_DYNAMIC: dict[Kind, Callable[[Value], bytes]] = {
    Kind.STRUCT: write_struct,
    Kind.VALUE: write_value,
    Kind.LIST: write_list,
}


class FastReader(Generic[M]):
    """The compiled reader of one message type, for one of the two spellings of its names."""

    def __init__(
        self,
        message: type[M],
        plans: Plans,
        *,
        original_names: bool,
        ignore_unknown: bool = False,
    ) -> None:
        self._class = message
        descriptor: Any = message.DESCRIPTOR  # each back-end of protobuf has its own class of it
        reached = plans.reach(descriptor)
        writer = SourceWriter(reached, original_names=original_names)
        self._key = writer.key
        self._ignore_unknown = ignore_unknown
        self._extendable = any(plan.message.is_extendable for plan in reached)
        self._known = {key for plan in reached for key in plan.by_spelling} - {
            writer.key(field) for plan in reached for field in plan.fields
        }
        self._objects: dict[str, Any] = {
            plan.message.full_name: TypedDict(plan.message.name, {}, total=False)  # type: ignore[operator]  # made from data
            for plan in reached
        }
        for plan in reached:
            self._describe(plan)
        root = self._objects[descriptor.full_name]
        self._decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(root).decode
        self._root = root
        self.source = writer.write()
        """The generated functions, for whoever wants to look at them."""
        names = self._name_functions(reached)
        exec(self.source, names)  # noqa: S102  # every name in it is ours or written with repr
        self._read: Callable[[Any, int, list[Any]], int] = names["read0"]
        self._count: Callable[[Any], int] = names["count0"]
        self._fill: Callable[[M, Any], None] = names.get("fill0", _fill_nothing)

    def read_json(self, data: bytes) -> M:
        """Reads JSON, or raises one of UNUSUAL."""
        content = self._decode(data)
        later: list[Any] = []
        found = self._read(content, DEEPEST, later)
        if data.count(b":") != found and not self._is_whole(data, found):
            raise CodecError("a key names no field")
        message = self._class(**content)
        if later:
            self._fill(message, iter(later))
        return message

    def _is_whole(self, data: bytes, found: int) -> bool:
        """Whether everything was read that is to be read."""
        times, keys = divmod(found, ONE_TIME)
        # A time in UTC has two colons, unless they are written with backslashes.
        if times and data.count(b":") == keys + 2 * times and b"\\" not in data:
            return True
        return has_keys(data, keys) or self._may_skip(data)

    def _may_skip(self, data: bytes) -> bool:
        """Whether what msgspec skipped is unknown, and not a field in its other spelling."""
        if not self._ignore_unknown or self._extendable:
            return False
        seen: set[str] = set()
        # Decoded here, because msgspec does not look into the texts that it skips.
        json.loads(data.decode(), object_pairs_hook=lambda pairs: seen.update(read_object(pairs)))
        return seen.isdisjoint(self._known)

    def read_data(self, value: Value) -> M:
        """Reads plain data, which it leaves as it is, or raises one of UNUSUAL."""
        content = msgspec.convert(value, self._root, str_keys=True)
        later: list[Any] = []
        # It could be converted, so its lists and objects are where the type has them.
        if self._read(content, DEEPEST, later) % ONE_TIME != self._count(value):
            raise CodecError("a key names no field")
        message = self._class(**content)
        if later:
            self._fill(message, iter(later))
        return message

    def _describe(self, plan: Plan) -> None:
        described = self._objects[plan.message.full_name]
        for field in plan.fields:
            described.__annotations__[self._key(field)] = self._type_of_field(field)
        described.__optional_keys__ = frozenset(described.__annotations__)

    def _type_of_field(self, field: Field) -> Any:
        held: Any = self._type(field.element)
        if field.key is not None:
            # A key that is no text is a text in JSON; msgspec reads integers, and not booleans.
            key: Any = str if field.key in {Kind.STRING, Kind.BOOL} else int
            return dict[key, held] | None  # made from data
        if field.repeated:
            return list[held] | None
        return held if held in (None, Any) else held | None

    def _type(self, element: Element) -> Any:
        if element.kind is Kind.MESSAGE:
            return self._objects[element.child.full_name]
        if element.enum is not None and element.kind is Kind.ENUM:
            # Only names that are there: protobuf 6.33 dies of half a surrogate pair in a name.
            return Literal[tuple(element.enum.values_by_name)] | int
        if element.kind is Kind.WRAPPER:
            return _TYPES[element.wrapped.kind]
        return _TYPES[element.kind]

    def _name_functions(self, reached: list[Plan]) -> dict[str, Any]:
        """What the generated functions call."""
        names: dict[str, Any] = {
            "CodecError": CodecError,
            "boolean": {"true": True, "false": False}.__getitem__,
            "keys": count_keys,
            "long": _read_long,
            "longs": _read_longs,
            "wide": _read_wide,
            str(Kind.DURATION): read_duration,
            str(Kind.FIELD_MASK): read_field_mask,
            str(Kind.TIMESTAMP): read_timestamp,
        }
        for element in (field.element for plan in reached for field in plan.fields):
            if element.kind in _DYNAMIC:
                names[element.kind] = _make_dynamic(element)
        return names


def _fill_nothing(_: Message, __: object) -> None:
    """For a type that has no map to fill."""


def _make_dynamic(element: Element) -> Callable[[Value], Message]:
    made = message_factory.GetMessageClass(element.child).FromString
    write = _DYNAMIC[element.kind]
    return lambda value: made(write(value))


def _read_wide(_: str) -> int:
    raise CodecError("the text is no integer in its usual spelling")


_decode_longs = msgspec.json.Decoder(list[int]).decode


def _read_longs(values: list[int | str]) -> list[int]:
    """Reads texts as a whole if they have digits alone; integers are themselves."""
    try:
        text = f"[{','.join(values)}]".encode()  # type: ignore[arg-type]  # where one is none, the next line is for it
    except TypeError:
        return [_read_long(value) for value in values]
    numbers = _decode_longs(text)
    # The parser takes blanks, 1.0 and 1e2 too; and a text with a comma is two numbers to it.
    if len(numbers) != len(values) or text.translate(None, b"0123456789-,[]"):
        _read_wide(",")
    return numbers


def _read_long(value: int | str) -> int:
    if isinstance(value, int):
        return value
    number = int(value)
    return number if str(number) == value else _read_wide(value)


def has_keys(data: bytes, keys: int) -> bool:
    """Whether `data`, which is JSON, has exactly so many keys, given that it has no fewer.

    Each key has its own colon. Texts may hold more of them, so colons after a quote are counted
    where no colon has a blank before it; and where that is too many too, the keys themselves.
    """
    if data.count(b":") == keys:
        return True
    # Looking for one byte takes no time beside looking for two.
    blank = (
        (b" " in data and b" :" in data)
        or (b"\n" in data and b"\n:" in data)
        or (b"\t" in data and b"\t:" in data)
        or (b"\r" in data and b"\r:" in data)
    )
    if not blank and data.count(b'":') == keys:
        return True
    return _count_keys(data) == keys


def _count_keys(data: bytes) -> int:
    """How many keys there are; CodecError if an object has one twice."""
    found = 0

    def count(pairs: list[tuple[str, Value]]) -> None:
        nonlocal found
        found += len(read_object(pairs))

    json.loads(data, object_pairs_hook=count)
    return found


def read_object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    """The members of an object; CodecError if one is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CodecError("an object has the same key twice")
    return members
