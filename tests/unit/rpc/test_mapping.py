from __future__ import annotations

import contextlib
import dataclasses
import math

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from interlace.v1 import call_pb2, outcome_pb2
from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.branches import CompletionPolicy, Rule
from interlaced.core.failure import Failure, Reason
from interlaced.core.fanout import Decision, Outcome
from interlaced.core.model import Call, Effort, Payload, Reply, ReplySource, Step
from interlaced.rpc.mapping import (
    SOURCES,
    duration_message,
    effort_message,
    ledger_message,
    outcome_message,
    payload_message,
    read_branches,
    read_call,
    read_policy,
)


def a_message() -> call_pb2.Call:
    message = call_pb2.Call(connector="shop", operation="Get")
    message.parameters.add(name="id", string_value="42")
    message.parameters.add(name="count", int64_value=-(2**63))
    message.parameters.add(name="share", double_value=0.5)
    message.parameters.add(name="deep", bool_value=True)
    message.parameters.add(name="tags").list_value.values.extend(["a", "b"])
    message.payload.media_type, message.payload.data = "application/json", b"{}"
    message.accept.extend(["application/json", "*/*"])
    message.timeout.FromMilliseconds(1500)
    message.idempotency_key = "k-1"
    message.metadata["traceparent"] = "00-1"
    return message


def read(message: call_pb2.Call, deadline: float = 100.0) -> Call:
    return read_call(message, "call", deadline=deadline, now=10.0, wants_ledger=False)


def wrong_fields(message: call_pb2.Call) -> list[str]:
    with pytest.raises(Failure) as caught:
        read(message)
    assert caught.value.reason is Reason.INVALID_REQUEST
    return [violation.field for violation in caught.value.fields]


def test_a_call_keeps_everything() -> None:
    call = read(a_message())
    assert (call.connector, call.operation, call.deadline) == ("shop", "Get", 11.5)
    assert call.parameters == {
        "id": "42",
        "count": -(2**63),
        "share": 0.5,
        "deep": True,
        "tags": ("a", "b"),
    }
    assert call.parameters["deep"] is True
    assert call.payload == Payload("application/json", b"{}")
    assert call.accept == ("application/json", "*/*")
    assert (call.idempotency_key, call.metadata) == ("k-1", {"traceparent": "00-1"})
    assert (call.effort.started, call.effort.ledger) == (10.0, None)


def test_the_least_deadline_wins() -> None:
    assert read(a_message(), deadline=10.5).deadline == 10.5
    endless = a_message()
    endless.ClearField("timeout")
    assert read(endless, deadline=77.0).deadline == 77.0


def test_no_payload_and_an_empty_one_are_both_none() -> None:
    message = call_pb2.Call(connector="a", operation="b")
    assert read(message).payload is None
    message.payload.SetInParent()
    assert read(message).payload is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    message = a_message()
    message.parameters[2].double_value = value
    assert wrong_fields(message) == ["call.parameters[2].double_value"]


def test_every_wrong_field_is_named_by_its_path() -> None:
    message = call_pb2.Call(idempotency_key="k\n")
    message.parameters.add(name="a", string_value="")
    message.parameters.add(name="a", string_value="")
    message.parameters.add(string_value="")
    message.parameters.add(name="empty")
    message.payload.data = b"x"
    message.accept.append("text/plain\r\nx-evil: 1")
    message.timeout.seconds = -1
    assert wrong_fields(message) == [
        "call.connector",
        "call.operation",
        "call.idempotency_key",
        "call.parameters[1].name",
        "call.parameters[2].name",
        "call.parameters[3].value",
        "call.payload.media_type",
        "call.accept[0]",
        "call.timeout",
    ]


@pytest.mark.parametrize("key", ["x" * 256, "ü", "a\x00b", "a\r\nb"])
def test_an_idempotency_key_is_printable_ascii_of_255_at_most(key: str) -> None:
    message = a_message()
    message.idempotency_key = key
    assert wrong_fields(message) == ["call.idempotency_key"]


@pytest.mark.parametrize(
    "timeout",
    [
        Duration(),
        Duration(seconds=-5),
        Duration(nanos=-1),
        Duration(seconds=1, nanos=-1),
        Duration(seconds=-1, nanos=1),
        Duration(seconds=1, nanos=1_000_000_000),
        Duration(seconds=2**62),
        Duration(seconds=-(2**62)),
    ],
)
def test_absurd_timeouts_are_refused(timeout: Duration) -> None:
    message = a_message()
    message.timeout.CopyFrom(timeout)
    assert wrong_fields(message) == ["call.timeout"]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise_anything_but_a_failure(data: bytes) -> None:
    message = call_pb2.Call()
    with contextlib.suppress(DecodeError):
        message.MergeFromString(data)
    try:
        call = read(message)
    except Failure as failure:
        assert failure.reason is Reason.INVALID_REQUEST
        assert failure.fields
    else:
        assert (call.connector, call.operation) == (message.connector, message.operation)


def test_branches_name_their_fields_and_their_arguments() -> None:
    good = pb.Branch(name="a", call=a_message(), required=True)
    good.arguments_from.add(branch="b", pointer="/x/0", parameter="of")
    (branch,) = read_branches([good], now=10.0, most=2, wants_ledger=True)
    assert (branch.name, branch.is_required, branch.timeout) == ("a", True, 1.5)
    assert branch.arguments_from[0].path.steps == ("x", "0")
    assert branch.call.effort.ledger == []
    bad = pb.Branch(name="n" * 65, call=call_pb2.Call(connector="a"))
    bad.arguments_from.add(branch="b", pointer="no-slash")
    with pytest.raises(Failure) as caught:
        read_branches([good, bad], now=0.0, most=2, wants_ledger=False)
    assert [violation.field for violation in caught.value.fields] == [
        "branches[1].name",
        "branches[1].call.operation",
        "branches[1].arguments_from[0].parameter",
        "branches[1].arguments_from[0].pointer",
    ]


@pytest.mark.parametrize("count", [0, 3])
def test_there_is_at_least_one_branch_and_not_too_many(count: int) -> None:
    with pytest.raises(Failure) as caught:
        read_branches([pb.Branch()] * count, now=0.0, most=2, wants_ledger=False)
    assert caught.value.fields[0].field == "branches"


def test_every_rule_is_read() -> None:
    assert read_policy(pb.CompletionPolicy()) == CompletionPolicy(Rule.ALL)
    rules = pb.CompletionPolicy.DESCRIPTOR.oneofs_by_name["rule"].fields
    assert {field.name for field in rules} == {rule.value for rule in Rule}
    for rule in Rule:
        message = pb.CompletionPolicy()
        getattr(message, rule.value).SetInParent()
        assert read_policy(message).rule is rule
    assert read_policy(pb.CompletionPolicy(quorum=pb.QuorumRule(count=3))).count == 3


def test_every_source_has_its_value() -> None:
    values = set(outcome_pb2.ReplySource.values()) - {0}
    assert set(SOURCES) == set(ReplySource)
    assert set(SOURCES.values()) == values


@given(st.floats(0, 1e6))
def test_durations_keep_nanoseconds(seconds: float) -> None:
    message = duration_message(seconds)
    assert 0 <= message.nanos <= 999_999_999
    assert message.seconds + message.nanos / 1e9 == pytest.approx(seconds, abs=2e-9)


def test_negative_time_is_zero() -> None:
    assert duration_message(-1.0) == Duration()


def test_effort_tells_its_steps_when_there_are_any() -> None:
    step = Step("attempt", 0.5, 0.25, "UPSTREAM_FAILED", "500", "closed", 12)
    effort = Effort(10.0, attempts=2, source=ReplySource.CACHE, ledger=[step])
    message = effort_message(effort, ended=11.5, has_reply=True)
    assert (message.attempts, message.source) == (2, outcome_pb2.REPLY_SOURCE_CACHE)
    assert message.latency.ToMilliseconds() == 1500
    record = message.ledger[0]
    assert (record.step, record.reason, record.upstream_status) == (
        "attempt",
        "UPSTREAM_FAILED",
        "500",
    )
    assert (record.breaker, record.bytes_received) == ("closed", 12)
    assert record.start.ToMilliseconds() == 500
    bare = effort_message(effort, ended=11.5, has_reply=False, with_ledger=False)
    assert (bare.source, len(bare.ledger)) == (0, 0)


def test_outcomes_have_a_payload_or_a_status() -> None:
    reply = Outcome("a", Reply(Payload("text/plain", b"x")), Effort(1.0), 2.0)
    assert outcome_message(reply).payload == payload_message(Payload("text/plain", b"x"))
    failed = Outcome("b", Failure(Reason.OVERLOADED, "busy"), Effort(1.0), 2.0)
    assert outcome_message(failed).status.code == 8
    assert outcome_message(failed).WhichOneof("result") == "status"


def test_a_cut_ledger_counts_what_it_leaves_out() -> None:
    failure = Failure(Reason.UPSTREAM_CREDENTIALS_REJECTED, "no")
    outcomes = [Outcome(f"{n:064}", failure, Effort(0.0), 1.0) for n in range(256)]
    cut = ledger_message(outcomes, Decision.NOT_MET, is_cut=True)
    assert cut.ByteSize() <= 4096
    assert cut.entries_omitted == 256 - len(cut.entries) > 0
    whole = ledger_message(outcomes, Decision.MET)
    assert (len(whole.entries), whole.policy_met, whole.entries_omitted) == (256, True, 0)
    few = ledger_message(outcomes[:3], Decision.NOT_MET, is_cut=True)
    assert (len(few.entries), few.entries_omitted) == (3, 0)


def test_a_call_that_says_nothing_more_is_as_its_constructor_would_have_made_it() -> None:
    """It is made field by field; one that is added to it later must not be forgotten here."""
    read = read_call(
        call_pb2.Call(connector="shop", operation="Get"),
        "call",
        deadline=9.0,
        now=10.0,
        wants_ledger=False,
    )
    made = Call(deadline=9.0, effort=Effort(10.0), connector="shop", operation="Get")
    assert [getattr(read, each.name) for each in dataclasses.fields(Call)] == [
        getattr(made, each.name) for each in dataclasses.fields(Call)
    ]
