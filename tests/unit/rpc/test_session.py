"""The session alone; tests/rpc/test_session.py proves it over the wire."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from rpc_bench import a_guard, a_scope

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.clock import LoopClock
from interlaced.core.dispatch import Dispatch
from interlaced.core.model import Call, Payload, Reply
from interlaced.rpc.session import Sessions
from interlaced.rpc.wire import joined


async def answer(call: Call) -> Reply:
    return Reply(Payload("text/plain", str(call.parameters["n"]).encode()))


def a_request(*numbers: int) -> bytes:
    request = pb.SessionRequest()
    for number in numbers:
        item = request.items.add(id=number)
        item.call.connector, item.call.operation = "up", "Get"
        item.call.parameters.add(name="n", int64_value=number)
    return request.SerializeToString()


async def test_every_call_is_answered_once_and_limits_come_first() -> None:
    dispatch = Dispatch()
    dispatch.swap({("up", "Get"): answer}, {})
    sessions = Sessions(a_guard(), dispatch, LoopClock())
    scope, context = a_scope(pb.SessionRequest, [a_request(1, 2), a_request(), a_request(3)])
    await sessions.serve(scope)
    first, *others = [pb.SessionResponse.FromString(data) for data in context.written]
    assert first.limits.in_flight == 256
    replies = [reply for response in others for reply in response.replies]
    assert {reply.id: reply.outcome.payload.data for reply in replies} == {
        1: b"1",
        2: b"2",
        3: b"3",
    }
    assert len(replies) == 3
    assert len(sessions) == 0


async def test_a_message_full_of_cancels_of_nothing_leaves_others_their_turn() -> None:
    request = pb.SessionRequest(
        items=[pb.SessionItem(id=number, cancel=pb.SessionCancel()) for number in range(25_600)]
    )
    sessions = Sessions(a_guard(), Dispatch(), LoopClock())
    scope, context = a_scope(pb.SessionRequest, [request.SerializeToString()])
    serving = asyncio.ensure_future(sessions.serve(scope))
    turns = 0
    while not serving.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 100
    assert len(context.written) == 1


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_joined_replies_are_what_the_serializer_writes(payloads: list[bytes]) -> None:
    replies = [
        pb.SessionReply(id=number, outcome={"payload": {"media_type": "x", "data": data}})
        for number, data in enumerate(payloads)
    ]
    whole = pb.SessionResponse(replies=replies).SerializeToString()
    assert joined([reply.SerializeToString() for reply in replies]) == whole
