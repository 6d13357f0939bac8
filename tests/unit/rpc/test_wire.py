"""Answers as bytes are byte for byte what the messages would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.fanout import Outcome
from interlaced.core.model import Effort, Payload, Reply, ReplySource, Step
from interlaced.rpc import wire
from interlaced.rpc.mapping import effort_message, outcome_message, payload_message

payloads = st.builds(
    Payload, st.sampled_from(["", "application/json", "text/plain; charset=\u00fc"]), st.binary()
) | st.just(Payload("application/octet-stream", b"x" * 70_000))
efforts = st.builds(
    Effort,
    started=st.sampled_from([0.0, 100.0, 99.999999999]),
    attempts=st.integers(0, 300),
    source=st.sampled_from(list(ReplySource)),
    ledger=st.none() | st.just([]) | st.just([Step("attempt", 0.0, 0.25, "UPSTREAM_TIMEOUT")]),
)
ends = st.sampled_from([0.0, 0.1, 100.0, 100.25, 101.0, 5000.5])
failures = st.builds(
    Failure, st.sampled_from(list(Reason)), st.text(max_size=20), reached=st.sampled_from(Reached)
)
outcomes = st.builds(
    Outcome,
    st.sampled_from(["", "a", "\u00e4" * 60]),
    st.builds(Reply, payloads, st.just("200")) | failures,
    efforts,
    ends,
)


@given(payloads, efforts, ends)
def test_a_call_response(payload: Payload, effort: Effort, ended: float) -> None:
    message = pb.CallResponse(
        payload=payload_message(payload),
        effort=effort_message(effort, ended=ended, has_reply=True, with_ledger=False),
    )
    assert wire.call_response(payload, effort, ended) == message.SerializeToString()


@given(st.lists(outcomes, max_size=4))
def test_a_fan_out_response(given_outcomes: list[Outcome]) -> None:
    message = pb.FanOutResponse(outcomes=map(outcome_message, given_outcomes))
    assert wire.fan_out_response(given_outcomes) == message.SerializeToString()


@given(outcomes)
def test_an_outcome_that_is_streamed(outcome: Outcome) -> None:
    message = pb.StreamFanOutResponse(outcome=outcome_message(outcome))
    assert wire.fan_out_outcome(outcome) == message.SerializeToString()


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), outcomes), max_size=3))
def test_replies_of_a_session(numbered: list[tuple[int, Outcome]]) -> None:
    replies = [pb.SessionReply(id=number, outcome=outcome_message(one)) for number, one in numbered]
    encoded = [wire.reply(number, one) for number, one in numbered]
    assert encoded == [each.SerializeToString() for each in replies]
    assert wire.joined(encoded) == pb.SessionResponse(replies=replies).SerializeToString()


@given(
    st.integers(0, 2**64 - 1)
    | st.sampled_from([2**power - less for power in (7, 14, 21, 28, 35) for less in (0, 1)])
)
def test_a_number_of_any_length(number: int) -> None:
    written = pb.SessionReply(id=number or 1).SerializeToString()
    assert b"\x08" + wire.varint(number or 1) == written
    assert wire.varint(0) == b"\x00"


@given(payloads, st.floats(0, 1e6), st.integers(0, 3))
def test_a_call_response_after_any_time(payload: Payload, seconds: float, attempts: int) -> None:
    effort = Effort(100.0, attempts=attempts)
    message = pb.CallResponse(
        payload=payload_message(payload),
        effort=effort_message(effort, ended=100.0 + seconds, has_reply=True),
    )
    assert wire.call_response(payload, effort, 100.0 + seconds) == message.SerializeToString()
