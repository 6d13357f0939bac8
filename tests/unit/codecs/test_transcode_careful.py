"""The careful reader decides alone what the fast one left, and says where it is wrong."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from rich_proto import POOL, Rich

from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode_careful import CarefulReader
from interlaced.codecs.transcode_plan import Element, Plans

ROOT = Element.of_message(Rich.DESCRIPTOR)
STRICT = CarefulReader(Plans(), POOL, ignore_unknown=False)
LAX = CarefulReader(Plans(), POOL, ignore_unknown=True)


def read(value: Any, reader: CarefulReader = STRICT) -> Any:
    return Rich(**reader.read(ROOT, value))  # type: ignore[arg-type]  # what a constructor takes


def test_every_spelling_of_a_value_is_the_same_value() -> None:
    for value in (7, "7", 7.0, Decimal("7.0"), "7.0", "0.7e1"):
        assert read({"oneInt32": value}).one_int32 == 7
    for value in ("DEEP_BLUE", 7, "7"):
        assert read({"oneColor": value}).one_color == 7
    for value in ("_-8=", "/+8=", "_-8", b"\xff\xef"):
        assert read({"oneBytes": value}).one_bytes == b"\xff\xef"


def test_both_names_of_a_field_are_one_field() -> None:
    assert read({"oneInt32": 1}) == read({"one_int32": 1})
    with pytest.raises(CodecError, match="twice, in two spellings"):
        read({"oneInt32": 1, "one_int32": None})


def test_an_unknown_name_of_an_enum_is_skipped_where_that_was_asked_for() -> None:
    value = {"oneColor": "PUCE", "manyColor": ["PUCE", "RED"], "mapColor": {"a": "PUCE"}}
    assert read(value, LAX) == Rich(many_color=[1])
    with pytest.raises(CodecError, match="no name of the enum"):
        read(value)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"manyRich": [{"oneBool": 1}]}, "manyRich[0].oneBool"),
        ({"mapRich": {"secret": {"oneBool": 1}}}, "mapRich[].oneBool"),
        ({"byBool": {"secret": "x"}}, "byBool"),
        ({"manyInt32": 5}, "manyInt32"),
        ({"manyLeaf": [None]}, "manyLeaf[0]"),
    ],
)
def test_a_refusal_names_the_field_and_no_key_of_a_map(value: Any, place: str) -> None:
    with pytest.raises(CodecError) as caught:
        read(value)
    assert caught.value.place == place


def test_maps_of_well_known_types_hold_messages() -> None:
    read_back = read({"mapTimestamp": {"a": "1970-01-01T00:00:01Z"}, "mapInt64value": {"b": "5"}})
    assert read_back.map_timestamp["a"].seconds == 1
    assert read_back.map_int64value["b"].value == 5
