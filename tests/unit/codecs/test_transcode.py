"""P12: JSON ⇄ protobuf as json_format does it, or a refusal; never a silent loss."""

from __future__ import annotations

import copy
import json
import sys
from typing import Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, json_format, struct_pb2, timestamp_pb2
from google.protobuf.message import Message
from hostile_json import ATOMS, STRICTER
from hypothesis import given, settings
from hypothesis import strategies as st
from rich_proto import (
    LARGEST_FLOAT,
    POOL,
    Foreign,
    Leaf,
    Old,
    Rich,
    Shelf,
    Swapped,
    draw_message,
    find,
)

from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode import Transcoder
from interlaced.codecs.transcode_wire import IS_COMPILED

RICH = Transcoder(Rich, pool=POOL)
BY_PRINTER = Transcoder(Rich, pool=POOL, by_wire=False)
LAX = Transcoder(Rich, pool=POOL, ignore_unknown=True)
OLD = Transcoder(Old, pool=POOL)
SHELF = Transcoder(Shelf, pool=POOL)


def parse(text: bytes | str, kind: type[Message] = Rich, **options: Any) -> Message:
    """What the oracle reads."""
    return json_format.Parse(text, kind(), descriptor_pool=POOL, **options)


def show(message: Message) -> str:
    """What the oracle prints."""
    return json_format.MessageToJson(message, descriptor_pool=POOL)


def bytes_of(message: Message) -> bytes:
    return message.SerializePartialToString(deterministic=True)


def judge(transcoder: Transcoder[Any], kind: type[Message], text: str, **options: Any) -> str:
    """Compares with the oracle: same, refused, stricter, lenient or other."""
    want: bytes | None = None
    try:
        want = bytes_of(parse(text, kind, **options))
    except json_format.ParseError:
        want = None
    try:
        got = bytes_of(transcoder.from_json(text.encode("utf-8", "surrogatepass")))
    except CodecError as error:
        if want is None:
            return "refused"
        assert str(error) in STRICTER, (text, str(error))
        return "stricter"
    if want is None:
        return "lenient"
    return "same" if got == want else "other"


@settings(max_examples=1000)
@given(draw_message("rich.Rich"))
def test_a_message_is_printed_and_read_as_the_oracle_does_it(message: Message) -> None:
    text = show(message)
    printed = RICH.to_json(message)
    assert json.loads(printed) == json.loads(text)
    assert json.loads(BY_PRINTER.to_json(message)) == json.loads(text)
    assert RICH.to_data(message) == json.loads(text)
    want = bytes_of(parse(text))
    assert bytes_of(RICH.from_json(text.encode())) == want
    assert bytes_of(RICH.from_json(printed)) == want
    assert bytes_of(RICH.from_data(json.loads(text))) == want
    assert (
        bytes_of(
            LAX.from_json(
                b'{"neverHeardOf": [{}],' + printed[1:].lstrip() if text != "{}" else b"{}"
            )
        )
        == want
    )


@settings(max_examples=300)
@given(draw_message("rich.Shelf", depth=4))
def test_maps_of_scalars_are_filled_wherever_they_are(message: Message) -> None:
    text = show(message).replace("null", "0")  # the oracle does not read null in a map
    want = bytes_of(parse(text, Shelf))
    assert bytes_of(SHELF.from_json(text.encode())) == want
    assert bytes_of(SHELF.from_data(json.loads(text))) == want
    assert json.loads(SHELF.to_json(message)) == json.loads(show(message))


@settings(max_examples=150)
@given(draw_message("old.Old"))
def test_presence_defaults_and_closed_enums_are_those_of_proto2(message: Message) -> None:
    text = show(message)
    assert json.loads(OLD.to_json(message)) == json.loads(text)
    assert bytes_of(OLD.from_json(text.encode())) == bytes_of(parse(text, Old))


@settings(max_examples=400)
@given(draw_message("rich.Rich"))
def test_original_names_are_read_too(message: Message) -> None:
    text = json_format.MessageToJson(
        message, descriptor_pool=POOL, preserving_proto_field_name=True
    )
    assert bytes_of(RICH.from_json(text.encode())) == bytes_of(parse(text))


@settings(max_examples=800)
@given(draw_message("rich.Rich"), st.sampled_from(ATOMS), st.randoms(use_true_random=False))
def test_one_odd_value_anywhere_is_judged_as_the_oracle_does(
    message: Message, atom: str, dice: Any
) -> None:
    pieces = show(message).split('": ')
    at = dice.randrange(len(pieces))
    rest = pieces[at].split("\n", 1)
    pieces[at] = atom + ("," if rest[0].endswith(",") else "") + "\n" + "".join(rest[1:])
    text = '": '.join(pieces)
    ours = any(part in text for part in ("manyValue", "manyNull", "mapNull", "3.4028235e38"))
    assert judge(RICH, Rich, text) != "lenient" or ours


SPELLED_BY_US = {"many_null", "map_null", "many_value"}


@pytest.mark.parametrize("kind", [Rich, Old], ids=["proto3", "proto2"])
def test_every_odd_value_of_every_field_is_judged_as_the_oracle_does(kind: type[Message]) -> None:
    transcoder = {Rich: RICH, Old: OLD}[kind]
    verdicts: dict[str, int] = {}
    for field in kind.DESCRIPTOR.fields:
        for atom in ATOMS:
            for form in ('{"%s":%s}', '{"%s":[%s]}') if field.is_repeated else ('{"%s":%s}',):
                text = form % (field.json_name, atom)
                verdict = judge(transcoder, kind, text)
                verdicts[verdict] = verdicts.get(verdict, 0) + 1
                ours = field.name in SPELLED_BY_US or "3.4028235e38" in atom
                assert verdict != "lenient" or ours, text
                # What the oracle rounds is read exactly.
                assert verdict != "other" or "9007199254740993.0" in atom, text
    assert verdicts["same"] > len(kind.DESCRIPTOR.fields)


def test_unknown_keys_are_ignored_only_where_that_was_asked_for() -> None:
    text = '{"oneInt32":1,"nope":{"a":[1,{"b":2}]},"oneLeaf":{"id":"x","also":1}}'
    with pytest.raises(CodecError, match="names no field"):
        RICH.from_json(text.encode())
    assert LAX.from_json(text.encode()) == parse(text, ignore_unknown_fields=True)
    assert LAX.from_json(b'{"one_int32":1,"nope":2}') == Rich(one_int32=1)
    assert LAX.from_json(b'{"oneColor":"PUCE","manyColor":["RED","PUCE"]}') == Rich(many_color=[1])
    for text in ('{"nope":"\\ud800","nope":1}', '{"nope":"\xff"}', '{"nope":1'):
        with pytest.raises(CodecError):
            LAX.from_json(text.encode("latin-1"))


@pytest.mark.parametrize(
    "text",
    [
        '{"oneInt32":1,"oneInt32":1}',
        '{"oneInt32":1,"one_int32":1}',
        '{"oneLeaf":{"id":"a","id":"a"}}',
        '{"oneString":"x","oneLeaf":{"id":"a","id" : "a"}}',
        '{"oneString":"\\":","oneInt32":1,"oneInt32":2}',
        '{"oneString":"::::","oneInt32":1,"oneInt32":2}',
        '{"oneString" :"a", "one\\u0053tring": "b"}',
        '{"oneStruct":{"a":1,"a":1}}',
        '{"oneValue":[{"a":1,"a":1}]}',
        '{"byString":{"a":"","a":""}}',
        '{"byInt32":{"1":"","1":""}}',
        '{"byInt32":{"1":"","01":""}}',
        '{"oneAny":{"@type":"x/rich.Leaf","id":"a","id":"a"}}',
    ],
)
def test_a_key_that_is_there_twice_is_refused(text: str) -> None:
    for transcoder in (RICH, LAX):
        with pytest.raises(CodecError, match="twice"):
            transcoder.from_json(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"oneString":"a:b"}',
        '{"oneString" : "\\": :"}',
        '{\n"oneString"\n:\n"x\\":\\":"}',
        '{"oneString":":"}',
    ],
)
def test_colons_in_texts_and_blanks_before_colons_change_nothing(text: str) -> None:
    assert RICH.from_json(text.encode()) == parse(text)


def test_two_members_of_a_oneof_are_refused_and_null_is_none_of_them() -> None:
    with pytest.raises(CodecError, match="two fields of one oneof"):
        RICH.from_json(b'{"orInt32":1,"orString":"a"}')
    with pytest.raises(CodecError, match="two fields of one oneof"):
        RICH.from_json(b'{"orValue":null,"orString":"a"}')
    assert RICH.from_json(b'{"orInt32":null,"orString":"a"}') == Rich(or_string="a")


@given(st.integers(-(2**65), 2**65) | st.integers(-3, 3).map(lambda n: 2**53 + n))
def test_integers_come_back_whole_or_are_refused(number: int) -> None:
    for name, low, high in (("oneInt64", -(2**63), 2**63), ("oneUint64", 0, 2**64)):
        for text in (f'{{"{name}":{number}}}', f'{{"{name}":"{number}"}}'):
            if low <= number < high:
                message = RICH.from_json(text.encode())
                assert json.loads(RICH.to_json(message)) == ({name: str(number)} if number else {})
            else:
                with pytest.raises(CodecError, match="out of range"):
                    RICH.from_json(text.encode())
    for text in (f'{{"oneDouble":{number}}}', f'{{"oneValue":{number}}}'):
        if int(float(number)) == number:
            printed = json.loads(RICH.to_json(RICH.from_json(text.encode())))
            assert list(printed.values()) in ([number], [])
        else:
            with pytest.raises(CodecError, match="more digits than a double"):
                RICH.from_json(text.encode())


def test_null_is_nothing_except_where_it_is_a_value() -> None:
    names = [field.json_name for field in Rich.DESCRIPTOR.fields]
    everything = {name: None for name in names if not name.startswith("or")}
    read = RICH.from_json(json.dumps(everything).encode())
    assert {field.name for field, _ in read.ListFields()} == {"one_value", "may_null"}
    lists = b'{"manyNull":[null,null],"mapNull":{"a":null},"manyValue":[null]}'
    assert json.loads(RICH.to_json(RICH.from_json(lists))) == json.loads(lists)


def test_what_is_at_its_default_is_left_out_and_minus_zero_is_not_there() -> None:
    assert RICH.to_json(Rich()) == b"{}"
    assert RICH.to_json(Rich(one_int32=0, one_string="", one_bytes=b"", one_double=0.0)) == b"{}"
    assert RICH.to_json(Rich(one_double=-0.0)) == b'{"oneDouble":-0.0}'
    shown = RICH.to_json(Rich(may_int32=0, may_string="", may_double=0.0, may_color=0, may_null=0))
    assert json.loads(shown) == {
        "mayInt32": 0, "mayString": "", "mayDouble": 0.0, "mayColor": "NONE", "mayNull": None
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"oneInt32":"hunter2"}', "oneInt32"),
        ('{"one_leaf":{"size":[]}}', "oneLeaf.size"),
        ('{"manyLeaf":[{},{"part":"hunter2"}]}', "manyLeaf[1].part"),
        ('{"mapLeaf":{"hunter2":{"on":"hunter2"}}}', "mapLeaf[].on"),
        ('{"oneRich":{"oneTimestamp":"hunter2"}}', "oneRich.oneTimestamp"),
        ('{"oneAny":{"@type":"x/rich.Leaf","size":"hunter2"}}', "oneAny.size"),
        ('{"oneLeaf":{"hunter2":1}}', "oneLeaf"),
        ('{"hunter2":1}', ""),
    ],
)
def test_a_refusal_says_where_and_never_what(text: str, place: str) -> None:
    with pytest.raises(CodecError) as caught:
        RICH.from_json(text.encode())
    assert caught.value.place == place
    assert "hunter2" not in f"{caught.value} {caught.value.place}"


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"\xef\xbb\xbf{}", b"{} {}", b"[]", b"null", b"1", b'"a"', b"[" * 100_000],
)
def test_what_is_no_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        RICH.from_json(data)


def test_messages_lie_in_one_another_as_deep_as_the_oracle_lets_them() -> None:
    def nest(depth: int) -> str:
        return '{"oneRich":' * (depth - 1) + "{}" + "}" * (depth - 1)

    assert RICH.from_json(nest(100).encode()) == parse(nest(100))
    with pytest.raises(CodecError, match="more than 100"):
        RICH.from_json(nest(101).encode())


@pytest.mark.parametrize("depth", range(95, 102))
@pytest.mark.parametrize(
    "held",
    ['"oneLeaf":{"id":"x"}', '"manyLeaf":[{}]', '"mapTimestamp":{"a":"1970-01-01T00:00:01Z"}'],
)
def test_a_message_that_is_built_where_it_is_held_is_as_deep_as_any(held: str, depth: int) -> None:
    verdict = judge(RICH, Rich, '{"oneRich":' * depth + "{" + held + "}" + "}" * depth)
    assert verdict == ("same" if depth < 99 else "refused")


def test_well_known_types_are_transcoded_on_their_own_too() -> None:
    stamp = Transcoder(timestamp_pb2.Timestamp)
    assert (
        stamp.to_json(stamp.from_json(b'"2024-02-29T12:00:00.5Z"')) == b'"2024-02-29T12:00:00.500Z"'
    )
    value = Transcoder(struct_pb2.Value)
    for text in (b"null", b'{"a":[1.5,true,null,"x"]}', b"[]", b'"x"'):
        assert json.loads(value.to_json(value.from_json(text))) == json.loads(text)
    wrapped = Transcoder(find("google.protobuf.Int64Value"))
    assert wrapped.to_json(wrapped.from_json(b'"9007199254740993"')) == b'"9007199254740993"'


def test_an_any_is_looked_up_in_the_pool() -> None:
    text = b'{"@type":"type.googleapis.com/rich.Leaf","id":"x"}'
    given_pool = Transcoder(find("google.protobuf.Any"), pool=POOL)
    assert json.loads(given_pool.to_json(given_pool.from_json(text))) == json.loads(text)
    assert given_pool.to_json(given_pool.from_json(b"{}")) == b"{}"
    with pytest.raises(CodecError, match="no type that is known"):
        Transcoder(any_pb2.Any).from_json(text)
    with pytest.raises(CodecError, match="not known here"):
        Transcoder(any_pb2.Any).to_json(any_pb2.Any(type_url="x/rich.Leaf"))
    with pytest.raises(CodecError, match="not of its type"):
        Transcoder(any_pb2.Any).to_json(
            any_pb2.Any(type_url="x/google.protobuf.Any", value=b"\xff")
        )


def test_names_that_cross_or_are_not_ascii_are_read_by_their_json_name() -> None:
    crossed = Transcoder(Swapped, pool=POOL)
    assert crossed.from_json(b'{"left":"1","right":2}') == Swapped(right=1, left=2)
    assert json.loads(crossed.to_json(Swapped(right=1, left=2))) == {"left": "1", "right": 2}
    foreign = Transcoder(Foreign, pool=POOL)
    assert foreign.from_json('{"número":1}'.encode()) == Foreign(number=1)
    assert foreign.to_json(Foreign(number=1)) == '{"número":1}'.encode()
    with pytest.raises(CodecError, match="names no field"):
        foreign.from_json(b'{"":1}')


def test_extensions_are_refused_and_not_dropped() -> None:
    message = Old(must_be=1)
    message.Extensions[POOL.FindExtensionByName("old.extra")] = 5  # type: ignore[index]  # made at run time
    with pytest.raises(CodecError, match="extension"):
        OLD.to_json(message)
    with pytest.raises(CodecError, match="extension"):
        Transcoder(Old, pool=POOL, ignore_unknown=True).from_json(b'{"[old.extra]":5}')


def test_plain_data_has_bytes_and_integer_keys_as_they_are() -> None:
    data = {"oneBytes": b"\0\1", "byInt32": {7: "x"}, "byBool": {True: "y"}, "oneInt64": 2**62}
    before = copy.deepcopy(data)
    message = RICH.from_data(data)
    assert (message.one_bytes, message.one_int64) == (b"\0\1", 2**62)
    assert (message.by_int32[7], message.by_bool[True]) == ("x", "y")
    assert data == before
    for odd in (
        {"oneString": b"x"},
        {"oneInt64": float(2**60)},
        {"nope": 1},
        {1: 2},
        {"oneColor": "\ud800"},
        [],
    ):
        with pytest.raises(CodecError):
            RICH.from_data(odd)


def count_calls(work: Any) -> int:
    """How many functions written in Python a piece of work calls."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_plain_records_cost_no_call_in_python_for_each() -> None:
    def page(size: int) -> tuple[bytes, Message]:
        items = [{"id": f"n{i}", "size": i + 1, "on": True, "part": 0.5} for i in range(size)]
        return json.dumps({"manyLeaf": items}).encode(), Rich(many_leaf=items)

    (short, few), (long, many) = page(10), page(200)
    assert count_calls(lambda: RICH.from_json(short)) == count_calls(lambda: RICH.from_json(long))
    assert count_printing(BY_PRINTER, many) - count_printing(BY_PRINTER, few) == 190
    each = 0 if IS_COMPILED else 190  # its printer reads the fields of each
    assert count_printing(RICH, many) - count_printing(RICH, few) == each


def count_printing(transcoder: Transcoder[Any], message: Message) -> int:
    return count_calls(lambda: transcoder.to_json(message))


def test_json_that_spells_everything_usually_never_meets_the_careful_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transcoder = Transcoder(Rich, pool=POOL)
    message = Rich(
        one_int64=2**60, one_uint64=2**63, one_bytes=b"\xff", one_float=0.5, one_color=7,
        one_timestamp={"seconds": 1, "nanos": 5}, one_duration={"seconds": -1, "nanos": -5},
        one_fieldmask={"paths": ["a_b"]}, one_stringvalue={"value": ""}, many_int64=[1, 2],
        by_bool={True: "x"}, by_uint64={7: "y"}, map_double={"a": 0.5}, or_int64=5,
        one_rich={"map_int64": {"a": 2**60}}, map_rich={"k": {"by_int32": {1: "z"}}},
    )  # fmt: skip
    monkeypatch.delattr(transcoder, "_careful")
    assert transcoder.from_json(transcoder.to_json(message)) == message
    spaced = json.dumps(transcoder.to_data(message), indent=1).encode()
    assert transcoder.from_json(spaced) == message
    shelf = Transcoder(Shelf, pool=POOL)
    monkeypatch.delattr(shelf, "_careful")
    boxes = [{"map_int64": {"a": 2**60}, "by_bool": {True: 5}, "map_color": {"b": 7}}, {}]
    filled = Shelf(word_counts={"c": 2**63}, more_boxes=boxes, first_box={"next": boxes[0]})
    assert shelf.from_json(shelf.to_json(filled)) == filled


def test_the_shortest_digits_name_a_float() -> None:
    assert RICH.to_json(Rich(one_float=0.1)) == b'{"oneFloat":0.1}'
    largest = Rich(one_float=LARGEST_FLOAT, may_float=-LARGEST_FLOAT)
    printed = RICH.to_json(largest)
    assert printed == b'{"oneFloat":3.4028235e38,"mayFloat":-3.4028235e38}'
    assert RICH.from_json(printed) == largest
    assert (
        RICH.from_json(printed.replace(b"e38", b"E+38").replace(b"{", b'{"oneInt32":1.0,'))
        != largest
    )
    with pytest.raises(CodecError, match="range of a float"):
        RICH.from_json(b'{"oneFloat":3.4028236e38}')


def test_a_descriptor_of_protobuf_itself_comes_back() -> None:
    file = descriptor_pb2.FileDescriptorProto.FromString(Leaf.DESCRIPTOR.file.serialized_pb)
    whole = Transcoder(descriptor_pb2.FileDescriptorProto)
    assert whole.from_json(whole.to_json(file)) == file
    assert json.loads(whole.to_json(file)) == json_format.MessageToDict(file)
