from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from fake_context import FakeContext

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.failure import Failure, Reason
from interlaced.rpc.scope import Scope, check_size, parse


def a_scope(context: FakeContext, limit: int = 100) -> Scope[pb.CallRequest]:
    return Scope(context, 10.0, limit)


async def test_metadata_keeps_texts_and_the_callers_id_if_it_is_fit() -> None:
    scope = a_scope(FakeContext([("x-request-id", "abc"), ("a-bin", b"\x00"), ("k", "v")]))
    assert scope.metadata == {"x-request-id": "abc", "k": "v"}
    assert scope.correlation_id == "abc"
    for unfit in ("", "a\nb", "x" * 129, "ü"):
        scope = a_scope(FakeContext([("x-request-id", unfit)]))
        assert len(scope.correlation_id) == 16


async def test_the_ledger_is_asked_for_with_one() -> None:
    assert a_scope(FakeContext([("interlace-ledger", "1")])).wants_ledger
    assert not a_scope(FakeContext([("interlace-ledger", "0")])).wants_ledger


async def test_a_write_over_the_limit_is_refused_before_it_leaves() -> None:
    context = FakeContext()
    scope = a_scope(context, limit=3)
    await scope.write(b"abc")
    with pytest.raises(Failure) as caught:
        await scope.write(b"abcd")
    assert caught.value.reason is Reason.TOO_LARGE
    assert context.written == [b"abc"]


async def test_a_write_to_a_caller_that_left_is_a_cancellation() -> None:
    context = FakeContext()
    context.has_left = True
    scope = a_scope(context)
    with pytest.raises(asyncio.CancelledError):
        await scope.write(b"abc")
    assert scope.has_been_cancelled()


async def test_a_head_that_fails_behind_a_cancellation_complains_to_nobody() -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: heard.append(told))
    context = FakeContext()
    writing = asyncio.ensure_future(a_scope(context).write(b"abc"))
    await asyncio.sleep(0)
    context.has_left = True
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    del writing
    await asyncio.sleep(0)  # the loop still held what it ran in this turn
    gc.collect()
    assert heard == []
    assert context.written == []


async def test_requests_are_read_until_the_half_close() -> None:
    request = pb.CallRequest(call={"connector": "shop"})
    scope = a_scope(FakeContext(requests=[request.SerializeToString()]))
    scope.request_class = pb.CallRequest
    assert await scope.read() == request
    assert await scope.read() is None


async def test_an_end_from_our_side_is_not_a_caller_that_left() -> None:
    ended: list[bool] = []

    async def rpc() -> None:
        scope = a_scope(FakeContext())
        scope.end()
        scope.end()
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            ended.extend([scope.is_ended, scope.has_been_cancelled()])

    await asyncio.create_task(rpc())
    assert ended == [True, False]


def test_sizes_and_bytes_are_checked() -> None:
    check_size(4, 4, "the request")
    with pytest.raises(Failure) as caught:
        check_size(5, 4, "the request")
    assert (caught.value.context["size"], caught.value.context["limit"]) == ("5", "4")
    with pytest.raises(Failure) as caught:
        parse(pb.CallRequest, b"\xff", 10)
    assert caught.value.reason is Reason.INVALID_REQUEST
