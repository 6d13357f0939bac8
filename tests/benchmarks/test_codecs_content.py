"""No library is timed before it has proven that it carries the whole content."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.codecs import cases, timed
from benchmarks.codecs.cases import REFUSED, UNAVAILABLE, matrix_cases, memory_case, open_all
from benchmarks.codecs.codec import (
    ACTIONS,
    DOCUMENT,
    SCHEMA,
    Codec,
    UnequalContentError,
    assert_equal_content,
    is_same,
)
from benchmarks.codecs.libraries import MODULES, load
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.rules import INT_LIMIT, BrokenRuleError
from benchmarks.codecs.schema import message_class
from benchmarks.codecs.shapes import SHAPES, Shape, shape

WITH_SCHEMA = [name for name in MODULES if SCHEMA in load(name).TAKES]
WITHOUT = [name for name in MODULES if DOCUMENT in load(name).TAKES]
RECORD = shape("typical_record")


class Twin:
    """orjson, but for what the saboteur changes."""

    NAME = "twin"
    DISTRIBUTION = "orjson"
    TAKES = frozenset({SCHEMA, DOCUMENT})

    def __init__(self, sabotage: Callable[[Codec], dict[str, Any]]) -> None:
        self._sabotage = sabotage

    def open_codec(self, one: Shape) -> Codec:
        codec = load("orjson").open_codec(one)
        return dataclasses.replace(codec, **self._sabotage(codec))


def _drops_a_field(codec: Codec) -> dict[str, Any]:
    def decode(raw: bytes) -> Any:
        value = codec.decode(raw)
        value.pop("email", None)
        return value

    return {"decode": decode}


def _rounds_numbers(codec: Codec) -> dict[str, Any]:
    return {"decode": lambda raw: {**codec.decode(raw), "balance": 1.0}}


def _forgets_a_list(codec: Codec) -> dict[str, Any]:
    return {"decode": lambda raw: {**codec.decode(raw), "tags": []}}


def _gives_text(codec: Codec) -> dict[str, Any]:
    return {"encode": lambda value: codec.encode(value).decode(), "decode": codec.decode}


SABOTEURS = [_drops_a_field, _rounds_numbers, _forgets_a_list, _gives_text]


def test_the_libraries_of_the_issue_are_all_there() -> None:
    assert set(WITH_SCHEMA) == {
        *("protobuf", "protobuf-py", "msgpack", "ormsgpack", "msgspec-msgpack"),
        *("json", "orjson", "msgspec-json"),
    }


@pytest.mark.parametrize("name", MODULES)
def test_every_library_has_the_same_names(name: str) -> None:
    module = load(name)
    assert name == module.NAME
    assert set(module.__all__) == {"DISTRIBUTION", "NAME", "TAKES", "open_codec"}  # type: ignore[attr-defined] # it is a module


@pytest.mark.parametrize("one", SHAPES)
@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_every_library_gives_back_the_content_of_every_shape(name: str, one: str) -> None:
    codec = load(name).open_codec(shape(one))
    assert_equal_content(name, codec, shape(one))
    for action in ACTIONS:
        found = codec.action(action, shape(one).data)
        assert (found is None) == (action == "build" and codec.build is None)
        if found is not None:
            found[0](found[1])


@pytest.mark.parametrize("saboteur", SABOTEURS)
def test_a_broken_twin_is_refused_before_anything_is_timed(
    saboteur: Callable[[Codec], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("it was timed")

    monkeypatch.setattr(cases, "time_actions", never)
    monkeypatch.setattr(timed, "time_actions", never)
    found = matrix_cases(["twin"], RECORD, Effort.quick(), lambda _: Twin(saboteur))
    assert [case.scenario for case in found] == [REFUSED]
    assert found[0].variant == {
        "library": "twin",
        "shape": "typical_record",
        "content": "Record",
    }
    assert not found[0].samples
    assert memory_case("twin", RECORD, "encode", lambda _: Twin(saboteur)) == []


def test_a_twin_that_breaks_nothing_is_opened() -> None:
    assert list(open_all(["twin"], RECORD, lambda _: Twin(lambda _: {})).codecs) == ["twin"]


def test_a_library_that_is_not_installed_is_named_with_its_reason() -> None:
    def absent(name: str) -> Any:
        raise ImportError(f"no module named {name}")

    opened = open_all(["orjson"], RECORD, absent)
    assert opened.codecs == {}
    assert [case.scenario for case in opened.without] == [UNAVAILABLE]
    assert "no module named orjson" in opened.without[0].notes[0]


@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_the_validated_tier_of_every_library_refuses_what_breaks_a_rule(name: str) -> None:
    codec = load(name).open_codec(RECORD)
    assert codec.validate is not None
    for broken in (
        {"age_years": INT_LIMIT + 1},
        {"standing": 9},
        {"balance": 2e12},
        {"display_name": "x" * (2**20 + 1)},
        {"tags": ["x"] * 100_001},
        {"line_items": [{"article": "a", "quantity": INT_LIMIT + 1, "unit_price": 1.0}]},
    ):
        raw = codec.encode(codec.value({**RECORD.data, **broken}))
        codec.decode(raw)
        with pytest.raises((BrokenRuleError, ValueError)):
            codec.validate(raw)


@pytest.mark.parametrize("name", WITH_SCHEMA)
def test_touching_reads_every_field_that_is_there(name: str) -> None:
    codec = load(name).open_codec(RECORD)
    assert codec.touch is not None
    if codec.tier == "untyped":
        for field in RECORD.data:
            less = {key: value for key, value in RECORD.data.items() if key != field}
            with pytest.raises(KeyError):
                codec.touch(less)
    else:
        codec.touch(codec.value(RECORD.data))
        with pytest.raises(AttributeError):
            codec.touch(message_class("Address")())


@pytest.mark.parametrize("name", WITHOUT)
def test_a_document_without_a_schema_goes_through_every_schemaless_library(name: str) -> None:
    document = Shape("document", "", {"a": [1, 2.5, None, True, "ä"], "b": {"c": {}}})
    assert list(open_all([name], document).codecs) == [name]


def test_struct_is_refused_where_its_doubles_lose_an_integer() -> None:
    document = Shape("document", "", {"id": 2**53 + 1})
    opened = open_all(["protobuf-struct", "orjson"], document)
    assert list(opened.codecs) == ["orjson"]
    assert opened.without[0].variant["content"] == DOCUMENT


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, True), (0, False), ("a", b"a"), ([1], [1, 2]), ({"a": 1}, {"a": 1, "b": 2}), (1, None)],
)
def test_content_that_differs_is_not_the_same(left: object, right: object) -> None:
    assert not is_same(left, right)
    assert not is_same({"deep": [left]}, {"deep": [right]})


def test_unequal_content_is_an_error_with_the_library_and_the_shape() -> None:
    with pytest.raises(UnequalContentError, match="twin does not give back the content"):
        assert_equal_content("twin", Twin(_drops_a_field).open_codec(RECORD), RECORD)
