"""The compiled reader takes the usual and leaves everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from rich_proto import Rich

from interlaced.codecs.transcode_fast import UNUSUAL, FastReader, has_keys
from interlaced.codecs.transcode_plan import Plans


def _make_counters() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="counters.proto", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    made = file.message_type.add(name="Counters")
    kinds = (field.TYPE_INT64, field.TYPE_SINT64, field.TYPE_UINT64, field.TYPE_FIXED64)
    names = ("first_row", "last_row", "all_rows", "row_ids")
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True), 1):
        many = field.LABEL_REPEATED if name == "row_ids" else field.LABEL_OPTIONAL
        made.field.add(name=name, number=number, type=kind, label=many)
    pool = descriptor_pool.DescriptorPool()  # type: ignore[no-untyped-call]  # untyped stubs
    pool.Add(file)  # type: ignore[no-untyped-call]  # untyped stubs
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Counters"))  # type: ignore[no-untyped-call]  # untyped stubs


Counters = _make_counters()
USUAL = FastReader(Rich, Plans(), original_names=False)
WITHOUT_NULL = FastReader(Rich, Plans(), original_names=False, nulls=False)
BOTH = pytest.mark.parametrize("reader", [USUAL, WITHOUT_NULL], ids=["nulls", "no nulls"])


def test_the_two_spellings_have_a_reader_each() -> None:
    original = FastReader(Rich, Plans(), original_names=True)
    assert original.read_json(b'{"one_int32":1}') == USUAL.read_json(b'{"oneInt32":1}')
    with pytest.raises(UNUSUAL):
        USUAL.read_json(b'{"one_int32":1}')


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '{"oneInt32":true}', '{"oneInt32":1.0}', '{"oneInt32":"1.0"}', '{"oneInt64":"01"}',
        '{"oneDouble":true}', '{"oneDouble":9007199254740993}', '{"oneFloat":1e39}',
        '{"oneFloat":16777217}', '{"oneColor":true}', '{"oneColor":"PUCE"}', '{"oneBytes":"_w"}',
        '{"nope":1}', '{"oneInt32":1,"oneInt32":1}', '{"orInt32":1,"orBool":true}',
        '{"byInt32":{"01":""}}', '{"byBool":{"True":""}}', '{"oneAny":{}}', '{"oneInt32":null',
        '{"oneString":"\\ud800"}', '{"manyInt32":[null]}', '{"oneTimestamp":"now"}',
        '{"manyInt64":["1,2"]}', '{"manyInt64":["1","2,3"]}', '{"manyInt64":["1"," 2"]}',
        '{"manyInt64":["1.0"]}', '{"manyInt64":["9007199254740993.0"]}', '{"manyInt64":["1e2"]}',
        '{"manyInt64":["true"]}', '{"manyInt64":["null"]}', '{"manyInt64":["[1]"]}',
        '{"manyInt64":["01"]}', '{"manyInt64":["+1"]}', '{"manyInt64":["1_0"]}',
        '{"manyInt64":["9223372036854775808"]}', '{"manyInt64":[""]}', '{"mapInt64":{"a":"1.0"}}',
        '{"mapInt64":{"a":"1","b":"\\t2"}}', '{"oneInt64":"1e2"}', '{"oneInt64":" 1"}',
        '{"oneTimestamp":"2020-01-01T00:00:00Z","oneTimestamp":"2020-01-01T00:00:00Z"}',
        '{"oneTimestamp":"2020-01-01T00\\u003a00\\u003a00Z","oneInt32":1,"oneInt32":2}',
    ],
)  # fmt: skip
def test_the_unusual_is_left_to_the_careful_reader(reader: FastReader[Rich], text: str) -> None:
    with pytest.raises(UNUSUAL):
        reader.read_json(text.encode())


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '{"oneBool":"true"}', '{"oneBool":"1"}', '{"oneBool":1}', '{"oneBool":0}',
        '{"manyBool":["false"]}', '{"manyBool":[1]}', '{"mapBool":{"a":"true"}}',
        '{"oneBoolvalue":"true"}', '{"oneBoolvalue":1}', '{"mayBool":0}',
        '{"oneInt64":"null"}', '{"oneInt32":"NULL"}', '{"oneNull":"null"}', '{"oneNull":"None"}',
        '{"manyInt32":"null"}', '{"oneLeaf":"null"}', '{"mapInt64":"null"}', '{"mapNull":{"a":0}}',
        '{"oneInt64value":"null"}', '{"oneDouble":"null"}', '{"oneStruct":"null"}',
        '{"oneInt64":"1.0"}', '{"oneInt64":"9007199254740993.0"}', '{"oneInt64":"1e-400"}',
        '{"oneInt64":"0.99999999999999999999"}', '{"oneInt64":"nan"}', '{"oneInt64":1.0}',
        '{"oneUint64":"18446744073709551616"}', '{"oneUint64":"-1"}', '{"oneInt32":"2147483648"}',
        '{"oneInt64value":"1e2"}', '{"mapInt64":{"a":1e2}}', '{"byInt64":{"1.0":"x"}}',
        '{"byInt64":{"1e2":"x"}}', '{"byInt64":{"1":"x","1.0":"y"}}', '{"byInt64":{"nan":"x"}}',
        '{"oneDouble":"inf"}', '{"oneDouble":"nan"}', '{"oneDouble":"Infinity"}',
        '{"oneDouble":"1e400"}', '{"oneDouble":"9007199254740993"}', '{"oneFloat":"1e39"}',
        '{"oneFloat":"16777217"}', '{"manyDouble":["nan"]}', '{"mapFloat":{"a":"inf"}}',
        '{"oneColor":"1.0"}', '{"oneColor":1.0}', '{"manyColor":["1e-400"]}', '{"oneColor":"nan"}',
    ],
)  # fmt: skip
def test_no_text_becomes_what_only_msgspec_takes_it_for(
    reader: FastReader[Rich], text: str
) -> None:
    with pytest.raises(UNUSUAL):
        reader.read_json(text.encode())


def test_texts_of_integers_are_taken_with_null_and_without() -> None:
    text = (
        '{"oneInt64":"-9223372036854775808","oneUint64":"18446744073709551615","mayInt64":"0",'
        '"manyInt64":["9007199254740993","-1"],"mapUint64":{"a":"9007199254740993"},'
        '"oneInt64value":"9007199254740993","byUint64":{"18446744073709551615":"x"},"orInt64":"0"}'
    )
    read = USUAL.read_json(text.encode())
    assert WITHOUT_NULL.read_json(text.encode()) == read
    assert read == Rich(
        one_int64=-(2**63), one_uint64=2**64 - 1, may_int64=0, many_int64=[2**53 + 1, -1],
        map_uint64={"a": 2**53 + 1}, one_int64value={"value": 2**53 + 1},
        by_uint64={2**64 - 1: "x"}, or_int64=0,
    )  # fmt: skip


def test_null_is_left_to_the_reader_that_knows_it_and_a_value_may_be_null() -> None:
    for text in ('{"oneInt32":null}', '{"manyInt64":null}', '{"oneLeaf":{"id":null}}'):
        assert USUAL.read_json(text.encode()) == json_format.Parse(text, Rich())
        with pytest.raises(UNUSUAL):
            WITHOUT_NULL.read_json(text.encode())
    for text in ('{"oneValue":null}', '{"oneNull":null,"mayNull":null}'):
        assert WITHOUT_NULL.read_json(text.encode()) == json_format.Parse(text, Rich())


def test_unknown_keys_are_skipped_where_that_was_asked_for_and_other_spellings_never() -> None:
    lax = FastReader(Rich, Plans(), original_names=False, ignore_unknown=True)
    assert lax.read_json(b'{"oneInt32":1,"nope":[{"nope":2}]}') == Rich(one_int32=1)
    for text in (b'{"one_int32":1}', b'{"nope":1,"nope":2}', b'{"nope":"\xff"}'):
        with pytest.raises(UNUSUAL):
            lax.read_json(text)


def test_plain_data_is_read_and_stays_as_it_is() -> None:
    data = {"oneInt64": "5", "manyLeaf": [{"id": "x"}], "mapInt64": {"a": "7"}}
    assert USUAL.read_data(data).map_int64["a"] == 7  # type: ignore[attr-defined]  # made at run time
    assert data == {"oneInt64": "5", "manyLeaf": [{"id": "x"}], "mapInt64": {"a": "7"}}
    with pytest.raises(UNUSUAL):
        USUAL.read_data({"manyLeaf": [{"id": "x", "nope": 1}]})


@pytest.mark.parametrize(
    ("text", "keys"),
    [('{"a":1}', 1), ('{"a" :":"}', 1), ('{"a":":\\":"}', 1), ('{"a":{"b":[{"c":""}]}}', 3)],
)
def test_keys_are_counted_in_spite_of_colons_elsewhere(text: str, keys: int) -> None:
    assert has_keys(text.encode(), keys)
    assert not has_keys(text.encode(), keys - 1)


@BOTH
def test_texts_of_64_bits_are_read_together_and_alone(reader: FastReader[Rich]) -> None:
    message = reader.read_json(b'{"manyInt64":["-5",6],"manyUint64":["7","8"],"mapInt64":{}}')
    assert message == Rich(many_int64=[-5, 6], many_uint64=[7, 8])


@pytest.mark.parametrize("listed", [{}, {"rowIds": ["4", "5"]}])
@pytest.mark.parametrize("nulls", [True, False])
def test_single_fields_of_64_bits_are_converted_whichever_are_there(
    listed: dict[str, list[str]], *, nulls: bool
) -> None:
    reader = FastReader(Counters, Plans(), original_names=False, nulls=nulls)
    every = {"firstRow": "1", "lastRow": "-2", "allRows": "18446744073709551615", **listed}
    whole = reader.read_json(json.dumps(every).encode())
    rows = [4, 5] if listed else []
    assert whole == Counters(first_row=1, last_row=-2, all_rows=2**64 - 1, row_ids=rows)
    some = {"lastRow": 3, **listed}
    part = reader.read_json(json.dumps(some, separators=(",", ":")).encode())
    assert part == Counters(last_row=3, row_ids=rows)
    for odd in ("1,2", "null", " 1", "1.0", "01", "true", "18446744073709551616", "1e2", ""):
        for text in ({**every, "allRows": odd}, {"firstRow": odd}):
            with pytest.raises(UNUSUAL):
                reader.read_json(json.dumps(text).encode())


@BOTH
def test_a_time_and_its_colons_hide_no_key(reader: FastReader[Rich]) -> None:
    text = '{"manyTimestamp":["2020-01-01T00:00:00Z","2020-01-01T01:00:00+01:00"],"oneInt32":1%s}'
    message = reader.read_json((text % "").encode())
    assert [one.seconds for one in message.many_timestamp] == [1577836800] * 2  # type: ignore[attr-defined]  # made at run time
    for more in (',"nope":1', ',"oneInt32":2', ',"oneString":"a:b","nope":{}'):
        with pytest.raises(UNUSUAL):
            reader.read_json((text % more).encode())
