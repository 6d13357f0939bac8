"""Messages whose every field JSON writes in another way than protobuf does.

64-bit integers are text there, bytes are Base64, times are RFC 3339, wrappers are bare values.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2

from benchmarks.codecs.schema import message_class
from benchmarks.codecs.shapes import SEED, SHAPES, WORDS, shape

__all__ = ["CONVERTING", "PLAIN", "message_of", "messages_of"]

PLAIN = ("typical_record", "deep_nested", "list_1000")


def _longs(chance: random.Random) -> Any:
    return message_class("Longs")(
        account_number=chance.randrange(2**53, 2**63),
        row_version=chance.randrange(2**64),
        balance_cents=chance.randrange(-(10**12), 10**12),
        checksum=chance.randrange(2**64),
        sequence=[chance.randrange(-(2**63), 2**63) for _ in range(10)],
    )


def _blobs(chance: random.Random) -> Any:
    return message_class("Blobs")(
        digest=chance.randbytes(32),
        signature=chance.randbytes(64),
        parts=[chance.randbytes(24) for _ in range(4)],
    )


def _time(chance: random.Random) -> timestamp_pb2.Timestamp:
    # Seconds alone, milliseconds, microseconds and nanoseconds are each written in another width.
    nanos = chance.choice((0, 10**6, 10**3, 1)) * chance.randrange(1, 999)
    return timestamp_pb2.Timestamp(seconds=chance.randrange(2 * 10**9), nanos=nanos)


def _times(chance: random.Random) -> Any:
    return message_class("Times")(
        created_at=_time(chance),
        updated_at=_time(chance),
        time_to_live=duration_pb2.Duration(seconds=chance.randrange(10**6), nanos=500_000_000),
        history=[_time(chance) for _ in range(4)],
    )


def _wrapped(chance: random.Random) -> Any:
    return message_class("Wrapped")(
        nickname={"value": chance.choice(WORDS)},
        rank={"value": chance.randrange(100)},
        serial={"value": chance.randrange(2**63)},
        score={"value": chance.uniform(0, 1)},
        opted_in={"value": True},
        token={"value": chance.randbytes(16)},
    )


def _maps(chance: random.Random) -> Any:
    made = message_class("LongMaps")(
        totals={f"total.{key}": chance.randrange(2**63) for key in range(8)},
        names={chance.randrange(2**63): chance.choice(WORDS) for _ in range(8)},
    )
    for key in range(4):
        made.seen[key].CopyFrom(_time(chance))
    return made


def _converting(chance: random.Random) -> Any:
    return message_class("Converting")(
        longs=_longs(chance),
        blobs=_blobs(chance),
        times=_times(chance),
        wrapped=_wrapped(chance),
        maps=_maps(chance),
    )


def _many(chance: random.Random) -> Any:
    return message_class("ConvertingList")(items=[_converting(chance) for _ in range(50)])


_MAKERS: dict[str, Callable[[random.Random], Any]] = {
    "converting": _converting,
    "converting_list": _many,
    "longs": _longs,
    "bytes": _blobs,
    "times": _times,
    "wrappers": _wrapped,
    "long_maps": _maps,
}
CONVERTING = tuple(_MAKERS)


_DOCUMENTS = 64
_LARGE_DOCUMENTS = 8


def message_of(name: str, number: int = 0) -> Any:
    """Return the protobuf message of one of the ten shapes or of CONVERTING, full of its data. Of
    the latter there are as many as one likes, by `number`."""
    if name in SHAPES:
        found = shape(name)
        return message_class(found.message)(**found.data)
    return _MAKERS[name](random.Random(f"{SEED}:{name}:{number}" if number else f"{SEED}:{name}"))


def messages_of(name: str) -> list[Any]:
    """Return what is transcoded in turn: of CONVERTING many, since whoever remembers texts of
    times or numbers would look well beside the same few for ever."""
    if name in SHAPES:
        return [message_of(name)]
    count = _LARGE_DOCUMENTS if name == "converting_list" else _DOCUMENTS
    return [message_of(name, number) for number in range(count)]
