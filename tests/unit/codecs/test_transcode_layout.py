"""A layout says of each field what stands before it on the wire, and in JSON."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from rich_proto import Leaf, Old, Rich
from wire_rig import way

from interlaced.codecs import transcode_wire as wire

F = descriptor_pb2.FieldDescriptorProto
HERE = way("as it is imported")


def slot_of(message: Any, name: str) -> wire.Slot:
    number = message.DESCRIPTOR.fields_by_name[name].number
    found: wire.Slot = next(slot for slot in HERE.lay_out(message).slots if slot.tag >> 3 == number)
    return found


@pytest.mark.parametrize(
    ("name", "follows", "kind"),
    [
        ("one_int32", 0, wire.SIGNED), ("one_uint64", 0, wire.UNSIGNED),
        ("one_sint64", 0, wire.ZIGZAG), ("one_fixed32", 5, wire.FIXED32),
        ("one_double", 1, wire.DOUBLE), ("one_float", 5, wire.FLOAT), ("one_bool", 0, wire.BOOL),
        ("one_string", 2, wire.STRING), ("one_color", 0, wire.ENUM), ("one_null", 0, wire.NULL),
        ("one_leaf", 2, wire.MESSAGE), ("one_timestamp", 2, wire.TIMESTAMP),
        ("one_int64value", 2, wire.WRAPPER), ("one_any", 2, wire.OTHER),
        ("many_int32", 2, wire.SIGNED), ("many_string", 2, wire.STRING), ("by_int64", 2, wire.MAP),
    ],
)  # fmt: skip
def test_a_tag_says_what_follows_it(name: str, follows: int, kind: int) -> None:
    slot = slot_of(Rich, name)
    assert (slot.tag & 7, slot.kind) == (follows, kind)


def test_fields_stand_in_the_order_of_their_numbers_and_none_has_the_last_tag() -> None:
    tags = [slot.tag for slot in HERE.lay_out(Rich).slots]
    assert tags == sorted(set(tags))
    assert len(tags) == len(Rich.DESCRIPTOR.fields) + 1
    assert tags[-1] > (2**29 - 1) << 3 | 7  # the greatest number that a field can have


def test_keys_are_names_in_json_as_json_writes_them() -> None:
    assert slot_of(Rich, "one_int32").key == b'"oneInt32":'
    assert slot_of(Rich, "class").key == b'"Klasse 1":'
    assert slot_of(Rich, "named").key == b'"@id":'


def test_quotes_go_around_64_bits_and_every_key_that_is_no_text() -> None:
    quoted = {name: slot_of(Rich, name).is_quoted for name in ("one_int64", "one_int32")}
    assert quoted == {"one_int64": True, "one_int32": False}
    for name, is_quoted in (("by_bool", True), ("by_string", False), ("by_uint32", True)):
        key = slot_of(Rich, name).map_key
        assert key is not None
        assert key.is_quoted is is_quoted


def test_a_type_that_holds_itself_is_laid_out_once() -> None:
    layout = HERE.lay_out(Rich)
    held = next(slot for slot in layout.slots if slot.key == b'"oneRich":')
    assert held.layout is layout


def test_an_empty_wrapper_is_its_default() -> None:
    shown = {name: slot_of(Rich, f"one_{name}value").empty for name in ("int64", "bool", "string")}
    assert shown == {"int64": b'"0"', "bool": b"false", "string": b'""'}


def make(**options: Any) -> Any:
    """A message type of proto2 with a list of integers, and one more field."""
    file = descriptor_pb2.FileDescriptorProto(name="made.proto")
    made = file.message_type.add(name="Made")
    numbers = made.field.add(name="numbers", number=1, label=F.LABEL_REPEATED, type=F.TYPE_INT32)
    numbers.options.packed = options.pop("packed", False)
    if options.pop("group", False):
        made.nested_type.add(name="Group")
        made.field.add(
            name="group",
            number=2,
            label=F.LABEL_OPTIONAL,
            type=F.TYPE_GROUP,
            type_name="Made.Group",
        )
    pool = descriptor_pool.DescriptorPool()  # type: ignore[no-untyped-call]  # untyped stubs
    pool.AddSerializedFile(file.SerializeToString())  # type: ignore[no-untyped-call]  # untyped stubs
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Made"))  # type: ignore[no-untyped-call]  # untyped stubs


@pytest.mark.parametrize("packed", [True, False])
def test_lists_are_packed_where_the_type_says_so(packed: bool) -> None:
    made = make(packed=packed)
    slot = slot_of(made, "numbers")
    assert (slot.is_packed, slot.tag & 7) == (packed, 2 if packed else 0)
    assert HERE.show(made(numbers=[1, -1, 300])) == b'{"numbers":[1,-1,300]}'


def test_types_with_groups_or_extensions_are_left_to_the_printer() -> None:
    assert HERE.lay_out(make()) is not None
    assert HERE.lay_out(make(group=True)) is None
    assert HERE.lay_out(Old) is None
    assert HERE.lay_out(Leaf) is not None
