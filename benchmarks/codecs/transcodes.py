"""Times what goes between JSON, MessagePack and protobuf, side by side in turn.

`json_format` is the oracle: whatever Interlace's transcoder makes is compared with it before
anything is timed. It is asked for compact JSON, since its indented default writes more and takes
longer; the indented call is timed apart. Where fields convert, each call has the next one of many
documents, whose times lie anywhere in 63 years.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import ormsgpack
from google.protobuf import json_format

from benchmarks.codecs.codec import UnequalContentError, is_same
from benchmarks.codecs.converting import CONVERTING, PLAIN, messages_of
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.shapes import SHAPES, shape
from benchmarks.codecs.timed import iterations
from benchmarks.harness.results import INTERLACE, Case, Sample
from benchmarks.harness.stats import paired_ratio

__all__ = [
    "AS_IT_STANDS",
    "COMPILED",
    "DIRECTIONS",
    "INDENTED",
    "ORACLE",
    "assert_equal_transcodes",
    "sides_of",
    "time_in_turn",
]
__all__ += ["transcode_cases", "transcoder_for"]

ORACLE = "json_format"
INDENTED = "json_format indented"
AS_IT_STANDS = "interlace, not compiled"
"""Interlace where it found no C compiler: it asks protobuf for each value."""
COMPILED = "protobuf-py"
DIRECTIONS = ("json_to_protobuf", "protobuf_to_json", "hot_path", "msgpack_to_protobuf")
Sides = dict[str, Callable[[], Any]]
Exchange = tuple[bytes, bytes]

_compact = partial(json_format.MessageToJson, indent=None, ensure_ascii=False)


def transcoder_for(made: type[Any]) -> Any:
    """Return Interlace's transcoder of the message class `made`."""
    from interlaced.codecs.transcode import Transcoder

    return Transcoder(made)


def assert_equal_transcodes(message: Any, transcoder: Any) -> None:
    """Raise UnequalContentError unless `transcoder` and json_format agree on `message`."""
    text = _compact(message)
    if not is_same(json.loads(transcoder.to_json(message)), json.loads(text)):
        raise UnequalContentError(f"{message.DESCRIPTOR.name}: other JSON than json_format's")
    if transcoder.from_json(text.encode()) != message:
        raise UnequalContentError(f"{message.DESCRIPTOR.name}: another message than json_format's")


def sides_of(direction: str, name: str, *, most: int | None = None) -> Sides:
    """Return what is timed in turn for one direction of one shape, by side. Empty for none.

    Each call has the next one of the shape's documents, of which there are at most `most`.
    """
    messages = messages_of(name)[:most]
    transcoder = transcoder_for(type(messages[0]))
    for message in messages:
        assert_equal_transcodes(message, transcoder)
    if direction == "msgpack_to_protobuf":
        return _from_msgpack(messages[0], transcoder, name)
    make = {
        "json_to_protobuf": _from_json,
        "protobuf_to_json": _to_json,
        "hot_path": _hot_path,
    }
    return make[direction](messages, transcoder)


def _in_turn(run: Callable[[Any], Any], documents: list[Any]) -> Callable[[], Any]:
    """Return what runs with one document after another, and begins again, in C: with a step of
    Python in between each call would cost a tenth of a microsecond that is nobody's."""
    return map(run, cycle(documents)).__next__


def _from_json(messages: list[Any], transcoder: Any) -> Sides:
    import orjson

    made, raw = type(messages[0]), [_compact(message).encode() for message in messages]
    sides = {
        INTERLACE: transcoder.from_json,
        ORACLE: lambda text: json_format.Parse(text, made()),
        "json_format+orjson": lambda text: json_format.ParseDict(orjson.loads(text), made()),
    }
    return {side: _in_turn(run, raw) for side, run in sides.items()}


def _to_json(messages: list[Any], transcoder: Any) -> Sides:
    import orjson

    sides = {
        INTERLACE: transcoder.to_json,
        ORACLE: lambda message: _compact(message).encode(),
        "json_format+orjson": lambda message: orjson.dumps(json_format.MessageToDict(message)),
        INDENTED: lambda message: json_format.MessageToJson(message).encode(),
        AS_IT_STANDS: _printer_of(type(messages[0])),
    }
    return {side: _in_turn(run, messages) for side, run in sides.items()}


def _printer_of(made: type[Any]) -> Callable[[Any], bytes]:
    from interlaced.codecs.transcode import Transcoder

    to_json: Callable[[Any], bytes] = Transcoder(made, by_wire=False).to_json
    return to_json


def _hot_path(messages: list[Any], transcoder: Any) -> Sides:
    """What a REST upstream costs in codecs: RPC bytes, its JSON out, its JSON in, RPC bytes."""
    made = type(messages[0])
    exchanges = [(each.SerializeToString(), _compact(each).encode()) for each in messages]
    there, back, decode = transcoder.to_json, transcoder.from_json, made.FromString

    def ours(exchange: Exchange) -> Exchange:
        raw, reply = exchange
        return there(decode(raw)), back(reply).SerializeToString()

    def oracle(exchange: Exchange) -> Exchange:
        raw, reply = exchange
        asked = _compact(decode(raw)).encode()
        return asked, json_format.Parse(reply, made()).SerializeToString()

    sides: dict[str, Callable[[Exchange], Exchange]] = {INTERLACE: ours, ORACLE: oracle}
    compiled = _compiled_hot_path(made)
    if compiled is not None:
        _assert_same_exchange(compiled(exchanges[0]), messages[0])
        sides[COMPILED] = compiled
    return {side: _in_turn(run, exchanges) for side, run in sides.items()}


def _compiled_hot_path(made: type[Any]) -> Callable[[Exchange], Exchange] | None:
    """Return the same by Buf's runtime alone, whose JSON is written and read in Rust, from and to
    messages of its own. None where it is not installed."""
    try:
        from benchmarks.codecs.buf import class_of
    except ImportError:
        return None
    other = class_of(made.DESCRIPTOR.name)
    there, back = other.from_binary, other.from_json

    def compiled(exchange: Exchange) -> Exchange:
        raw, reply = exchange
        return there(raw).to_json().encode(), back(reply).to_binary()

    return compiled


def _assert_same_exchange(exchange: Exchange, message: Any) -> None:
    asked, answered = exchange
    if not is_same(json.loads(asked), json.loads(_compact(message))):
        raise UnequalContentError(f"{message.DESCRIPTOR.name}: {COMPILED} writes other JSON")
    if type(message).FromString(answered) != message:
        raise UnequalContentError(f"{message.DESCRIPTOR.name}: {COMPILED} reads another message")


def _from_msgpack(message: Any, transcoder: Any, name: str) -> Sides:
    if name not in SHAPES or name == "binary_blob":
        return {}  # Their plain data is no JSON, which is all that ParseDict takes.
    import msgpack  # type: ignore[import-untyped] # it ships no types
    import msgspec

    made, raw = type(message), ormsgpack.packb(shape(name).data)
    decode, ours = msgspec.msgpack.Decoder().decode, transcoder.from_data
    if ours(ormsgpack.unpackb(raw)) != message:
        raise UnequalContentError(f"{name}: another message from MessagePack")
    return {
        INTERLACE: lambda: ours(ormsgpack.unpackb(raw)),
        "ormsgpack": lambda: made(**ormsgpack.unpackb(raw)),
        "msgpack": lambda: made(**msgpack.unpackb(raw)),
        "msgspec-msgpack": lambda: made(**decode(raw)),
        ORACLE: lambda: json_format.ParseDict(ormsgpack.unpackb(raw), made()),
    }


def time_in_turn(sides: Sides, effort: Effort) -> dict[str, list[float]]:
    """Return seconds of CPU per call of each side, a value per round; the order turns round."""
    counts = {side: iterations(run, effort.turn_s) for side, run in sides.items()}
    found: dict[str, list[float]] = {side: [] for side in sides}
    gc.collect()
    gc.freeze()
    for number in range(effort.rounds):
        order = list(sides) if number % 2 == 0 else list(reversed(sides))
        for side in order:
            run, count = sides[side], counts[side]
            started = time.process_time_ns()
            for _ in range(count):
                run()
            found[side].append((time.process_time_ns() - started) / count / 1e9)
    return found


def transcode_cases(name: str, effort: Effort) -> list[Case]:
    """Return the cases of one shape. Raise UnequalContentError where the transcoder is wrong."""
    cases = []
    for direction in DIRECTIONS:
        if effort.is_quick and direction == "msgpack_to_protobuf":
            continue
        sides = sides_of(direction, name)
        if sides:
            cases += _cases(direction, name, time_in_turn(sides, effort))
    return cases


def _cases(direction: str, name: str, found: dict[str, list[float]]) -> list[Case]:
    """One case, and one more where json_format was also asked as its defaults have it."""
    indented = found.pop(INDENTED, None)
    cases = [_case(direction, name, found, ORACLE)]
    if indented is not None:
        beside = {INTERLACE: found[INTERLACE], INDENTED: indented}
        cases.append(_case(direction, name, beside, INDENTED))
    return cases


def _case(direction: str, name: str, found: dict[str, list[float]], oracle: str) -> Case:
    fields = "plain" if name in PLAIN else "converting" if name in CONVERTING else "mixed"
    ours = found.get(INTERLACE)
    return Case(
        suite="codecs",
        scenario="transcode",
        variant={"direction": direction, "shape": name, "fields": fields, "oracle": oracle},
        unit="cpu_us_per_call",
        samples=tuple(
            Sample(side, {"cpu_us_per_call": one * 1e6})
            for side, values in found.items()
            for one in values
        ),
        ratio=None if ours is None else paired_ratio(found[oracle], ours),
        notes=() if ours is None else (f"The ratio is how many times faster than {oracle} it is.",),
    )
