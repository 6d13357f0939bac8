"""Plain data and `google.protobuf.Struct`, against protobuf's own way of filling one."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from hypothesis import given
from hypothesis import strategies as st
from rich_proto import PLAIN

from interlaced.codecs import struct_values
from interlaced.codecs.codec import CodecError


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=200), PLAIN, max_size=3))
def test_a_struct_is_written_and_printed_as_protobuf_does_it(members: dict[str, Any]) -> None:
    want = json_format.ParseDict(members, Struct())
    written = Struct.FromString(struct_values.write_struct(members))
    assert written == want
    assert struct_values.print_struct(written) == json_format.MessageToDict(want)


@given(PLAIN)
def test_a_value_and_a_list_come_back(value: Any) -> None:
    written = Value.FromString(struct_values.write_value(value))
    assert struct_values.print_value(written) == value
    items = ListValue.FromString(struct_values.write_list([value, value]))
    assert struct_values.print_list(items) == [value, value]


@pytest.mark.parametrize(
    "value", [2**53 + 1, float("nan"), float("inf"), b"x", "\ud800", {1: 2}, {"\ud800": 1}, {1}]
)
def test_what_a_value_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(CodecError):
        struct_values.write_value(value)


def test_an_infinity_is_not_printed_and_nothing_is_null() -> None:
    with pytest.raises(CodecError):
        struct_values.print_value(Value(number_value=float("inf")))
    assert struct_values.print_value(Value()) is None


def test_keys_are_counted_at_every_depth() -> None:
    assert struct_values.count_keys({"a": {"b": [{"c": 1}, {}]}, "d": "e"}) == 4
    assert struct_values.count_keys([1, "x", None]) == 0


def test_long_texts_have_long_lengths() -> None:
    for size in (127, 128, 20_000):
        members = {"k" * size: "v" * size}
        assert (
            struct_values.print_struct(Struct.FromString(struct_values.write_struct(members)))
            == members
        )
