"""The wire form is printed as json_format prints its message, or left alone; never misread."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from hypothesis import given, settings
from hypothesis import strategies as st
from rich_proto import POOL, Leaf, Rich, Shelf, draw_message
from wire_rig import WAYS, Way, way

from interlaced.codecs import transcode_times, transcode_wire
from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode import Transcoder

each_way = pytest.mark.parametrize("name", WAYS)
LONGS = sorted(
    {
        sign * number + step
        for number in (0, 1, 10, 999, 1000, 10**6, 10**9, 2**31, 2**53, 10**18)
        for sign in (1, -1)
        for step in (-1, 0, 1)
    }
    | {2**63 - 1, -(2**63), 1 - 2**63}
)
WORDS = sorted({number for number in LONGS if -(2**31) <= number < 2**31} | {2**31 - 1, -(2**31)})


def want(message: Message) -> Any:
    """What the oracle prints."""
    return json.loads(json_format.MessageToJson(message, descriptor_pool=POOL))


def assert_same(name: str, message: Message) -> None:
    assert json.loads(way(name).show(message)) == want(message)


@each_way
@settings(max_examples=500)
@given(message=draw_message("rich.Rich"))
def test_what_is_printed_is_what_the_oracle_prints(name: str, message: Message) -> None:
    chosen = way(name)
    try:
        printed = chosen.show(message)
    except chosen.refusals:
        return  # the next tests say of what it must not do so
    assert json.loads(printed) == want(message)


@each_way
def test_integers_of_every_form_and_size(name: str) -> None:
    fits = [number for number in LONGS if number >= 0]
    longs = {f"many_{kind}": LONGS for kind in ("int64", "sint64", "sfixed64")}
    words = {f"many_{kind}": WORDS for kind in ("int32", "sint32", "sfixed32")}
    naturals = {f"many_{kind}": [*fits, 2**63, 2**64 - 1, 10**19] for kind in ("uint64", "fixed64")}
    small = [number for number in fits if number < 2**32] + [2**31, 2**32 - 1]
    assert_same(name, Rich(**longs, **words, **naturals, many_uint32=small, many_fixed32=small))
    for number in LONGS:
        assert_same(name, Rich(one_int64=number, one_sint64=number, one_sfixed64=number))


@each_way
def test_keys_of_maps_are_quoted_once(name: str) -> None:
    message = Rich(
        by_int32={-5: "a"}, by_uint64={2**64 - 1: "b"}, by_sint64={-(2**63): "c"},
        by_bool={True: "d", False: "e"}, by_string={'"': "f"}, by_fixed32={2**32 - 1: "g"},
        map_int64={"x": -1}, map_bytes={"y": b"\xff\xfe"}, map_leaf={"z": Leaf(size=1)},
        map_color={"": 7}, map_timestamp={"t": {"seconds": 1}},
    )  # fmt: skip
    assert_same(name, message)


@each_way
def test_enums_are_names_or_numbers_and_null_is_null(name: str) -> None:
    odd = Rich(many_color=[0, 1, 7, -3, 99, -99], one_color=-3, may_null=0, many_null=[0, 5])
    assert json.loads(way(name).show(odd)) == {
        "manyColor": ["NONE", "RED", "DEEP_BLUE", "MINUS", 99, -99], "oneColor": "MINUS",
        "mayNull": None, "manyNull": [None, None],
    }  # fmt: skip


@each_way
def test_doubles_and_floats(name: str) -> None:
    odd = [0.0, -0.0, 0.1, 1e300, -5e-324, 1e16]
    assert_same(name, Rich(many_double=odd, one_double=-0.0, one_doublevalue={"value": 0.0}))
    for none in (float("nan"), float("inf"), float("-inf")):
        assert_same(name, Rich(one_double=none, map_double={"a": none}))
    floats = [0.0, -0.0, 0.1, 3e38, 1e-45, float("nan"), float("inf"), float("-inf")]
    assert_same(name, Rich(many_float=floats, one_floatvalue={}, map_float={"a": 0.1}))


@each_way
@pytest.mark.parametrize(
    "text", ["", "plain", '"', "\\", "\n\t\0\x1f", "\x7f", "é", "😀\u2028", "x" * 127, "é" * 100]
)
def test_texts_short_and_long_with_all_that_is_escaped(name: str, text: str) -> None:
    message = Rich(may_string=text, many_string=[text, f"{text}x", "x" * 128, f'{"x" * 128}"'])
    assert_same(name, message)


@each_way
@settings(max_examples=500)
@given(
    seconds=st.integers(-62135596800, 253402300799),
    nanos=st.integers(0, 999_999_999) | st.sampled_from([0, 10**3, 10**6, 120_000_000]),
)
def test_times_of_all_years(name: str, seconds: int, nanos: int) -> None:
    assert_same(name, Rich(one_timestamp={"seconds": seconds, "nanos": nanos}))


@each_way
def test_every_day_of_a_leap_year_and_of_a_century_that_is_none(name: str) -> None:
    starts = (951782400, 4107456000)  # around February 29, 2000 and March 1, 2100
    days = [start + 86400 * day for start in starts for day in range(-70, 320)]
    assert_same(name, Rich(many_timestamp=[{"seconds": day} for day in days]))


@each_way
def test_durations(name: str) -> None:
    spans = [(0, 0), (1, 0), (0, 1), (315576000000, 999_999_999), (59, 500_000_000), (7, 1000)]
    made = [{"seconds": seconds, "nanos": nanos} for seconds, nanos in spans]
    assert_same(name, Rich(many_duration=made, map_duration={"a": made[3]}))


@each_way
def test_wrappers_also_empty_ones(name: str) -> None:
    kinds = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
    empty: dict[str, Any] = {f"one_{kind.lower()}value": {} for kind in kinds}
    assert_same(name, Rich(**empty))
    full = {f"one_{kind.lower()}value": {"value": 1} for kind in kinds[:7]}
    assert_same(name, Rich(**full, one_stringvalue={"value": "é"}, one_bytesvalue={"value": b"a"}))


@each_way
def test_types_with_a_form_of_their_own_are_printed_within(name: str) -> None:
    message = Rich(
        one_struct={"a": 1}, many_value=[{"string_value": "x"}, {"null_value": 0}],
        one_listvalue={"values": [{"bool_value": True}]}, one_fieldmask={"paths": ["a_b", "c"]},
        one_empty={}, many_rich=[{}, {"one_rich": {"one_int32": 1}}],
    )  # fmt: skip
    assert_same(name, message)


@each_way
@pytest.mark.parametrize(
    "made",
    [
        {"one_timestamp": {"nanos": -1}},
        {"one_timestamp": {"nanos": 10**9}},
        {"one_timestamp": {"seconds": 253402300800}},
        {"one_timestamp": {"seconds": -62135596801}},
        {"one_duration": {"seconds": -1}},
        {"one_duration": {"seconds": 315576000001}},
        {"one_duration": {"nanos": 10**9}},
        {"many_double": [0.5, float("nan")]},
        {"many_double": [float("-inf")]},
    ],
)
def test_what_needs_a_second_look_is_left_alone(name: str, made: dict[str, Any]) -> None:
    chosen = way(name)
    with pytest.raises(chosen.refusals):
        chosen.show(Rich(**made))


LEAF = Leaf(id="x", size=5, on=True, part=0.5).SerializeToString()


@each_way
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(LEAF + b"\x98\x06\x01", id="a field that is not known"),
        pytest.param(b"\x10\x05\x0a\x01x", id="another order"),
        pytest.param(b"\x10\x05\x10\x06", id="a field twice"),
        pytest.param(b"\x15\x05\x00\x00\x00", id="another wire type"),
        pytest.param(LEAF[:-1], id="cut in a double"),
        pytest.param(b"\x0a\x05x", id="cut in a text"),
        pytest.param(b"\x10\x85", id="cut in a varint"),
        pytest.param(b"\x10" + b"\xff" * 9 + b"\x02", id="more than 64 bits"),
        pytest.param(b"\x10" + b"\xff" * 10 + b"\x01", id="a varint of eleven bytes"),
        pytest.param(b"\x0a" + b"\xff" * 9 + b"\x01", id="a length of 2 ** 64 - 1"),
        pytest.param(b"\x0a" + b"\xff" * 8 + b"\x7f", id="a length of 2 ** 63 - 1"),
        pytest.param(b"\x0a\x81" + b"\x80" * 8 + b"\x01x", id="a length of 2 ** 63 + 1"),
        pytest.param(b"\x0a\x01\xff", id="not UTF-8"),
        pytest.param(b"\x0a\x03\xed\xa0\x80", id="half a surrogate pair"),
        pytest.param(b"\x00", id="a field without a number"),
        pytest.param(b"\x0b\x0c", id="a group"),
    ],
)
def test_bytes_that_protobuf_would_not_have_written_are_left_alone(name: str, data: bytes) -> None:
    chosen = way(name)
    assert json.loads(chosen.show_bytes(Leaf, LEAF)) == want(Leaf.FromString(LEAF))
    with pytest.raises(chosen.refusals):
        chosen.show_bytes(Leaf, data)


@each_way
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0a\x00", id="an entry with nothing in it"),
        pytest.param(b"\x0a\x03\x0a\x01x", id="an entry without a value"),
        pytest.param(b"\x0a\x05\x10\x01\x0a\x01x", id="a value before its key"),
        pytest.param(b"\x0a\x07\x0a\x01x\x10\x01\x10\x02", id="two values"),
        pytest.param(b"\x0a\x04\x0a\x01x\x10\x01", id="an entry that ends too early"),
    ],
)
def test_entries_of_maps_must_be_whole(name: str, data: bytes) -> None:
    chosen = way(name)
    assert chosen.show_bytes(Shelf, b"\x0a\x05\x0a\x01x\x10\x01") == b'{"wordCounts":{"x":"1"}}'
    with pytest.raises(chosen.refusals):
        chosen.show_bytes(Shelf, data)


@each_way
@pytest.mark.parametrize(
    ("field", "held"),
    [
        pytest.param("one_bytes", b"\x05abc", id="bytes that are cut"),
        pytest.param("one_fieldmask", b"\x05\x0a\x01a", id="a message that is cut"),
        pytest.param("many_int32", b"\x01\x80\x01", id="a number that goes on behind its list"),
        pytest.param("many_double", b"\x09" + bytes(9), id="a double and a byte"),
        pytest.param("many_double", b"\x07" + bytes(8), id="a double behind its list"),
        pytest.param("one_leaf", b"\x02\x10\x80\x01", id="a number behind its message"),
        pytest.param("one_int64value", b"\x02\x08\x80\x01", id="a number behind its wrapper"),
        pytest.param("one_int64value", b"\x04\x08\x01\x08\x02", id="a wrapper with two values"),
        pytest.param("one_timestamp", b"\x04\x08\x01\x08\x02", id="a time with two seconds"),
        pytest.param("one_duration", b"\x02\x18\x01", id="a duration with a third field"),
    ],
)
def test_what_follows_a_tag_ends_where_it_says(name: str, field: str, held: bytes) -> None:
    chosen = way(name)
    tag = varint(Rich.DESCRIPTOR.fields_by_name[field].number << 3 | 2)
    with pytest.raises(chosen.refusals):
        chosen.show_bytes(Rich, tag + held)


@each_way
@settings(max_examples=1000)
@given(
    message=draw_message("rich.Rich"),
    places=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 400),
)
def test_bytes_gone_wrong_are_json_or_an_error(
    name: str, message: Message, places: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(message.SerializePartialToString())
    for place, byte in places:
        if place < len(data):
            data[place] = byte
    chosen = way(name)
    try:
        printed = chosen.show_bytes(Rich, bytes(data[: cut or None]))
    except (*chosen.refusals, CodecError, DecodeError):
        return
    assert isinstance(json.loads(printed), dict)


def varint(number: int) -> bytes:
    """An integer as the wire has it."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def nest(depth: int) -> bytes:
    """The bytes of a Box in a Box, and so on."""
    box = Shelf.DESCRIPTOR.fields_by_name["first_box"].message_type
    head, data = varint(box.fields_by_name["next"].number << 3 | 2), b""
    for _ in range(depth):
        data = head + varint(len(data)) + data
    return data


@each_way
def test_messages_in_messages_have_an_end(name: str) -> None:
    chosen: Way = way(name)
    box: Any = type(Shelf().first_box)  # type: ignore[attr-defined]  # the class is made at run time
    assert chosen.show_bytes(box, nest(50)) == b'{"next":' * 50 + b"{}" + b"}" * 50
    for depth in (101, 20_000):
        with pytest.raises(chosen.wire.UnusualWire):
            chosen.show_bytes(box, nest(depth))


@each_way
def test_messages_beside_each_other_have_none(name: str) -> None:
    assert_same(name, Rich(many_leaf=[{}, {"size": 1}] * 100, map_leaf={"a": {}, "b": {}}))


@pytest.mark.parametrize(
    "message",
    [
        Leaf.FromString(LEAF + b"\x98\x06\x01"),
        Rich(one_duration={"seconds": -5, "nanos": -500_000_000}),
    ],
    ids=["a field that is not known", "a negative duration"],
)
def test_what_is_left_alone_is_printed_by_the_printer(message: Message) -> None:
    assert json.loads(Transcoder(type(message), pool=POOL).to_json(message)) == want(message)


@pytest.mark.parametrize("module", [transcode_wire, transcode_times])
def test_what_was_compiled_is_of_the_source_that_is_here(module: Any) -> None:
    name = module.__name__.rpartition(".")[2]
    source = Path(sys.modules["interlaced.codecs"].__path__[0]) / f"{name}.py"
    made = source.with_suffix(str(sysconfig.get_config_var("EXT_SUFFIX")))
    assert made.is_file() == module.IS_COMPILED
    if made.is_file():
        assert made.stat().st_mtime >= source.stat().st_mtime, "run `make .venv/.compiled`"


def test_ci_tests_what_is_compiled() -> None:
    assert (transcode_wire.IS_COMPILED and transcode_times.IS_COMPILED) or not os.environ.get("CI")
    assert not way("as it stands").wire.IS_COMPILED
