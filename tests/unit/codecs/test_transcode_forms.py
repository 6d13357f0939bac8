"""msgspec makes a struct of each message, and lets pass what its fields take."""

from __future__ import annotations

import msgspec
import pytest
from google.protobuf.message import Message
from rich_proto import Rich, Shelf

from interlaced.codecs.transcode_forms import describe
from interlaced.codecs.transcode_plan import Plans
from interlaced.codecs.transcode_source import SourceWriter


def form_of(kind: type[Message], *, nulls: bool = True) -> type:
    reached = Plans().reach(kind.DESCRIPTOR)
    writer = SourceWriter(reached, original_names=False, nulls=nulls)
    made: type = describe(reached, writer, nulls=nulls)
    return made


def test_a_type_that_is_built_is_a_struct_with_a_field_for_each_field() -> None:
    form = form_of(Shelf)
    assert issubclass(form, msgspec.Struct)
    made = msgspec.json.decode(b'{"wordCounts":{"a":"1"},"moreBoxes":null}', type=form)
    assert [getattr(made, name) for name in form.__struct_fields__] == [
        {"a": "1"}, msgspec.UNSET, None, msgspec.UNSET
    ]  # fmt: skip


def test_without_null_texts_are_converted_and_null_is_refused() -> None:
    decoder = msgspec.json.Decoder(form_of(Shelf, nulls=False), strict=False)
    made = decoder.decode(b'{"wordCounts":{"a":"9007199254740993","b":"1.0"}}')
    first = type(made).__struct_fields__[0]
    assert getattr(made, first) == {"a": 2**53 + 1, "b": 1.0}
    assert isinstance(getattr(made, first)["b"], float)  # which protobuf refuses
    for text in (b'{"wordCounts":null}', b'{"wordCounts":"null"}', b'{"plain":"null"}'):
        with pytest.raises(msgspec.ValidationError):
            decoder.decode(text)


def test_types_that_hold_themselves_are_read_at_any_depth() -> None:
    deep = b'{"oneRich":{"manyRich":[{"mapRich":{"a":{"oneInt32":1}}}]}}'
    msgspec.json.decode(deep, type=form_of(Rich))
    with pytest.raises(msgspec.ValidationError, match="oneInt32"):
        msgspec.json.decode(deep.replace(b":1", b":true"), type=form_of(Rich))


def test_integers_that_a_float_cannot_hold_do_not_pass() -> None:
    for text in (b'{"oneFloat":16777217}', b'{"oneDouble":9007199254740993}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=form_of(Rich))
