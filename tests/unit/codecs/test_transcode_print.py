"""The compiled printer reads a message once and leaves out its defaults."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    json_format,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)
from rich_proto import Leaf, Rich, Shelf, find

from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_print import Printer

F = descriptor_pb2.FieldDescriptorProto


def refuse_any(_: object) -> object:
    raise AssertionError("there is no Any here")


def show(message: Any) -> Any:
    printer = Printer(type(message).DESCRIPTOR, Plans(), refuse_any)
    return msgspec.json.decode(msgspec.json.encode(printer.print(message)))


def test_scalars_keep_their_type_and_wide_integers_become_texts() -> None:
    assert show(Rich(one_int32=1, one_int64=1, one_bool=True, one_bytes=b"\xff")) == {
        "oneInt32": 1, "oneInt64": "1", "oneBool": True, "oneBytes": "/w=="
    }  # fmt: skip


def test_what_json_has_no_number_for_is_a_text() -> None:
    odd = [float("nan"), float("inf"), float("-inf"), -0.0]
    assert show(Rich(many_double=odd, many_float=odd)) == {
        "manyDouble": ["NaN", "Infinity", "-Infinity", -0.0],
        "manyFloat": ["NaN", "Infinity", "-Infinity", -0.0],
    }


def test_keys_of_maps_are_texts() -> None:
    message = Rich(by_bool={True: "x"}, by_int64={-5: "y"}, map_int64={"a": 5})
    assert show(message) == {
        "byBool": {"true": "x"}, "byInt64": {"-5": "y"}, "mapInt64": {"a": "5"}
    }  # fmt: skip


def test_an_enum_is_its_first_name_or_its_number() -> None:
    assert show(Rich(many_color=[1, 7, 99])) == {"manyColor": ["RED", "DEEP_BLUE", 99]}


def test_a_type_with_few_optional_fields_is_read_field_by_field() -> None:
    printer = Printer(Leaf.DESCRIPTOR, Plans(), refuse_any)
    assert "ListFields" not in printer.source
    assert show(Leaf(id="x", part=-0.0)) == {"id": "x", "part": -0.0}


def test_a_message_without_messages_is_printed_where_it_is_held() -> None:
    printer = Printer(Shelf.DESCRIPTOR, Plans(), refuse_any)
    shelf = printer.source.split("def print0(m):\n")[1].split("\ndef ")[0]
    assert "c = m.plain" in shelf  # a Leaf
    assert "(m.first_box)" in shelf  # a Box may hold another one
    held = Shelf(plain={}, first_box={"next": {}}, word_counts={"a": 2**63})
    assert show(held) == {"plain": {}, "firstBox": {"next": {}}, "wordCounts": {"a": str(2**63)}}
    assert show(Shelf(plain={"size": 5})) == {"plain": {"size": 5}}


def make_log() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="log.proto", syntax="proto3")
    known = ("Timestamp", "Duration", "DoubleValue", "Timestamp")
    made = file.message_type.add(name="Log")
    for number, (name, kind) in enumerate(
        zip(("at", "took", "part", "end"), known, strict=True), 1
    ):
        field = made.field.add(name=name, number=number, label=F.LABEL_REPEATED)
        field.type, field.type_name = F.TYPE_MESSAGE, f".google.protobuf.{kind}"
    made.field[-1].label = F.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()  # type: ignore[no-untyped-call]  # untyped stubs
    for module in (duration_pb2, timestamp_pb2, wrappers_pb2):
        file.dependency.append(module.DESCRIPTOR.name)
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)  # type: ignore[no-untyped-call]  # untyped stubs
    pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call]  # untyped stubs
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Log"))  # type: ignore[no-untyped-call]  # untyped stubs


def test_lists_of_times_and_of_wrappers_are_printed_in_the_frame_of_their_function() -> None:
    kind = make_log()
    printer = Printer(kind.DESCRIPTOR, Plans(), refuse_any)
    assert not printer.print.__code__.co_cellvars  # type: ignore[attr-defined]  # a function's own
    log = kind(
        at=[{"seconds": 1}, {"nanos": 1_000}, {"seconds": -1, "nanos": 5}],
        took=[{}, {"nanos": 1}, {"seconds": 10**11 + 1}, {"seconds": -1}, {"nanos": -500_000_000}],
        part=[{"value": 0.5}, {"value": float("nan")}, {}],
        end={"seconds": 3_600, "nanos": 120_000_000},
    )
    assert show(log) == json_format.MessageToDict(log)
    assert show(kind()) == {}
    for odd in ({"seconds": 1, "nanos": -1}, {"nanos": 10**9}, {"seconds": 315_576_000_001}):
        with pytest.raises(CodecError):
            show(kind(took=[odd]))


def test_a_time_that_is_none_is_refused() -> None:
    stamp = find("google.protobuf.Timestamp")(nanos=-1)
    with pytest.raises(CodecError):
        show(Rich(one_timestamp=stamp))
