"""What the source says about attributes, read when it is asked for."""

from __future__ import annotations

from pydantic import Field

from interlaced.schema.docs import docs_of
from interlaced.schema.fields import Strict


class _Above(Strict):
    """The text of a class belongs to no attribute."""

    kept: int = 1
    """From above."""
    replaced: int = 1
    """Not this one."""


class _Below(_Above):
    replaced: int = 2
    """One line,
    and another."""
    silent: int = 3
    explicit: int = Field(default=4, description="Said in the field.")
    """Said below it."""


def test_the_text_below_an_attribute_is_found_also_where_it_is_inherited() -> None:
    assert docs_of(_Below) == {
        "kept": "From above.",
        "replaced": "One line,\nand another.",
        "explicit": "Said below it.",
    }


def test_a_class_without_a_source_has_no_texts() -> None:
    made = type("Made", (), {"__annotations__": {"a": int}})
    assert docs_of(made) == {}


def test_the_json_schema_describes_fields_and_what_a_field_says_itself_wins() -> None:
    told = _Below.model_json_schema()["properties"]
    assert told["kept"]["description"] == "From above."
    assert "description" not in told["silent"]
    assert told["explicit"]["description"] == "Said in the field."
