"""msgspec's MessagePack, typed by structs; untyped for a document without a schema."""

from __future__ import annotations

from functools import partial

import msgspec

from benchmarks.codecs.codec import DOCUMENT, SCHEMA, TYPED, UNTYPED, Codec
from benchmarks.codecs.shapes import Shape
from benchmarks.codecs.structs import struct_of
from benchmarks.codecs.validation import from_struct
from benchmarks.codecs.walk import ATTRIBUTES, toucher

__all__ = ["DISTRIBUTION", "NAME", "TAKES", "open_codec"]

NAME = "msgspec-msgpack"
DISTRIBUTION = "msgspec"
TAKES = frozenset({SCHEMA, DOCUMENT})


def open_codec(shape: Shape) -> Codec:
    """Return msgspec made ready for `shape`, its encoder and its decoders reused."""
    encode = msgspec.msgpack.Encoder().encode
    if not shape.message:
        decode = msgspec.msgpack.Decoder().decode
        return Codec(UNTYPED, None, encode, decode, None, None, lambda value: value)
    return Codec(
        tier=TYPED,
        build=partial(msgspec.convert, type=struct_of(shape.message)),
        encode=encode,
        decode=msgspec.msgpack.Decoder(struct_of(shape.message)).decode,
        touch=toucher(shape.message, ATTRIBUTES),
        validate=msgspec.msgpack.Decoder(struct_of(shape.message, ruled=True)).decode,
        restore=from_struct(shape),
    )
