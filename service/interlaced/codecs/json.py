"""JSON as RFC 8259 has it, and not a digit less: what Python's own reader lets pass is refused."""

from __future__ import annotations

import json

from interlaced.codecs import usual
from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.doubles import read_double

__all__ = [
    "decode",
    "decode_carefully",
    "encode",
    "encode_carefully",
    "looks_like_json",
    "read_constant",
    "read_object",
]

_FIRST = frozenset(b'{["-0123456789tfn')
_LAST = frozenset(b'}]"0123456789el')
_BLANK = b" \t\r\n"


def looks_like_json(data: bytes) -> bool:
    """Whether the first and the last byte could be JSON's: a page of HTML has neither. It costs
    nothing, and is what stands guard where bodies pass through unread."""
    body = data.strip(_BLANK)
    return bool(body) and body[0] in _FIRST and body[-1] in _LAST


def decode(data: bytes) -> Value:
    """Reads UTF-8 JSON.

    CodecError for anything else, and for what would be read with loss or in two ways: a number
    beyond the range or the 17 digits of a double, an integer of more than 1000 digits, NaN and
    infinities, a key twice in one object, half a surrogate pair, nesting beyond Python's depth, a
    byte order mark.
    """
    try:
        return usual.read_json(data)
    except usual.UNUSUAL:
        return decode_carefully(data)


def decode_carefully(data: bytes) -> Value:
    """As `decode`, for any spelling of JSON, at several times the cost; says what is wrong."""
    try:
        text = data.decode("utf-8")
        value: Value = _DECODER.decode(text)
        if "\\u" in text or "\\U" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError as error:
        raise CodecError("the text is not UTF-8", f"byte {error.start}") from error
    except UnicodeEncodeError as error:
        raise CodecError("a text has half a surrogate pair") from error
    except json.JSONDecodeError as error:
        raise CodecError("the text is not JSON", f"character {error.pos}") from error
    except RecursionError as error:
        raise CodecError("the text is nested too deeply") from error
    return value


def encode(value: Value) -> bytes:
    """Writes compact UTF-8 JSON; CodecError for bytes, NaN, infinities, keys that are no text."""
    try:
        return usual.write_json(value)
    except usual.UNUSUAL:
        return encode_carefully(value)


def encode_carefully(value: Value) -> bytes:
    """As `encode`, at several times the cost; says what is wrong."""
    try:
        _check_keys(value)
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            "utf-8"
        )
    except CodecError:
        raise
    except (TypeError, ValueError, RecursionError) as error:
        raise CodecError("the value cannot be written as JSON") from error


def _check_keys(value: Value) -> None:
    """Python's writer would turn a key of 1 or None into text, and two keys into one."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise CodecError("a key is not a text")
        for member in value.values():
            _check_keys(member)
    elif isinstance(value, list):
        for member in value:
            _check_keys(member)


def _read_integer(text: str) -> int:
    if len(text) > usual.LONGEST_INTEGER:
        raise CodecError("a number has more than 1000 digits")
    return int(text)


def read_constant(_: str) -> float:
    """Refuses what Python's reader takes and JSON does not have."""
    raise CodecError("the text is not JSON: it has NaN or an infinity")


def read_object(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    """Returns the members of an object; CodecError if one is there twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise CodecError("an object has the same key twice")
    return members


_DECODER = json.JSONDecoder(
    parse_float=read_double,
    parse_int=_read_integer,
    parse_constant=read_constant,
    object_pairs_hook=read_object,
)
