"""Values without a schema (`google.protobuf.Struct`, `Value`, `ListValue`) and plain data.

They hold every number as a double, so an integer that a double cannot hold is refused.
Writing their bytes at once costs a fraction of building them value by value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.wellknown import read_double

if TYPE_CHECKING:
    from google.protobuf import struct_pb2

__all__ = [
    "count_keys",
    "print_list",
    "print_struct",
    "print_value",
    "write_list",
    "write_struct",
    "write_value",
]

_number = struct.Struct("<Bd").pack
_NUMBER_TAG = 0x11
_EXACT = 2**53


def count_keys(value: Value) -> int:
    """How many members all objects in `value` have together."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_keys, value.values()))
    if isinstance(value, list):
        return sum(map(count_keys, value))
    return 0


def write_value(value: Value) -> bytes:
    """The bytes of a Value."""
    write = _WRITERS.get(value.__class__)
    if write is None:
        raise CodecError("the value has no place in a Value")
    return write(value)


def write_struct(value: Value) -> bytes:
    """The bytes of a Struct."""
    if not isinstance(value, dict):
        raise CodecError("the value is no object")
    parts: list[bytes] = []
    for key, member in value.items():
        name, body = _encode(key), write_value(member)
        entry = b"".join((b"\x0a", _length(name), name, b"\x12", _length(body), body))
        parts += (b"\x0a", _length(entry), entry)
    return b"".join(parts)


def write_list(value: Value) -> bytes:
    """The bytes of a ListValue."""
    if not isinstance(value, list):
        raise CodecError("the value is no list")
    parts: list[bytes] = []
    for item in value:
        body = write_value(item)
        parts += (b"\x0a", _length(body), body)
    return b"".join(parts)


def _encode(text: Value) -> bytes:
    if not isinstance(text, str):
        raise CodecError("a key is not a text")
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CodecError("a text has half a surrogate pair") from error


_SHORT = tuple(bytes((size,)) for size in range(128))


def _length(body: bytes) -> bytes:
    size = len(body)
    if size < 128:
        return _SHORT[size]
    digits = bytearray()
    while size > 127:
        digits.append(size & 127 | 128)
        size >>= 7
    digits.append(size)
    return bytes(digits)


def _write_text(value: Any) -> bytes:
    text = _encode(value)
    return b"\x1a" + _length(text) + text


def _write_number(value: Any) -> bytes:
    if -_EXACT <= value <= _EXACT:
        return _number(_NUMBER_TAG, value)
    return _number(_NUMBER_TAG, _check_number(value))


def _check_number(value: Value) -> float:
    if isinstance(value, float) and not math.isfinite(value):
        raise CodecError("JSON has no number for NaN and the infinities")
    return read_double(value)


def _write_object(value: Any) -> bytes:
    members = write_struct(value)
    return b"\x2a" + _length(members) + members


def _write_items(value: Any) -> bytes:
    items = write_list(value)
    return b"\x32" + _length(items) + items


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    str: _write_text,
    float: _write_number,
    int: _write_number,
    Decimal: lambda value: _number(_NUMBER_TAG, read_double(value)),
    bool: lambda value: b"\x20\x01" if value else b"\x20\x00",
    type(None): lambda _: b"\x08\x00",
    dict: _write_object,
    list: _write_items,
}


def print_value(message: struct_pb2.Value) -> Value:
    """The plain data of a Value; one that holds nothing is null."""
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return print_struct(message.struct_value)
    if kind == "list_value":
        return print_list(message.list_value)
    value: Value = getattr(message, kind)
    if kind == "number_value" and not math.isfinite(message.number_value):
        raise CodecError("a Value has NaN or an infinity, which would come back as a text")
    return value


def print_struct(message: struct_pb2.Struct) -> dict[str, Value]:
    """The plain data of a Struct."""
    return {key: print_value(member) for key, member in message.fields.items()}


def print_list(message: struct_pb2.ListValue) -> list[Value]:
    """The plain data of a ListValue."""
    return [print_value(item) for item in message.values]
