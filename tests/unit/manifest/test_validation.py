"""Pydantic's errors are told at the place where they stand, in our own words."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from interlaced.manifest.codes import Code
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import Finding, read_source
from interlaced.manifest.validation import dotted, find_key, find_value, translate
from interlaced.schema.fields import Duration, Name, SecretField, Strict


class Stream(Strict):
    stream: str
    wait: Duration = 1.0


class Core(Strict):
    core: Literal[True]
    subject: str


class Model(Strict):
    count: Annotated[int, Field(ge=1, le=5)] = 1
    mode: Literal["wait", "fail"] = "wait"
    secret: SecretField | None = None
    names: dict[Name, int] = Field(default_factory=dict)
    feed: str | Stream | Core | None = None
    items: tuple[Stream, ...] = ()
    operations: dict[str, dict[str, object]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "Model":
        if self.count == 5:
            raise ValueError("operation Five: parameter five is too much")
        return self


def findings(text: str, data: object, broken: frozenset[str] = frozenset()) -> list[Finding]:
    (document,) = read_source("x", text.encode()).documents
    ids = {id(find_value(document, (key,))) for key in broken}
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(data)
    return translate(caught.value, document, Shape.of(Model.model_json_schema()), broken=ids)


def only(text: str, data: object) -> tuple[Code, int, str, str]:
    (finding,) = findings(text, data)
    assert finding.span is not None
    return finding.code, finding.span.column, finding.message, finding.hint


def test_an_unknown_key_is_told_at_the_key() -> None:
    told = only("{conut: 1}", {"conut": 1})
    assert told == (Code.UNKNOWN_KEY, 1, "unknown key 'conut'", "did you mean 'count'?")


def test_a_bad_value_is_told_at_the_value() -> None:
    assert only("{count: many}", {"count": "many"})[:3] == (
        Code.BAD_VALUE, 8, "count: expected a whole number",
    )  # fmt: skip
    assert only("{count: 9}", {"count": 9})[2] == "count: expected at most 5"


def test_a_bad_choice_is_told_with_a_proposal() -> None:
    assert only("{mode: wiat}", {"mode": "wiat"}) == (
        Code.BAD_VALUE, 7, "mode: expected 'wait' or 'fail'", "did you mean 'wait'?",
    )  # fmt: skip


def test_a_missing_key_is_told_at_its_parent() -> None:
    told = only("{items: [{wait: 1s}]}", {"items": [{"wait": "1s"}]})
    assert told[:3] == (Code.MISSING_KEY, 9, "the key 'stream' is missing in items[0]")


def test_a_bad_name_is_told_at_the_name() -> None:
    told = only("{names: {9x: 1}}", {"names": {"9x": 1}})
    assert told[:3] == (Code.BAD_NAME, 9, "the name '9x' does not fit")


def test_of_a_union_only_the_branch_that_was_meant_is_told() -> None:
    told = only("{feed: {stream: S, wait: x}}", {"feed": {"stream": "S", "wait": "x"}})
    assert told[0] is Code.BAD_VALUE
    assert told[2].startswith("feed.wait: expected a duration")
    told = only("{feed: {core: true}}", {"feed": {"core": True}})
    assert told[2] == "the key 'subject' is missing in feed"


def test_a_secret_value_is_never_told() -> None:
    """P49: neither the message nor the hint repeats what was written."""
    told = only("{secret: [hunter2]}", {"secret": ["hunter2"]})
    assert "hunter2" not in f"{told}"


def test_what_follows_from_a_failed_reference_is_not_told() -> None:
    text = "{count: '${env:X}', mode: bad}"
    found = findings(text, {"count": "", "mode": "bad"}, frozenset({"count"}))
    assert [finding.message for finding in found] == ["mode: expected 'wait' or 'fail'"]


def test_what_a_whole_model_says_of_a_member_is_told_there() -> None:
    text = "{count: 5, operations: {Five: {parameters: {five: 1}}}}"
    data = {"count": 5, "operations": {"Five": {}}}
    assert only(text, data)[:2] == (Code.UNKNOWN_PARAMETER, text.index("five"))
    assert only("{count: 5, operations: {Five: {}}}", data)[:2] == (Code.BAD_VALUE, 24)
    assert only("{count: 5}", data)[:2] == (Code.BAD_VALUE, 0)


def test_places_are_written_as_people_write_them() -> None:
    assert dotted(("a", 0, "b")) == "a[0].b"
    (document,) = read_source("x", b"a: [{b: 1}]").documents
    assert find_key(document, ("a", 0, "zzz")).column == 4
    assert find_key(document, ()).column == 0
    assert find_value(document, ("a", 1)) is None
