"""Session load: one stream that keeps so many calls in flight."""

from __future__ import annotations

import time

from benchmarks.load.drained import DrainedLoad
from benchmarks.load.http2 import Connection, Stream
from interlace.v1 import gateway_service_pb2 as pb

__all__ = ["PATH", "SessionLoad", "item"]

PATH = b"/interlace.v1.GatewayService/Session"


def item(number: int, call: bytes) -> bytes:
    """Return the bytes of a SessionRequest that holds one encoded Call, under `number`.

    Concatenated they are one request with many items: a repeated field is nothing else.
    """
    inner = b"\x08" + _varint(number) + b"\x12" + _varint(len(call)) + call
    return b"\x0a" + _varint(len(inner)) + inner


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class SessionLoad(DrainedLoad):
    """Keeps `in_flight` calls under way on one stream.

    All replies of one message are followed by as many calls: in one message where `is_batched`,
    else in one each. The stream stays open from the first start to `close`.
    """

    def __init__(
        self,
        connection: Connection,
        call: bytes,
        answer: bytes,
        *,
        in_flight: int,
        is_batched: bool = True,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._call = call
        self._answer = answer
        self._in_flight = in_flight
        self._is_batched = is_batched
        self._stream: Stream | None = None
        self._since: dict[int, float] = {}
        self._next = 1

    async def start(self) -> None:
        """Open the stream unless it is open, and fill it."""
        if self._stream is None or not self._stream.is_open:
            self._stream = self._connection.open(PATH, self)
        self._is_on = True
        self._send(self._in_flight)

    def close(self) -> None:
        """End the stream."""
        if self._stream:
            self._stream.cancel()

    def on_message(self, message: bytes) -> None:
        """Check every reply and follow it by a call."""
        response = pb.SessionResponse.FromString(message)
        for reply in response.replies:
            self._take(reply)
        if self._is_on and response.replies and self._tally.errors <= self._in_flight:
            self._send(len(response.replies))

    def on_end(self, error: str) -> None:
        """A session ends only when we end it."""
        self._tally.fail(f"the session ended: {error or 'OK'}")
        self._is_on = False
        for _ in range(len(self._since)):
            self._drained.end()
        self._since.clear()

    def _take(self, reply: pb.SessionReply) -> None:
        since = self._since.pop(reply.id, None)
        if since is None:
            self._tally.fail("a reply to no call")
            return
        if reply.outcome.payload.data == self._answer:
            self._tally.done += 1
            self._tally.land(since)
        else:
            self._tally.fail(f"not the expected reply: {reply.outcome.status.message}")
        self._drained.end()

    def _send(self, count: int) -> None:
        if self._stream is None:
            return
        now = time.perf_counter()
        items = []
        for number in range(self._next, self._next + count):
            self._since[number] = now
            self._drained.begin()
            items.append(item(number, self._call))
        self._next += count
        for message in [b"".join(items)] if self._is_batched else items:
            self._stream.send(message)
