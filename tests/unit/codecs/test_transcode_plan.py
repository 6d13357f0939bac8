"""What a descriptor tells about JSON."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich_proto import Foreign, Leaf, Old, Rich, Swapped

from interlaced.codecs.transcode_plan import Element, Kind, Plan, Plans, span


def test_a_field_is_found_by_both_of_its_names() -> None:
    plan = Plan(Rich.DESCRIPTOR)
    assert plan.by_spelling["oneInt32"] is plan.by_spelling["one_int32"]
    assert plan.by_spelling["@id"].name == "named"


def test_maps_lists_presence_and_oneofs_are_told_apart() -> None:
    fields = Plan(Rich.DESCRIPTOR).by_spelling
    assert (fields["byUint64"].key, fields["byUint64"].repeated) == (Kind.UINT64, False)
    assert fields["manyInt32"].repeated
    assert (fields["oneInt32"].presence, fields["mayInt32"].presence) == (False, True)
    assert (fields["mayInt32"].oneof, fields["orInt32"].oneof) == ("", "choice")
    assert Plan(Old.DESCRIPTOR).by_spelling["oneInt32"].presence


def test_the_members_of_a_oneof_are_together() -> None:
    (members,) = Plan(Rich.DESCRIPTOR).oneofs
    assert all(field.name.startswith("or_") for field in members)


def test_a_type_is_reached_once_and_planned_once() -> None:
    plans = Plans()
    reached = plans.reach(Rich.DESCRIPTOR)
    assert sorted(plan.message.name for plan in reached) == ["Empty", "Leaf", "Rich"]
    assert plans.of(Leaf.DESCRIPTOR) is plans.of(Leaf.DESCRIPTOR)


@pytest.mark.parametrize(("kind", "peculiar"), [(Rich, False), (Swapped, True), (Foreign, True)])
def test_names_that_cross_or_are_not_ascii_are_peculiar(kind: type, peculiar: bool) -> None:
    assert Plan(kind.DESCRIPTOR).peculiar is peculiar  # type: ignore[attr-defined]  # made at run time


def test_only_messages_have_children_and_only_wrappers_wrap() -> None:
    assert Element.of_message(Timestamp.DESCRIPTOR).child is Timestamp.DESCRIPTOR
    with pytest.raises(TypeError):
        _ = Element(Kind.INT32).child
    with pytest.raises(TypeError):
        _ = Element(Kind.INT32).wrapped
    assert span(Kind.UINT32) == (0, 2**32 - 1)
    assert span(Kind.DOUBLE) is None
