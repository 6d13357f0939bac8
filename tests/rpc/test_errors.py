"""P26: every reason is one code with its details, the same alone, in a stream and in a session."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from rpc_rig import GATEWAY, Rig, a_call, detail_of, info_of, serving, status_of, trailers_of

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Call, Reply
from interlaced.rpc.settings import RpcSettings
from interlaced.rpc.status import CODES


async def failed(awaitable: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable  # type: ignore[misc]  # a call of grpc.aio
    return caught.value


async def in_a_session(rig: Rig, reason: str) -> status_pb2.Status:
    item = pb.SessionItem(id=7, call=a_call("Fail", reason=reason))
    stream = rig.stub.Session()
    await stream.write(pb.SessionRequest(items=[item]))
    await stream.done_writing()
    replies = [reply async for message in stream for reply in message.replies]
    assert [reply.id for reply in replies] == [7]
    return replies[0].outcome.status


async def in_a_stream(rig: Rig, reason: str) -> status_pb2.Status:
    request = pb.StreamFanOutRequest(
        branches=[pb.Branch(name="b", call=a_call("Fail", reason=reason))]
    )
    request.policy.best_effort.SetInParent()
    frames = [frame async for frame in rig.stub.StreamFanOut(request)]
    assert frames[-1].WhichOneof("frame") == "ledger"
    return frames[0].outcome.status


async def test_every_reason_has_the_same_code_and_details_everywhere() -> None:
    """P26: unary, stream and session tell one and the same status."""
    async with serving() as rig:
        for reason in Reason:
            error = await failed(rig.call(a_call("Fail", reason=reason.value)))
            alone = status_of(error)
            assert error.code() is CODES[reason]
            assert alone.code == CODES[reason].value[0]
            assert error.details() == alone.message == "a fixed text"
            info = info_of(alone)
            assert (info.reason, info.domain) == (reason.value, "interlace")
            assert (info.metadata["connector"], info.metadata["operation"]) == ("up", "Fail")
            assert info.metadata["attempts"] == "1"
            assert await in_a_session(rig, reason.value) == alone
            assert await in_a_stream(rig, reason.value) == alone


async def test_no_exception_text_leaves() -> None:
    """P26: a bug is a fixed text outside, and everything in the log."""
    async with serving() as rig:
        error = await failed(rig.call(a_call("Bug")))
        assert error.code() is grpc.StatusCode.INTERNAL
        assert info_of(status_of(error)).reason == "INTERNAL_ERROR"
        assert "secret" not in repr(error.details()) + repr(error.trailing_metadata())
        assert "secret" not in error.debug_error_string()


async def test_a_cancellation_from_inside_is_an_error_and_not_a_hang() -> None:
    """grpc#29248: a handler that lets a CancelledError out leaves its caller waiting."""
    async with serving() as rig:
        error = await failed(rig.call(a_call("CancelInside"), timeout=5))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(status_of(error)).metadata["reached"] == "maybe"


async def test_special_codes_follow_the_context() -> None:
    async with serving() as rig:
        rig.upstream.failures["made"] = Failure(Reason.UPSTREAM_CONFLICT, "there", creates="true")
        error = await failed(rig.call(a_call("Fail", reason="made")))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        assert info_of(status_of(error)).reason == "UPSTREAM_CONFLICT"


async def test_pushback_and_retry_info_say_when_to_come_back() -> None:
    async with serving() as rig:
        busy = Failure(Reason.BREAKER_OPEN, "open", retry_after=2.5)
        spent = Failure(
            Reason.UPSTREAM_UNAVAILABLE,
            "away",
            disposition=Disposition.PERSISTENT,
            reached=Reached.MAYBE,
            retry_after=1.0,
        )

        async def spend(call: Call) -> Reply:
            call.effort.attempts = 3
            raise spent

        rig.dispatch.swap({("up", "Spent"): spend}, {})
        error = await failed(rig.call(a_call("Spent")))
        assert trailers_of(error)["grpc-retry-pushback-ms"] == "-1"
        retry = detail_of(status_of(error), error_details_pb2.RetryInfo)
        assert retry.retry_delay.seconds == 1

        async def open_breaker(_call: object) -> object:
            raise busy

        rig.dispatch.swap({("up", "Busy"): open_breaker}, {})  # type: ignore[dict-item]  # a fake
        error = await failed(rig.call(a_call("Busy")))
        assert trailers_of(error)["grpc-retry-pushback-ms"] == "2500"


@pytest.mark.parametrize(
    ("connector", "operation", "reason"),
    [("nobody", "Echo", "UNKNOWN_CONNECTOR"), ("up", "Nothing", "UNKNOWN_OPERATION")],
)
async def test_unknown_names_are_not_found(connector: str, operation: str, reason: str) -> None:
    async with serving() as rig:
        error = await failed(rig.call(a_call(operation, connector)))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert info_of(status_of(error)).reason == reason


async def test_an_unknown_method_is_told_in_our_words() -> None:
    async with serving() as rig:
        for method in (f"/{GATEWAY}/Nothing", "/nobody.Service/Call"):
            error = await failed(rig.channel.unary_unary(method)(b""))
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
            assert info_of(status_of(error)).reason == "UNKNOWN_METHOD"


async def test_what_is_not_protobuf_is_an_invalid_request() -> None:
    async with serving() as rig:
        error = await failed(rig.channel.unary_unary(f"/{GATEWAY}/Call")(b"\xff\xff\xff"))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert info_of(status_of(error)).reason == "INVALID_REQUEST"
        assert detail_of(status_of(error), error_details_pb2.BadRequest) is not None


async def test_fields_are_named_by_their_path() -> None:
    async with serving() as rig:
        call = a_call("Echo", a="1", b="2")
        call.parameters.add(name="a", string_value="again")
        error = await failed(rig.call(call))
        request = detail_of(status_of(error), error_details_pb2.BadRequest)
        assert [violation.field for violation in request.field_violations] == [
            "call.parameters[2].name"
        ]


@pytest.mark.parametrize("size", [4_100_000, 4_300_000, 7_000_000])
async def test_sizes_around_the_limit_say_limit_and_size(size: int) -> None:
    """P35: 4 MiB both ways, with our own text up to twice that."""
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    async with serving(channel_options=options) as rig:
        call = a_call("Echo")
        call.payload.media_type, call.payload.data = "application/octet-stream", bytes(size)
        if size < 4 * 1024 * 1024:
            assert len((await rig.call(call)).payload.data) == size
            return
        error = await failed(rig.call(call))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        info = info_of(status_of(error))
        assert info.reason == "TOO_LARGE"
        assert info.metadata["limit"] == "4194304"
        assert int(info.metadata["size"]) > size
        assert "4194304 bytes (4MiB)" in (error.details() or "")


async def test_64_mib_are_refused_before_they_are_read() -> None:
    """P35: far above the limit gRPC itself refuses, and names its limit."""
    async with serving(channel_options=[("grpc.max_send_message_length", -1)]) as rig:
        error = await failed(rig.channel.unary_unary(f"/{GATEWAY}/Call")(bytes(64 * 2**20)))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "8388608" in (error.details() or "")


async def test_a_reply_over_the_limit_says_so() -> None:
    """P35: the upstream's body is too large for the caller."""
    async with serving() as rig:
        error = await failed(rig.call(a_call("Body", size="5000000")))
        info = info_of(status_of(error))
        assert info.reason == "TOO_LARGE"
        assert info.metadata["limit"] == "4194304"
        assert (info.metadata["operation"], info.metadata["attempts"]) == ("Body", "1")
        assert info.metadata["reached"] == "replied"  # a write must not be taken for undone


async def test_metadata_over_the_limit_is_refused() -> None:
    """T25: a flood of metadata does not reach a handler."""
    async with serving() as rig:
        metadata = [(f"x-{number}", "v" * 500) for number in range(200)]
        error = await failed(rig.call(a_call("Echo"), metadata=metadata))
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert rig.upstream.calls == []


async def test_callers_without_a_key_are_refused() -> None:
    """T33: with authentication on, only probes of health need no proof."""

    def authenticate(metadata: object, _peer: object) -> str:
        assert isinstance(metadata, dict)
        if metadata.get("x-api-key") != "right":
            raise Failure(Reason.CALLER_UNAUTHENTICATED, "an API key is needed")
        return "somebody"

    async with serving(authenticate=authenticate) as rig:
        assert await rig.call(a_call("Echo"), metadata=[("x-api-key", "right")])
        for method in (f"/{GATEWAY}/Call", "/grpc.health.v1.Health/List", "/nobody.Service/Call"):
            error = await failed(rig.channel.unary_unary(method)(b""))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert info_of(status_of(error)).reason == "CALLER_UNAUTHENTICATED"


async def test_the_correlation_id_comes_back() -> None:
    async with serving() as rig:
        call = rig.stub.Call(
            pb.CallRequest(call=a_call("Echo")), metadata=[("x-request-id", "mine-1")]
        )
        await call
        assert ("x-request-id", "mine-1") in tuple(await call.trailing_metadata())
        call = rig.stub.Call(pb.CallRequest(call=a_call("Echo")))
        await call
        assert len(dict(tuple(await call.trailing_metadata()))["x-request-id"]) == 16


async def test_the_ledger_comes_when_it_is_asked_for() -> None:
    async with serving() as rig:
        call = rig.stub.Call(
            pb.CallRequest(call=a_call("Echo")), metadata=[("interlace-ledger", "1")]
        )
        assert not (await call).effort.ledger
        assert "interlace-ledger-bin" in dict(tuple(await call.trailing_metadata()))
        error = await failed(
            rig.call(a_call("Fail", reason="OVERLOADED"), metadata=[("interlace-ledger", "1")])
        )
        assert "interlace-ledger-bin" in trailers_of(error)


async def test_the_observer_hears_of_every_rpc() -> None:
    async with serving() as rig:
        await rig.call(a_call("Echo"))
        await failed(rig.call(a_call("Fail", reason="OVERLOADED")))
        await failed(rig.channel.unary_unary("/nobody.Service/Call")(b""))
        ended = [(method, code, reason) for method, code, reason, _ in rig.observer.ended]
        assert ended == [
            (f"{GATEWAY}/Call", "OK", ""),
            (f"{GATEWAY}/Call", "RESOURCE_EXHAUSTED", "OVERLOADED"),
            ("_OTHER", "UNIMPLEMENTED", "UNKNOWN_METHOD"),
        ]


async def test_new_rpcs_are_refused_while_draining_and_health_says_so() -> None:
    """R8: NOT_SERVING at once, new RPCs UNAVAILABLE with RetryInfo, in-flight ones finish."""
    async with serving(RpcSettings(drain_retry_after=3.0)) as rig:
        running = asyncio.ensure_future(rig.call(a_call("Sleep", seconds=0.3)))
        await rig.until_open()
        rig.server.begin_drain()
        error = await failed(rig.call(a_call("Echo")))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(status_of(error)).reason == "DRAINING"
        retry = detail_of(status_of(error), error_details_pb2.RetryInfo)
        assert retry.retry_delay.seconds == 3
        health = await rig.channel.unary_unary("/grpc.health.v1.Health/Check")(b"")
        assert health == b"\x08\x02"
        assert (await running).payload.data == b"slept"
