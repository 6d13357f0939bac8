"""A message is set field by field from what was parsed, and nothing is lost."""

from __future__ import annotations

import json
import keyword
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from rich_proto import Rich, Shelf

from interlaced.codecs.transcode_fast import UNUSUAL, FastReader
from interlaced.codecs.transcode_plan import Plans

F = descriptor_pb2.FieldDescriptorProto


def make_words() -> type[Message]:
    """A type whose fields are called as Python's own words."""
    words = iter(word for word in keyword.kwlist if word.islower())
    file = descriptor_pb2.FileDescriptorProto(name="words.proto", syntax="proto3")
    file.dependency.extend(
        ["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"],
    )
    made = file.message_type.add(name="Words")
    known = ".google.protobuf."
    for kind, name, label in (
        *[(F.TYPE_INT64, "", F.LABEL_OPTIONAL)] * 3,
        (F.TYPE_INT64, "", F.LABEL_REPEATED),
        (F.TYPE_STRING, "", F.LABEL_OPTIONAL),
        (F.TYPE_STRING, "", F.LABEL_REPEATED),
        (F.TYPE_MESSAGE, f"{known}Timestamp", F.LABEL_OPTIONAL),
        (F.TYPE_MESSAGE, f"{known}Timestamp", F.LABEL_REPEATED),
        (F.TYPE_MESSAGE, f"{known}Int64Value", F.LABEL_OPTIONAL),
        (F.TYPE_MESSAGE, ".Words", F.LABEL_OPTIONAL),
    ):
        field = made.field.add(name=next(words), number=len(made.field) + 1, type=kind, label=label)
        if name:
            field.type_name = name
    pool = descriptor_pool.DescriptorPool()  # type: ignore[no-untyped-call]  # untyped stubs
    for name in file.dependency:
        known_file = descriptor_pool.Default().FindFileByName(name)  # type: ignore[no-untyped-call]  # untyped stubs
        pool.AddSerializedFile(known_file.serialized_pb)  # type: ignore[no-untyped-call]  # untyped stubs
    pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call]  # untyped stubs
    found: type[Message] = message_factory.GetMessageClass(pool.FindMessageTypeByName("Words"))  # type: ignore[no-untyped-call]  # untyped stubs
    return found


def read(kind: type[Message], content: object, *, original_names: bool = False) -> Any:
    reader = FastReader(kind, Plans(), original_names=original_names)
    return reader.read_json(json.dumps(content).encode())


def test_fields_may_be_called_as_the_words_of_python() -> None:
    kind = make_words()
    values: list[Any] = ["1", "2", "3", ["4", "5"], "a", ["b"], "1970-01-01T00:00:01Z"]
    values += [["1970-01-01T00:00:02Z"], "6", {}]
    content = dict(zip(kind.DESCRIPTOR.fields_by_name, values, strict=True))
    assert read(kind, content) == json_format.ParseDict(content, kind())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("oneInt64value", "0"), ("oneStringvalue", ""), ("oneBoolvalue", False),
        ("oneBytesvalue", ""), ("oneTimestamp", "1970-01-01T00:00:00Z"), ("oneDuration", "0s"),
        ("oneFieldmask", ""), ("oneStruct", {}), ("oneListvalue", []), ("oneEmpty", {}),
        ("oneRich", {}), ("oneRich", {"oneInt32": None}), ("orInt64", "0"),
        ("orTimestamp", "0001-01-01T00:00:00Z"), ("mayInt64", "0"),
        ("oneLeaf", {}), ("oneLeaf", {"id": ""}),
    ],
)  # fmt: skip
def test_what_stands_at_its_default_is_there_all_the_same(key: str, value: object) -> None:
    made = read(Rich, {key: value})
    assert made == json_format.ParseDict({key: value}, Rich())
    [(field, _)] = made.ListFields()
    assert field.json_name == key


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mapTimestamp", {"a": "1970-01-01T00:00:00Z", "b": "2020-02-29T12:00:00.000001Z"}),
        ("mapRich", {"a": {}, "b": {"manyLeaf": [{}, {"id": "x"}]}}),
        ("mapStruct", {"a": {"b": [1, None]}}), ("mapInt64value", {"a": "0", "b": "5"}),
        ("mapDuration", {"a": "-1.500s"}), ("mapFieldmask", {"a": "oneRich,id"}),
        ("byBool", {"true": "x", "false": "y"}), ("mapNull", {}), ("manyEmpty", [{}, {}]),
        ("manyStruct", [{}, {"a": True}]), ("manyFieldmask", ["a", ""]),
        ("manyDuration", ["1s", "0.000000001s"]), ("manyColor", ["RED", 7]),
        ("manyBytesvalue", ["", "AA=="]), ("manyLeaf", []), ("mapLeaf", None),
    ],
)  # fmt: skip
def test_lists_and_maps_are_filled_in_place(key: str, value: object) -> None:
    assert read(Rich, {key: value}) == json_format.ParseDict({key: value}, Rich())


def test_objects_in_a_list_are_read_under_the_names_of_their_fields() -> None:
    kind = descriptor_pb2.UninterpretedOption
    content = {
        "name": [{"namePart": "a", "isExtension": True}, {"namePart": "b", "isExtension": False}],
        "positiveIntValue": "18446744073709551615",
        "doubleValue": 0.5,
    }
    assert read(kind, content) == json_format.ParseDict(content, kind())
    for more in ({"namePart": "c", "isExtension": True, "nope": 1}, {"name_part": "d"}):
        with pytest.raises(UNUSUAL):
            read(kind, {**content, "name": [more]})


def test_keys_that_are_there_and_those_that_are_not_are_told_apart() -> None:
    content = {"wordCounts": {"a": "1"}, "firstBox": None, "plain": {"size": 5}}
    assert read(Shelf, content) == json_format.ParseDict(content, Shelf())
    for more in ({"nope": None}, {"plain": {"nope": 1}}, {"moreBoxes": [{"next": {"nope": {}}}]}):
        with pytest.raises(UNUSUAL):
            read(Shelf, {**content, **more})
