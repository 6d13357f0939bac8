"""What is asked, the same bytes of both sides, and how a right answer is told."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.load.bodies import MEDIA_TYPES, body
from benchmarks.load.http2 import framed
from benchmarks.load.unary import Request
from benchmarks.service.rig import Served
from interlace.v1 import call_pb2
from interlace.v1 import gateway_service_pb2 as pb
from interlace.v1.payload_pb2 import Payload

__all__ = ["CALL", "FAN_OUT", "UnequalAnswersError", "assert_equal", "call", "fan_out", "one_call"]

CALL = b"/interlace.v1.GatewayService/Call"
FAN_OUT = b"/interlace.v1.GatewayService/FanOut"
SMALL = 500


class UnequalAnswersError(RuntimeError):
    """The two sides do not answer the same; their cost cannot be compared."""


def one_call(
    operation: str = "Get", *, accept: Sequence[str] = (), payload: Payload | None = None
) -> call_pb2.Call:
    """Return a Call of the connector `api`."""
    return call_pb2.Call(connector="api", operation=operation, accept=accept, payload=payload)


def call(
    operation: str = "Get",
    *,
    expected: bytes | None = None,
    accept: Sequence[str] = (),
    payload: Payload | None = None,
) -> Request:
    """Return a unary call; right is an answer that holds `expected`, by default the small body."""
    answer = body("json", SMALL) if expected is None else expected
    request = pb.CallRequest(call=one_call(operation, accept=accept, payload=payload))
    return Request(CALL, request.SerializeToString(), lambda message: answer in message)


def fan_out(operations: Sequence[str]) -> Request:
    """Return a fan-out with a branch for each operation, that must all succeed."""
    answer, width = body("json", SMALL), len(operations)
    branches = [
        pb.Branch(name=f"b{number}", call=one_call(operation))
        for number, operation in enumerate(operations)
    ]
    request = pb.FanOutRequest(branches=branches)
    return Request(
        FAN_OUT, request.SerializeToString(), lambda message: message.count(answer) == width
    )


class _One:
    """Collects the answer of one RPC."""

    def __init__(self) -> None:
        self.message = b""
        self.error = "nothing came"
        import asyncio

        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(self, message: bytes) -> None:
        """Keep the answer."""
        self.message = message

    def on_end(self, error: str) -> None:
        """Keep how it ended."""
        self.error = error
        if not self.ended.done():
            self.ended.set_result(None)


async def answer_of(served: Served, request: Request) -> bytes:
    """Return a server's answer to one request. Raise UnequalAnswersError for an error."""
    [connection] = await served.connect(1)
    one = _One()
    stream = connection.open(request.path, one)
    connection.send_data(stream, framed(request.message), is_last=True)
    await one.ended
    connection.close()
    if one.error:
        raise UnequalAnswersError(f"{served.side}: {one.error}: {served.child.told()}")
    return one.message


async def assert_equal(request: Request, *sides: Served) -> None:
    """Raise UnequalAnswersError unless all sides answer with the same payloads, and the right ones.

    What differs by right is left out: Interlace tells its effort beside every answer.
    """
    answers = [_payloads(request, await answer_of(served, request)) for served in sides]
    if any(answer != answers[0] for answer in answers):
        raise UnequalAnswersError(f"{request.path.decode()}: the sides answer differently")


def _payloads(request: Request, answer: bytes) -> list[tuple[str, str, bytes]]:
    if not request.is_right(answer):
        raise UnequalAnswersError(f"{request.path.decode()}: not the expected answer")
    if request.path == CALL:
        payload = pb.CallResponse.FromString(answer).payload
        return [("", payload.media_type, payload.data)]
    outcomes = pb.FanOutResponse.FromString(answer).outcomes
    return [(one.branch, one.payload.media_type, one.payload.data) for one in outcomes]


def media_type(kind: str) -> str:
    """Return the media type of a kind of body."""
    return MEDIA_TYPES[kind]
