"""The compiled reader takes the usual and leaves everything else."""

from __future__ import annotations

import pytest
from rich_proto import Leaf, Rich

from interlaced.codecs.transcode_fast import UNUSUAL, FastReader, has_keys, read_object
from interlaced.codecs.transcode_plan import Plans

USUAL = FastReader(Rich, Plans(), original_names=False)


def test_the_two_spellings_have_a_reader_each() -> None:
    original = FastReader(Rich, Plans(), original_names=True)
    assert original.read_json(b'{"one_int32":1}') == USUAL.read_json(b'{"oneInt32":1}')
    with pytest.raises(UNUSUAL):
        USUAL.read_json(b'{"one_int32":1}')


@pytest.mark.parametrize(
    "text",
    [
        '{"oneInt32":true}', '{"oneInt32":1.0}', '{"oneInt32":"1"}', '{"oneInt64":"01"}',
        '{"oneDouble":true}', '{"oneDouble":9007199254740993}', '{"oneFloat":1e39}',
        '{"oneFloat":16777217}', '{"oneColor":true}', '{"oneColor":"PUCE"}', '{"oneBytes":"_w"}',
        '{"nope":1}', '{"oneInt32":1,"oneInt32":1}', '{"orInt32":1,"orBool":true}',
        '{"byInt32":{"01":""}}', '{"byBool":{"True":""}}', '{"oneAny":{}}', '{"oneInt32":null',
        '{"oneString":"\\ud800"}', '{"manyInt32":[null]}', '{"oneTimestamp":"now"}',
    ],
)  # fmt: skip
def test_the_unusual_is_left_to_the_careful_reader(text: str) -> None:
    with pytest.raises(UNUSUAL):
        USUAL.read_json(text.encode())


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


def test_a_plain_type_has_nothing_to_do_in_python() -> None:
    reader = FastReader(Leaf, Plans(), original_names=False)
    assert reader.source.splitlines()[:3] == [
        "def read0(d, left, later):",
        "    n = len(d)",
        "    return n",
    ]


@pytest.mark.parametrize(
    ("text", "keys"),
    [('{"a":1}', 1), ('{"a" :":"}', 1), ('{"a":":\\":"}', 1), ('{"a":{"b":[{"c":""}]}}', 3)],
)
def test_keys_are_counted_in_spite_of_colons_elsewhere(text: str, keys: int) -> None:
    assert has_keys(text.encode(), keys)
    assert not has_keys(text.encode(), keys - 1)


def test_an_object_has_each_key_once() -> None:
    assert read_object([("a", 1), ("b", 2)]) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match="twice"):
        read_object([("a", 1), ("a", 1)])
