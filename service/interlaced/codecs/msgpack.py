"""MessagePack, restricted to what has a meaning elsewhere too."""

from __future__ import annotations

from typing import Any

import msgpack  # type: ignore[import-untyped]  # it ships no types

from interlaced.codecs.codec import CodecError, Value

__all__ = ["decode", "encode"]


def decode(data: bytes) -> Value:
    """Reads one MessagePack value.

    CodecError for anything else, and for extension types, keys that are no text, a key
    twice in one map, and text that is not UTF-8. A timestamp is read as the library's own object,
    which MessagePack alone can hold.
    """
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


def _read_map(pairs: Any) -> dict[str, Value]:
    listed = list(pairs)
    members = dict(listed)
    if not all(isinstance(key, str) for key in members):
        raise CodecError("a key is not a text")
    if len(members) != len(listed):
        raise CodecError("a map has the same key twice")
    return members


def _read_extension(_: int, __: bytes) -> Value:
    raise CodecError("the bytes have an extension type, which has no meaning here")
