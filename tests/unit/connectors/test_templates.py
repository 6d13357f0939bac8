"""Templates of manifests."""

from __future__ import annotations

from typing import Any

import pytest

from interlaced.connectors.parameters import Parameters
from interlaced.connectors.templates import (
    compile_pairs,
    compile_pick,
    compile_value,
    literal_of,
    reference_of,
)
from interlaced.core.failure import Failure, Reason
from interlaced.core.path import MISSING


def make(template: Any, payload: Any = MISSING, **arguments: Any) -> Any:
    return compile_value(template, Parameters({}), [])(arguments, payload)


def test_references_and_literals() -> None:
    assert reference_of("$req.ab") == "ab"
    assert reference_of("plain") is None
    assert reference_of("$$req.a") is None
    assert literal_of("$$req.a") == "$req.a"
    assert literal_of("a$b") == "a$b"
    assert literal_of(True) == "true"


@pytest.mark.parametrize(
    "text", ["$", "$req", "$req.a.b", "$env.a", "$req[0]", "$payload.a", "$.a"]
)
def test_other_paths_are_no_parameters(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        reference_of(text)


def test_a_tree_stays_a_tree_whatever_is_put_into_it() -> None:
    """T11, T13: data is never read as a template."""
    template = {"a": "$req.x", "b": ["$req.gone", "$$y", 1, None], "c": {"d": "$payload.e[0]"}}
    evil = '"}, "$req.y": {'
    assert make(template, {"e": ["$req.x"]}, x=evil) == {
        "a": evil,
        "b": ["$y", 1, None],
        "c": {"d": "$req.x"},
    }


def test_what_is_missing_is_left_out() -> None:
    assert make({"a": "$req.x", "b": {"c": "$payload.y"}}, {}) == {"b": {}}
    assert make("$req.x") is MISSING
    assert make("$req.x", x=("a", "b")) == ["a", "b"]


def test_paths_into_the_payload_are_noted() -> None:
    uses: list[str] = []
    compile_value({"a": "$payload.b", "c": ["$payload"]}, Parameters({}), uses)
    assert uses == ["$payload.b", "$payload"]


def test_pairs_repeat_lists_and_leave_out_what_is_missing() -> None:
    pairs = compile_pairs({"a": "$req.a", "b": 1, "c": "$req.c"}, Parameters({}))
    assert pairs({"a": ("x", "y")}) == [("a", "x"), ("a", "y"), ("b", "1")]


def test_a_pick_takes_a_path_or_a_tree_of_paths() -> None:
    value = {"data": {"n": None}}
    assert compile_pick("$.data.n")(value) is None
    assert compile_pick({"all": "$", "n": {"m": "$.data.n"}})(value) == {
        "all": value,
        "n": {"m": None},
    }
    with pytest.raises(Failure) as caught:
        compile_pick("$.nosuch")(value)
    assert (caught.value.reason, caught.value.context) == (
        Reason.CONTRACT_DRIFT,
        {"place": "$.nosuch"},
    )


@pytest.mark.parametrize("template", ["data", 1, ["$.a"], "$req.a", None])
def test_a_pick_of_anything_else_is_refused(template: Any) -> None:
    with pytest.raises(ValueError, match="reply"):
        compile_pick(template)
