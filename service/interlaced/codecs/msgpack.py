"""MessagePack, restricted to what has a meaning elsewhere too."""

from __future__ import annotations

import msgpack  # type: ignore[import-untyped]  # it ships no types

from interlaced.codecs import usual
from interlaced.codecs.codec import CodecError, Value

__all__ = ["decode", "decode_carefully", "encode"]


def decode(data: bytes) -> Value:
    """Reads one MessagePack value.

    CodecError for anything else, and for extension types, keys that are no text, a key
    twice in one map, and text that is not UTF-8. A timestamp is read as the library's own object,
    which MessagePack alone can hold.
    """
    try:
        return usual.read_msgpack(data)
    except usual.UNUSUAL:
        return decode_carefully(data)


def decode_carefully(data: bytes) -> Value:
    """As `decode`, for any spelling of a value, at several times the cost."""
    try:
        value: Value = msgpack.unpackb(
            data, raw=False, object_pairs_hook=_read_map, ext_hook=_read_extension
        )
    except CodecError:
        raise
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise CodecError("the bytes are not MessagePack") from error
    return value


def encode(value: Value) -> bytes:
    """Writes one MessagePack value; CodecError for integers beyond 64 bits and foreign types."""
    try:
        packed: bytes = msgpack.packb(value, use_bin_type=True, strict_types=True)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise CodecError("the value cannot be written as MessagePack") from error
    return packed


def _read_map(pairs: list[tuple[Value, Value]]) -> dict[Value, Value]:
    members = dict(pairs)
    if not _TEXT.issuperset(map(type, members)):
        raise CodecError("a key is not a text")
    if len(members) != len(pairs):
        raise CodecError("a map has the same key twice")
    return members


def _read_extension(_: int, __: bytes) -> Value:
    raise CodecError("the bytes have an extension type, which has no meaning here")


_TEXT = frozenset((str,))
