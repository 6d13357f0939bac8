"""Calls, branches and policies, as they stand on the wire."""

from __future__ import annotations

import pytest
from google.rpc import status_pb2

from interlace.calls import (
    ArgumentFrom,
    Branch,
    Call,
    CallResult,
    Outcome,
    Payload,
    Policy,
    duration,
    read_outcome,
    read_payload,
)
from interlace.effort import Effort
from interlace.errors import NotFound
from interlace.v1 import outcome_pb2, payload_pb2


def test_each_parameter_keeps_its_type() -> None:
    parameters = {"text": "x", "whole": 7, "half": 0.5, "truth": True, "many": ["a", "b"]}
    message = Call("shop", "Get", parameters).message()
    kinds = {it.name: it.WhichOneof("value") for it in message.parameters}
    assert kinds == {
        "text": "string_value",
        "whole": "int64_value",
        "half": "double_value",
        "truth": "bool_value",
        "many": "list_value",
    }
    assert list(message.parameters[4].list_value.values) == ["a", "b"]


@pytest.mark.parametrize("value", [None, {"a": 1}, [1, 2], b"bytes", object()])
def test_what_cannot_travel_is_a_type_error_with_its_name(value: object) -> None:
    with pytest.raises(TypeError, match="parameter 'wrong'"):
        Call("shop", "Get", {"wrong": value}).message()  # type: ignore[dict-item]  # what is tested


def test_a_number_beyond_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="range"):
        Call("shop", "Get", {"n": 2**63}).message()


def test_a_call_says_no_more_than_it_was_given() -> None:
    message = Call("shop", "Get").message()
    assert not message.HasField("payload")
    assert not message.HasField("timeout")
    full = Call(
        "shop",
        "Put",
        payload=Payload("text/plain", b"x"),
        accept=["text/plain", "application/json"],
        timeout=1.5,
        idempotency_key="k",
        metadata={"traceparent": "t"},
    ).message()
    assert full.payload.media_type == "text/plain"
    assert list(full.accept) == ["text/plain", "application/json"]
    assert full.timeout.ToMilliseconds() == 1500
    assert full.idempotency_key == "k"
    assert dict(full.metadata) == {"traceparent": "t"}


def test_json_is_compact_utf8_and_never_more_than_json() -> None:
    assert Payload.from_json({"ä": [1, 2]}).data == '{"ä":[1,2]}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        Payload.from_json(float("nan"))
    with pytest.raises(TypeError):
        Payload.from_json(object())


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        (Policy.all(), "all"),
        (Policy.quorum(2), "quorum"),
        (Policy.first_ok(), "first_ok"),
        (Policy.best_effort(), "best_effort"),
    ],
)
def test_each_policy_has_its_rule(policy: Policy, rule: str) -> None:
    assert policy.message().WhichOneof("rule") == rule
    assert policy.message().quorum.count == (2 if rule == "quorum" else 0)


def test_a_branch_says_what_it_takes_and_whether_it_must() -> None:
    source = ArgumentFrom("a", "/id", "customer")
    message = Branch("b", Call("x", "Y"), required=True, arguments_from=[source]).message()
    assert message.required
    assert message.arguments_from[0].pointer == "/id"


def test_an_outcome_is_a_result_or_an_error() -> None:
    good = outcome_pb2.Outcome(branch="a", payload=payload_pb2.Payload(data=b"1"))
    assert read_outcome(good).unwrap().json() == 1
    bad = read_outcome(outcome_pb2.Outcome(branch="b", status=status_pb2.Status(code=5)))
    assert not bad.is_ok
    with pytest.raises(NotFound):
        bad.unwrap()
    with pytest.raises(AssertionError):
        Outcome("", None, None, Effort()).unwrap()


def test_an_empty_reply_is_a_success_too() -> None:
    outcome = read_outcome(outcome_pb2.Outcome(branch="a", payload=payload_pb2.Payload()))
    assert outcome.is_ok
    assert outcome.unwrap() == CallResult("", b"", Effort())


def test_a_reply_is_read_as_json_or_text() -> None:
    result = read_payload(payload_pb2.Payload(media_type="text/plain", data="ä".encode()), Effort())
    assert result.text() == "ä"
    with pytest.raises(ValueError, match="Expecting value"):
        result.json()


def test_durations_keep_nanoseconds() -> None:
    assert duration(1.000000001).nanos == 1
