"""The servicer alone; tests/rpc/test_fan_out.py and test_errors.py prove it over the wire."""

from __future__ import annotations

import pytest
from rpc_bench import a_guard, a_scope

from interlace.v1 import gateway_service_pb2 as pb
from interlace.v1 import outcome_pb2
from interlaced.core.clock import LoopClock
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Call, Payload, Reply, Step
from interlaced.rpc.gateway import Gateway
from interlaced.rpc.guard import StatusFailure


async def answer(call: Call) -> Reply:
    call.effort.attempts = 2
    call.effort.note(Step("attempt", 0.0, 0.1))
    if call.operation == "Fail":
        raise Failure(Reason.UPSTREAM_FAILED, "broken")
    return Reply(Payload("text/plain", b"hello"))


def a_gateway() -> Gateway:
    dispatch = Dispatch()
    dispatch.swap({("up", "Get"): answer, ("up", "Fail"): answer}, {})
    return Gateway(guard=a_guard(), dispatch=dispatch, clock=LoopClock())


def a_leg(operation: str) -> pb.Branch:
    return pb.Branch(name=operation, call={"connector": "up", "operation": operation})


async def test_a_call_answers_payload_and_effort() -> None:
    scope, _ = a_scope()
    data = await a_gateway().call(pb.CallRequest(call=a_leg("Get").call), scope)
    response = pb.CallResponse.FromString(data)
    assert response.payload.data == b"hello"
    assert (response.effort.attempts, response.effort.source) == (
        2,
        outcome_pb2.REPLY_SOURCE_UPSTREAM,
    )


async def test_the_ledger_of_a_call_travels_in_the_trailers() -> None:
    scope, _ = a_scope(metadata=[("interlace-ledger", "1")])
    with pytest.raises(Failure):
        await a_gateway().call(pb.CallRequest(call=a_leg("Fail").call), scope)
    effort = outcome_pb2.Effort.FromString(bytes(dict(scope.trailers)["interlace-ledger-bin"]))  # type: ignore[arg-type]  # a -bin entry
    assert [record.step for record in effort.ledger] == ["attempt"]


async def test_the_ledger_of_a_fan_out_travels_in_its_outcomes() -> None:
    scope, _ = a_scope(metadata=[("interlace-ledger", "1")])
    data = await a_gateway().fan_out(pb.FanOutRequest(branches=[a_leg("Get")]), scope)
    (outcome,) = pb.FanOutResponse.FromString(data).outcomes
    assert [record.step for record in outcome.effort.ledger] == ["attempt"]


async def test_a_policy_that_is_not_met_carries_its_ledger() -> None:
    scope, _ = a_scope()
    with pytest.raises(StatusFailure) as caught:
        await a_gateway().fan_out(pb.FanOutRequest(branches=[a_leg("Get"), a_leg("Fail")]), scope)
    assert caught.value.reason is Reason.POLICY_NOT_MET
    assert (caught.value.reached, caught.value.context["attempts"]) == (Reached.MAYBE, "4")
    (ledger,) = caught.value.details
    assert isinstance(ledger, pb.FanOutLedger)
    assert [entry.reason for entry in ledger.entries] == ["", "UPSTREAM_FAILED"]


async def test_a_policy_that_is_not_met_with_nothing_sent_says_so() -> None:
    scope, _ = a_scope()
    request = pb.FanOutRequest(branches=[a_leg("Nothing"), a_leg("Nowhere")])
    with pytest.raises(StatusFailure) as caught:
        await a_gateway().fan_out(request, scope)
    assert (caught.value.reached, caught.value.context["attempts"]) == (Reached.NOT_SENT, "0")


async def test_a_streams_last_frame_is_the_ledger() -> None:
    scope, context = a_scope()
    request = pb.StreamFanOutRequest(branches=[a_leg("Get")])
    await a_gateway().stream_fan_out(request, scope)
    frames = [pb.StreamFanOutResponse.FromString(data) for data in context.written]
    assert [frame.WhichOneof("frame") for frame in frames] == ["outcome", "ledger"]


async def test_a_wrong_timeout_is_named() -> None:
    scope, _ = a_scope()
    request = pb.FanOutRequest(branches=[a_leg("Get")], timeout={"seconds": -1})
    with pytest.raises(Failure) as caught:
        await a_gateway().fan_out(request, scope)
    assert caught.value.fields[0].field == "timeout"
