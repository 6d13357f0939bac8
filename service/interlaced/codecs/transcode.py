"""JSON ⇄ protobuf, compiled: one plan per message type, then work in C.

`Transcoder(Order).from_json(body)` gives a message, `.to_json(message)` gives bytes. Make one per
message type at load and keep it: making one costs milliseconds, and there is no cache behind it.

It is the proto3 JSON mapping, for proto2 and editions too, without extensions. Either way is
lossless or raises CodecError with the field's path, never with what stands there. Where
`google.protobuf.json_format` guesses, rounds or lets pass, this refuses:

| in JSON | json_format | here |
|---|---|---|
| an integer that the double (float) of a field or Value cannot hold | rounds it | refused |
| "1e400" for a double, 1e400 in a Value, "1e39" for a float | infinity | refused |
| NaN and Infinity without quotes, in a Value or an enum NullValue | accepted | refused |
| 9007199254740993.0, or its text, for a 64-bit integer | rounds it | exact |
| 1e-400 for an integer | 0 | refused |
| "inf", "1_000", "1\\t", digits of other scripts for a number | accepted | refused |
| true for a float, a double or an enum | 1 | refused |
| 1.5 for an enum, or a number beyond 32 bits | cuts it | refused |
| characters that base64 does not have, a wrong padding | skipped | refused |
| [] or "" for a message | an empty message | refused |
| one field in both spellings, `userId` and `user_id` | the last wins | refused |
| one key of a map in two spellings, "1" and "01" | the last wins | refused |
| null for a Value beside another member of its oneof | the last wins | refused |
| "2020-1-1T0:0:0Z", "…00.Z", "…+99:99"; "1.s", "+1s" | accepted | refused |
| durations with more than 9 decimals | rounds them | refused |
| paths of a FieldMask with other than ASCII letters, digits and dots | accepted | refused |
| an Any of a well-known type with more than @type and value | skipped | refused |
| a Struct nested deeper than protobuf reads back (33 levels) | accepted | refused |
| an extension, in JSON or in the message | transcoded | refused |
| a FieldMask with a path that holds a comma, to be printed | two paths | refused |
| 3.4028235e38, as both print the largest float | refused | accepted |
| null in a list or a map of NullValue, as both print it | refused | accepted |
| null for a list of Value or NullValue | refused | an empty list |
"""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any, Generic, TypeVar, cast

import msgspec
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, EncodeError, Message

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.json import read_constant, read_object
from interlaced.codecs.transcode_careful import CarefulReader
from interlaced.codecs.transcode_fast import UNUSUAL, FastReader
from interlaced.codecs.transcode_layout import lay_out
from interlaced.codecs.transcode_plan import Element, Kind, Plan, Plans
from interlaced.codecs.transcode_print import Printer
from interlaced.codecs.transcode_wire import IS_COMPILED, Layout, UnusualWire, print_wire

__all__ = ["Transcoder"]

M = TypeVar("M", bound=Message)

_UNUSUAL_WIRE = (UnusualWire, EncodeError, IndexError, ValueError)
"""What is raised where the wire form is not printed."""


class Transcoder(Generic[M]):
    """JSON and plain data ⇄ messages of one type.

    `ignore_unknown` skips keys and names of enums that the message type does not have; without it
    they are refused. `pool` is where the types of an Any are looked up. `by_wire` prints messages
    and reads lists of times by their wire form, which is faster where `transcode_wire` and
    `transcode_times` are compiled, and slower elsewhere. A transcoder may be used by several
    threads at a time.
    """

    def __init__(
        self,
        message: type[M],
        *,
        ignore_unknown: bool = False,
        pool: DescriptorPool | None = None,
        by_wire: bool = IS_COMPILED,
    ) -> None:
        self._class = message
        self._ignore_unknown = ignore_unknown
        self._by_wire = by_wire
        self._pool = pool or descriptor_pool.Default()  # type: ignore[no-untyped-call]  # untyped stubs
        self._plans = Plans()
        descriptor: Any = message.DESCRIPTOR  # each back-end of protobuf has its own class of it
        self._element = Element.of_message(descriptor)
        self._careful = CarefulReader(self._plans, self._pool, ignore_unknown=ignore_unknown)
        self._spelled = self._compile(nulls=True)
        self._readers = self._order()
        self._printers: dict[Descriptor, Printer] = {}
        self._print = self._printer_of(descriptor).print
        self._layout: Layout | None = None
        if by_wire and self._element.kind is Kind.MESSAGE:
            self._layout = lay_out(descriptor, self._plans, self._printer_of)
        self._encode = msgspec.json.Encoder().encode

    def _compile(self, *, nulls: bool) -> list[FastReader[M]]:
        """One for JSON names, and one for original names if there are others."""
        reached = self._reach()
        if not reached or any(plan.peculiar for plan in reached):
            return []
        several = any(field.name != field.json_name for plan in reached for field in plan.fields)
        return [
            FastReader(
                self._class,
                self._plans,
                original_names=original,
                ignore_unknown=self._ignore_unknown,
                nulls=nulls,
                by_wire=self._by_wire,
            )
            for original in ((False, True) if several else (False,))
        ]

    def _order(self) -> list[FastReader[M]]:
        """What JSON is tried with in turn: where integers are texts, first what is made for it."""
        if not any(field.has_long for plan in self._reach() for field in plan.fields):
            return self._spelled
        pairs = zip(self._compile(nulls=False), self._spelled, strict=True)
        return [reader for pair in pairs for reader in pair]

    def _reach(self) -> list[Plan]:
        plain = self._element.kind is Kind.MESSAGE
        return self._plans.reach(self._element.child) if plain else []

    def from_json(self, data: bytes) -> M:
        """Reads one JSON document of UTF-8; CodecError with the field's path for what is wrong."""
        try:
            return self._readers[0].read_json(data)
        except UNUSUAL:
            pass  # another reader may take it, or say what is wrong
        for reader in self._readers[1:]:
            with suppress(*UNUSUAL):
                message = reader.read_json(data)
                self._readers = _prefer(reader, self._readers)
                return message
        return self._read_carefully(_parse(data))

    def from_data(self, value: Value) -> M:
        """Reads plain data in the shape of JSON, such as MessagePack was decoded to.

        Bytes may be bytes instead of base64, and keys of maps may be integers and booleans. What
        a double beyond 2**53 was meant to be is not known any more, so no integer is read from it.
        """
        try:
            return self._spelled[0].read_data(value)
        except UNUSUAL:
            pass  # another reader may take it, or say what is wrong
        for reader in self._spelled[1:]:
            with suppress(*UNUSUAL):
                message = reader.read_data(value)
                self._spelled = _prefer(reader, self._spelled)
                return message
        return self._read_carefully(value)

    def _read_carefully(self, value: Value) -> M:
        try:
            content = self._careful.read(self._element, value)
            return self._class(**content) if isinstance(content, dict) else cast("M", content)
        except CodecError:
            raise
        except RecursionError as error:
            raise CodecError("the text is nested too deeply") from error
        except (TypeError, ValueError) as error:
            raise CodecError("a value does not fit its field") from error

    def to_json(self, message: M) -> bytes:
        """Writes compact JSON; CodecError for a time, a path or a Value that JSON cannot spell."""
        if self._layout is not None:
            try:
                return print_wire(self._layout, message.SerializePartialToString())
            except _UNUSUAL_WIRE:
                pass  # the printer prints it, or says what is wrong
        try:
            return self._encode(self._print(message))
        except RecursionError as error:
            raise CodecError("the message is nested too deeply") from error

    def to_data(self, message: M) -> Value:
        """The same as plain data: 64-bit integers and bytes are texts here too."""
        value: Value = msgspec.json.decode(self.to_json(message))
        return value

    def _print_any(self, message: Any) -> Value:
        if not message.type_url and not message.value:
            return {}
        try:
            held = self._pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
            content = message_factory.GetMessageClass(held).FromString(message.value)
        except KeyError as error:
            raise CodecError("the type of an Any is not known here") from error
        except DecodeError as error:
            raise CodecError("the value of an Any is not of its type") from error
        show = self._printer_of(held).print
        printed: Any = msgspec.json.decode(self._encode(show(content)))
        if Element.of_message(held).kind is not Kind.MESSAGE:
            return {"@type": message.type_url, "value": printed}
        return {"@type": message.type_url, **printed}

    def _printer_of(self, message: Descriptor) -> Printer:
        printer = self._printers.get(message)
        if printer is None:
            printer = Printer(message, self._plans, self._print_any)
            self._printers[message] = printer
        return printer


def _prefer(found: FastReader[M], readers: list[FastReader[M]]) -> list[FastReader[M]]:
    """Puts first what worked last: an upstream spells its keys in one way, and has null or not."""
    return [found, *(reader for reader in readers if reader is not found)]


def _parse(data: bytes) -> Value:
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise CodecError("the text is not UTF-8", f"byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise CodecError("the text is not JSON", f"character {error.pos}") from error
    except RecursionError as error:
        raise CodecError("the text is nested too deeply") from error


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise CodecError("a number is beyond every range") from error


def _read_whole(text: str) -> int:
    if len(text) > 400:
        raise CodecError("a number is beyond every range")
    return int(text)


_DECODER = json.JSONDecoder(
    parse_float=_read_decimal,
    parse_int=_read_whole,
    parse_constant=read_constant,
    object_pairs_hook=read_object,
)
