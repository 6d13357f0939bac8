"""msgspec makes structs for what is built, and dicts for constructors."""

from __future__ import annotations

import msgspec
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from rich_proto import Leaf, Rich, Shelf

from interlaced.codecs.transcode_forms import describe
from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_source import SourceWriter


def form_of(kind: type[Message], *, original_names: bool = False) -> type:
    reached = Plans().reach(kind.DESCRIPTOR)
    made: type = describe(reached, SourceWriter(reached, original_names=original_names))
    return made


def test_a_type_that_is_built_is_a_struct_with_a_field_for_each_field() -> None:
    form = form_of(Shelf)
    assert issubclass(form, msgspec.Struct)
    made = msgspec.json.decode(b'{"wordCounts":{"a":"1"},"moreBoxes":null}', type=form)
    assert [getattr(made, name) for name in form.__struct_fields__] == [
        {"a": "1"}, msgspec.UNSET, None, msgspec.UNSET
    ]  # fmt: skip


def test_what_goes_to_a_constructor_stays_a_dict() -> None:
    assert msgspec.json.decode(b'{"id":"x"}', type=form_of(Leaf)) == {"id": "x"}
    option = form_of(descriptor_pb2.UninterpretedOption, original_names=True)
    made = msgspec.json.decode(b'{"name":[{"name_part":"a"}]}', type=option)
    assert getattr(made, option.__struct_fields__[0]) == [{"name_part": "a"}]  # type: ignore[attr-defined]  # a struct's own


def test_types_that_hold_themselves_are_read_at_any_depth() -> None:
    deep = b'{"oneRich":{"manyRich":[{"mapRich":{"a":{"oneInt32":1}}}]}}'
    msgspec.json.decode(deep, type=form_of(Rich))
    with pytest.raises(msgspec.ValidationError, match="oneInt32"):
        msgspec.json.decode(deep.replace(b":1", b":true"), type=form_of(Rich))


def test_integers_that_a_float_cannot_hold_do_not_pass() -> None:
    for text in (b'{"oneFloat":16777217}', b'{"oneDouble":9007199254740993}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=form_of(Rich))
