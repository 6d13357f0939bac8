"""Many calls over one stream."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from rpc_rig import Rig, a_call, detail_of, info_of, serving, status_of, until

from interlace.v1 import call_pb2
from interlace.v1 import gateway_service_pb2 as pb
from interlaced.rpc.settings import RpcSettings


def start(number: int, call: call_pb2.Call) -> pb.SessionItem:
    return pb.SessionItem(id=number, call=call)


def stop(number: int) -> pb.SessionItem:
    return pb.SessionItem(id=number, cancel=pb.SessionCancel())


class Client:
    """One session seen from the caller."""

    def __init__(self, rig: Rig) -> None:
        self.stream = rig.stub.Session()
        self.messages = 0

    async def send(self, *items: pb.SessionItem) -> None:
        await self.stream.write(pb.SessionRequest(items=items))

    async def limits(self) -> pb.SessionLimits:
        return (await self.stream.read()).limits

    async def replies(self, count: int) -> list[pb.SessionReply]:
        """Reads exactly so many replies."""
        found: list[pb.SessionReply] = []
        async with asyncio.timeout(20):
            while len(found) < count:
                message = await self.stream.read()
                assert message is not grpc.aio.EOF
                self.messages += 1
                found.extend(message.replies)
        return found


async def test_the_first_response_states_the_limits() -> None:
    async with serving() as rig:
        limits = await Client(rig).limits()
        assert (limits.in_flight, limits.message_bytes) == (256, 4 * 1024 * 1024)


async def test_a_thousand_calls_are_answered_in_far_fewer_messages() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        for start_at in range(0, 1000, 100):
            await client.send(*(start(start_at + n, a_call("Echo")) for n in range(100)))
        replies = await client.replies(1000)
        assert sorted(reply.id for reply in replies) == list(range(1000))
        assert all(reply.outcome.WhichOneof("result") == "payload" for reply in replies)
        assert client.messages < 500


async def test_slow_calls_do_not_block_fast_ones() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Sleep", seconds=0.5)), start(2, a_call("Echo")))
        assert [reply.id for reply in await client.replies(2)] == [2, 1]


async def test_a_cancelled_call_gets_its_outcome_and_the_upstream_is_free() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Sleep", seconds=30.0)), start(2, a_call("Echo")))
        await client.replies(1)
        await client.send(stop(1), stop(99))
        (reply,) = await client.replies(1)
        assert info_of(reply.outcome.status).reason == "CALLER_CANCELLED"
        assert rig.upstream.open == 0


async def test_a_call_cancelled_before_its_first_step_is_answered() -> None:
    """Both items in one message: the task never enters its body."""
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Echo")), stop(1))
        (reply,) = await client.replies(1)
        assert info_of(reply.outcome.status).reason == "CALLER_CANCELLED"


async def test_each_call_has_its_own_deadline() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        short = a_call("Sleep", seconds=30.0)
        short.timeout.FromMilliseconds(100)
        await client.send(start(1, short))
        (reply,) = await client.replies(1)
        assert reply.outcome.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


async def test_at_the_limit_nothing_more_is_begun() -> None:
    async with serving(RpcSettings(session_in_flight=8)) as rig:
        client = Client(rig)
        await client.limits()
        await client.send(*(start(n, a_call("Sleep", seconds=0.05)) for n in range(50)))
        replies = await client.replies(50)
        assert len(replies) == 50
        assert rig.upstream.most_open <= 8


async def test_a_caller_that_does_not_read_is_bounded_in_bytes_as_well() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        for number in range(60):
            await client.send(start(number, a_call("Body", size="2000000")))
        await until(lambda: len(rig.upstream.calls) > 8)
        await asyncio.sleep(0.2)
        assert len(rig.upstream.calls) < 20  # 16 MiB wait, and some are in the window
        assert len(await client.replies(60)) == 60


async def test_an_id_in_flight_cannot_be_used_again() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Sleep", seconds=0.3)), start(1, a_call("Echo")))
        refused, slept = await client.replies(2)
        assert info_of(refused.outcome.status).reason == "INVALID_REQUEST"
        request = detail_of(refused.outcome.status, error_details_pb2.BadRequest)
        assert request.field_violations[0].field == "id"
        assert slept.outcome.payload.data == b"slept"
        await client.send(start(1, a_call("Echo")))
        assert (await client.replies(1))[0].outcome.WhichOneof("result") == "payload"


async def test_a_wrong_item_fails_alone() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        bad = a_call("Echo")
        bad.timeout.seconds = -1
        await client.send(pb.SessionItem(id=1), start(2, bad), start(3, a_call("Echo", "nobody")))
        reasons = [info_of(reply.outcome.status).reason for reply in await client.replies(3)]
        assert sorted(reasons) == ["INVALID_REQUEST", "INVALID_REQUEST", "UNKNOWN_CONNECTOR"]
        await client.send(start(4, a_call("Echo")))
        assert (await client.replies(1))[0].outcome.WhichOneof("result") == "payload"


async def test_half_closing_lets_what_is_in_flight_finish() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(*(start(n, a_call("Sleep", seconds=0.2)) for n in range(20)))
        await client.stream.done_writing()
        assert len(await client.replies(20)) == 20
        assert await client.stream.read() is grpc.aio.EOF
        assert await client.stream.code() is grpc.StatusCode.OK


async def test_a_caller_that_leaves_ends_everything() -> None:
    """F26, L8: no upstream request and no task is left."""
    async with serving() as rig:
        before = len(asyncio.all_tasks())
        client = Client(rig)
        await client.limits()
        await client.send(*(start(n, a_call("Sleep", seconds=30.0)) for n in range(100)))
        await rig.until_open(100)
        client.stream.cancel()
        await rig.until_idle()
        assert len(rig.gateway.sessions) == 0
        await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) <= before + 1


async def test_an_oversized_reply_fails_its_call_alone() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Body", size="5000000")), start(2, a_call("Echo")))
        by_id = {reply.id: reply.outcome for reply in await client.replies(2)}
        info = info_of(by_id[1].status)
        assert (info.reason, info.metadata["reached"]) == ("TOO_LARGE", "replied")
        assert by_id[2].WhichOneof("result") == "payload"


async def test_batches_stay_below_the_message_limit() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(*(start(n, a_call("Body", size="1500000")) for n in range(12)))
        assert len(await client.replies(12)) == 12


async def test_a_drain_ends_a_session_with_its_calls_answered() -> None:
    async with serving() as rig:
        client = Client(rig)
        await client.limits()
        await client.send(start(1, a_call("Sleep", seconds=0.2)))
        await rig.until_open()
        rig.server.begin_drain()
        assert (await client.replies(1))[0].outcome.payload.data == b"slept"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.stream.read()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(status_of(caught.value)).reason == "DRAINING"


async def test_what_is_not_a_session_request_ends_the_stream() -> None:
    async with serving() as rig:
        raw: Any = rig.channel.stream_stream("/interlace.v1.GatewayService/Session")
        stream = raw()
        await stream.read()
        await stream.write(b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert info_of(status_of(caught.value)).reason == "INVALID_REQUEST"
