"""P12: the short way and the careful one give the same value, or the short one steps aside."""

from __future__ import annotations

import json as python_json
import math
from collections.abc import Callable

import msgpack as library
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlaced.codecs import json, msgpack, usual
from interlaced.codecs.codec import CodecError, Value

USUAL_JSON = [
    b'{"id":1,"price":1.5,"tags":["a","b"],"none":null,"ok":true}',
    b'{"a": 1, "b": [1, 2.5]}\n', b'{\n\t"a b" : "c : d",\r\n"e":{} }',
    b'{"a":"\\u00e9 \\/ \\u4e2d\\u003c","price":1.10}',
    b'"\\ud83d\\ude00"', b"18446744073709551615",
    b"[0.30000000000000004,1e22,5e-324,-0.0,100.0]", b'{"a":"1:2","b:":"::"}',
    b"[123456789012345.0]",
    b'["3e5"]', b'{"":{"":1}}', b"[1e2, 1E+2, 1.7976931348623157e308]", b"0", b" null ",
    b"[-65.613616999999977]", b"-0", b"40000000000000000000000000000000000000000",
]  # fmt: skip
HOSTILE_JSON = [
    b'{"a":1,"a":1}', b'{"a":1,"a":2}', b'{"a":1, "b":{"c":":","c":":"}}', b'{"a":1,"\\u0061":1}',
    b'{"a":"\\u003a","a":""}', b'{"a":"\\u003A","a":""}', b'{"a":"","a":"\\u003a:"}',
    b'{"a":{"x":1},"a":{"x":1,"y":2}}', b'{"a":"\\u003a\\u003a","b":1,"b":1,"b":1}',
    b'{"a" :1,"a":1}',
    b"9007199254740993.0", b"[1e400]", b"[1e-400]", b"[-1e400]", b"[0.12345678901234567890123]",
    b"[ 9007199254740993.0]", b'["\\u00e9",1e400]', b'["\\u000e",1e-400]', b"1e400", b"1E400",
    b'["\\/",123456789012345678.5]', b"NaN", b"[Infinity]", b"-Infinity", b'"\\ud800"', b"{", b"",
    b'"\\ude00\\ud83d"', b'{"\\udc00":1}', b'"\xff"', b'"\xed\xa0\x80"',
    b"\xef\xbb\xbf{}", b'"\x01"',
    b"01", b"1.", b"[1,]", b"{} {}", b"1\x00", b"1" * 5000, b"[" * 100_000, b"{1:2}", b"'a'",
]  # fmt: skip


def _outcome(read: Callable[[bytes], Value], data: bytes) -> str | None:
    """What came of it, with types and signs told apart, or None for a refusal."""
    try:
        return repr(read(data))
    except CodecError:
        return None


def _short(read: Callable[[bytes], Value], data: bytes) -> str | None:
    try:
        return repr(read(data))
    except usual.UNUSUAL:
        return None


@pytest.mark.parametrize("data", USUAL_JSON)
def test_usual_json_is_read_as_the_careful_reader_reads_it(data: bytes) -> None:
    assert repr(usual.read_json(data)) == repr(json.decode_carefully(data))


@pytest.mark.parametrize("data", HOSTILE_JSON, ids=lambda data: repr(data[:24]))
def test_json_that_would_lose_something_is_refused_by_both(data: bytes) -> None:
    for read in (json.decode_carefully, json.decode):
        with pytest.raises(CodecError):
            read(data)
    for short in (usual.read_json, usual.json_to_msgpack):
        with pytest.raises(usual.UNUSUAL):
            short(data)


_NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(lambda number: f"{number:.16e}"),
    st.integers().map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,19})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)
_LETTERS = st.sampled_from(
    ["a", "b", ":", " ", '\\"', "\\/", "\\\\", "\\u003a", "\\u003A", "\\u00e9", "\\u0061",
     "\\u4e2d",
     "\\n", "e", "1e5", "\xe9", "{", "]", ",", "\\ud83d\\ude00", "\\ud83d",
     "12345678901234567", "u"]
)  # fmt: skip
_TEXTS = st.lists(_LETTERS, max_size=4).map(lambda letters: f'"{"".join(letters)}"')
_BLANKS = st.sampled_from(["", "", " ", "\n", "\t "])


def _inside(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    key = st.sampled_from(['"a"', '"b"', '"\\u0061"', '":"', '"a:"']) | _TEXTS
    member = st.tuples(key, _BLANKS, _BLANKS, inner).map(lambda m: f"{m[0]}{m[1]}:{m[2]}{m[3]}")
    lists = st.tuples(st.lists(inner, max_size=4), _BLANKS)
    objects = st.tuples(st.lists(member, max_size=4), _BLANKS)
    return lists.map(lambda m: f"[{f',{m[1]}'.join(m[0])}{m[1]}]") | objects.map(
        lambda m: f"{{{f',{m[1]}'.join(m[0])}}}"
    )


_DOCUMENTS = st.recursive(
    _NUMBERS | _TEXTS | st.sampled_from(["null", "true", "false"]), _inside, max_leaves=12
).map(str.encode)


@given(_DOCUMENTS)
@example(b'{"a":"\\u003a\\u003a","a":":"}')
def test_no_spelling_of_json_makes_the_two_readers_differ(data: bytes) -> None:
    short = _short(usual.read_json, data)
    careful = _outcome(json.decode_carefully, data)
    assert short is None or short == careful
    assert _outcome(json.decode, data) == careful


@given(_DOCUMENTS)
def test_json_becomes_the_msgpack_that_the_careful_way_writes(data: bytes) -> None:
    try:
        short = usual.json_to_msgpack(data)
    except usual.UNUSUAL:
        return
    assert short == msgpack.encode(json.decode_carefully(data))


@given(st.binary(max_size=20) | st.binary(max_size=4).map(lambda noise: b'{"a":1' + noise + b"}"))
def test_bytes_that_are_hardly_json_are_read_alike(data: bytes) -> None:
    assert _outcome(json.decode, data) == _outcome(json.decode_carefully, data)


HOSTILE_MSGPACK = [
    b"\x82\xa1a\x01\xa1a\x01", b"\x82\xa1a\x01\xa1a\x02", b"\x92\x82\xa1a\x01\xa1a\xa1\x01\x01",
    library.packb({1: 2}), library.packb({b"a": 1}), b"\x81\xc0\x01", b"\x81\x91\x01\x01",
    b"\xd4\x05x", b"\xa1\xff", b"\x81\xa1\xff\x01", b"\xa3\xed\xa0\x80", b"\xc1", b"\x92\x01",
    b"\x01\x01", b"", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 10_000,
]  # fmt: skip
ONLY_MSGPACK = [
    b"\xd6\xff\0\0\0\1", b"\xc4\x01a", b"\x91\x81\xa1a\xc4\x01a", library.packb(math.nan),
    library.packb([math.inf]), library.packb({"a": -math.inf}), b"\xca\x7f\xc0\0\0",
]  # fmt: skip
"""What MessagePack can hold, and JSON cannot: a time, bytes, NaN, infinities."""


@pytest.mark.parametrize("data", HOSTILE_MSGPACK, ids=lambda data: repr(data[:24]))
def test_msgpack_that_would_lose_something_is_refused_by_both(data: bytes) -> None:
    for read in (msgpack.decode_carefully, msgpack.decode):
        with pytest.raises(CodecError):
            read(data)
    for short in (usual.read_msgpack, usual.msgpack_to_json):
        with pytest.raises(usual.UNUSUAL):
            short(data)


@pytest.mark.parametrize("data", ONLY_MSGPACK)
def test_what_json_cannot_hold_is_left_to_the_careful_way(data: bytes) -> None:
    assert repr(msgpack.decode(data)) == repr(msgpack.decode_carefully(data))
    with pytest.raises(usual.UNUSUAL):
        usual.msgpack_to_json(data)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(0, 9), inner),
    max_leaves=15,
)  # fmt: skip


@given(_VALUES, st.booleans())
def test_no_msgpack_makes_the_two_readers_differ(value: object, singles: bool) -> None:
    try:
        data = library.packb(value, use_single_float=singles)
    except OverflowError:  # a double beyond the range of a single
        return
    careful = _outcome(msgpack.decode_carefully, data)
    assert _outcome(msgpack.decode, data) == careful
    try:
        written = usual.msgpack_to_json(data)
    except usual.UNUSUAL:
        return
    assert careful == repr(python_json.loads(written))


@given(_VALUES, st.data())
def test_msgpack_with_a_key_twice_is_never_read_by_the_short_way(
    value: object, data: st.DataObject
) -> None:
    member = library.packb("k") + library.packb(value)
    packed = b"\x82" + member + library.packb("k") + library.packb(data.draw(_VALUES))
    with pytest.raises(usual.UNUSUAL):
        usual.read_msgpack(packed)
    with pytest.raises(CodecError):
        msgpack.decode(packed)


@given(_VALUES | st.recursive(_VALUES, st.tuples, max_leaves=2))
def test_what_the_short_writer_writes_holds_what_the_careful_one_writes(value: object) -> None:
    try:
        written = usual.write_json(value)
    except usual.UNUSUAL:
        return
    careful = json.encode_carefully(value)
    assert repr(python_json.loads(written)) == repr(python_json.loads(careful))


@pytest.mark.parametrize(
    "value",
    [b"a", [b""], {1: 2}, {None: 1}, {True: 1}, math.nan, [math.inf], "\ud800", {1, 2}, (1,),
     object(), 1j, bytearray(b"a")],
)  # fmt: skip
def test_the_short_writer_refuses_what_would_come_back_as_something_else(value: object) -> None:
    with pytest.raises(usual.UNUSUAL):
        usual.write_json(value)


@pytest.mark.parametrize("before", [0, 1, 24, 49, 50, 51, 333])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_integers_of_up_to_a_thousand_characters_are_exact_and_longer_ones_refused(
    before: int, sign: bytes
) -> None:
    """Wherever they stand between the samples that are looked at."""
    pad = b'["' + b"x" * before + b'",'
    longest = usual.LONGEST_INTEGER - len(sign)
    text = pad + sign + b"9" * longest + b"]"
    assert json.encode(json.decode(text)) == text
    for digits in (longest + 1, longest + 2, 5000):
        text = pad + sign + b"9" * digits + b"]"
        with pytest.raises(usual.UNUSUAL):
            usual.read_json(text)
        with pytest.raises(CodecError):
            json.decode(text)


def test_many_digits_that_are_no_integer_are_read() -> None:
    for text in (b'"' + b"7" * 3000 + b'"', b"[" + b"0.25," * 3000 + b"1]"):
        assert json.encode(json.decode(text)) == text


def test_many_levels_are_left_to_the_careful_reader_and_come_through() -> None:
    for depth in (1, 8, 9, 100, 300):
        text = b'{"a":[' * depth + b"1" + b"]}" * depth
        packed = library.packb(python_json.loads(text)) if depth < 250 else b""
        assert json.encode(json.decode(text)) == text
        if packed:
            assert usual.json_to_msgpack(text) == packed
            assert json.encode(msgpack.decode(packed)) == text
