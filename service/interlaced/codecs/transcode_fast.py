"""Reads the usual spelling of every value: msgspec checks the types while it parses, and generated
functions touch only the fields that change their form on the way.

It never guesses. Whatever is not usual raises, and the careful reader decides.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from google.protobuf import message_factory
from google.protobuf.message import DecodeError, Message

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.json import read_object
from interlaced.codecs.struct_values import count_keys, write_list, write_struct, write_value
from interlaced.codecs.transcode_build import ONE_TIME
from interlaced.codecs.transcode_careful import DEEPEST
from interlaced.codecs.transcode_forms import describe
from interlaced.codecs.transcode_plan import Kind, Plans
from interlaced.codecs.transcode_source import SourceWriter
from interlaced.codecs.transcode_times import IS_COMPILED, UnusualTime, write_times
from interlaced.codecs.wellknown import (
    CLOCK_SECONDS,
    HOUR_SECONDS,
    MILLI_NANOS,
    REST_NANOS,
    SHORT_NANOS,
    read_field_mask,
    read_moment,
    read_span,
)

__all__ = ["UNUSUAL", "FastReader", "has_keys"]

M = TypeVar("M", bound=Message)

_COLONS = ONE_TIME - 1
"""The bits of a count of colons beside those that count times."""

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


class FastReader(Generic[M]):
    """The compiled reader of one message type, for one of the two spellings of its names.

    Without `nulls` it takes no null, but JSON's texts of 64-bit integers at a fraction of the cost.
    With `by_wire` it merges lists of times in their wire form.
    """

    def __init__(
        self,
        message: type[M],
        plans: Plans,
        *,
        original_names: bool,
        ignore_unknown: bool = False,
        nulls: bool = True,
        by_wire: bool = IS_COMPILED,
    ) -> None:
        self._class = message
        descriptor: Any = message.DESCRIPTOR  # each back-end of protobuf has its own class of it
        reached = plans.reach(descriptor)
        writer = SourceWriter(reached, original_names=original_names, nulls=nulls, by_wire=by_wire)
        self._ignore_unknown = ignore_unknown
        self._extendable = any(plan.message.is_extendable for plan in reached)
        self._known = {key for plan in reached for key in plan.by_spelling} - {
            writer.key(field) for plan in reached for field in plan.fields
        }
        self._root = describe(reached, writer, nulls=nulls)
        self._decode: Callable[[bytes], Any]
        self._decode = msgspec.json.Decoder(self._root, strict=nulls).decode
        self.source = writer.write()
        """The generated functions, for whoever wants to look at them."""
        made: Any = message_factory.GetMessageClass  # untyped stubs
        # As functions of their classes: a message looks for a field of that name first.
        has = {f"has{index}": made(plan.message).HasField for index, plan in enumerate(reached)}
        names = _CALLED | has
        exec(self.source, names)  # noqa: S102  # every name in it is ours or written with repr
        self._build: Callable[[M, Any, int], int] = names["build0"]
        self._count: Callable[[Any], int] = names["count0"]

    def read_json(self, data: bytes) -> M:
        """Reads JSON, or raises one of UNUSUAL."""
        message = self._class()
        found = self._build(message, self._decode(data), DEEPEST)
        colons = data.count(b":")
        # A time in UTC has two colons, unless they are written with backslashes.
        if colons != found and (colons != found & _COLONS or b"\\" in data):
            times, expected = divmod(found, ONE_TIME)
            if not has_keys(data, expected - 2 * times) and not self._may_skip(data):
                raise CodecError("a key names no field")
        return message

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
        message = self._class()
        content = msgspec.convert(value, self._root, str_keys=True)
        found = self._build(message, content, DEEPEST)
        # It could be converted, so its lists and objects are where the type has them.
        times, colons = divmod(found, ONE_TIME)
        if colons - 2 * times != self._count(value):
            raise CodecError("a key names no field")
        return message


def _read_null(value: object) -> int:
    if value is not None:
        raise CodecError("the value is not null")
    return 0


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


_CALLED: dict[str, Any] = {
    "CodecError": CodecError,
    "UNSET": msgspec.UNSET,
    "UnusualTime": UnusualTime,
    "boolean": {"true": True, "false": False}.__getitem__,
    "clock": CLOCK_SECONDS,
    "hours": HOUR_SECONDS,
    "keys": count_keys,
    "longs": _read_longs,
    "millis": MILLI_NANOS,
    "null": _read_null,
    "rests": REST_NANOS,
    "shorts": SHORT_NANOS,
    "times": write_times,
    "wide": _read_wide,
    str(Kind.DURATION): read_span,
    str(Kind.FIELD_MASK): read_field_mask,
    str(Kind.LIST): write_list,
    str(Kind.STRUCT): write_struct,
    str(Kind.TIMESTAMP): read_moment,
    str(Kind.VALUE): write_value,
}
"""What the generated functions call."""
