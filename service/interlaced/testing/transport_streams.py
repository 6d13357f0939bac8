"""The clauses of the transport suite about answers that are read while they come."""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING, ClassVar

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.testing.transport_origin import CLOSE, HOLD, LATER, RESET, TransportRig, answer
from interlaced.transport.http import HttpRequest, HttpStream, HttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["StreamClauses"]

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_MEGABYTE = 1024 * 1024


class StreamClauses(TransportRig):
    """What a transport does for who reads a body piece by piece."""

    far_ahead: ClassVar[int] = 32 * _MEGABYTE
    """So much may lie between the two ends of a connection that nobody reads from, in bytes: most
    of it in the kernel's buffers."""

    @asynccontextmanager
    async def streamed(
        self, transport: HttpTransport, method: str = "GET", *, effort: Effort | None = None
    ) -> AsyncIterator[HttpStream]:
        """Sends one request, and yields its answer."""
        prepared = transport.prepare(method, [])
        request = HttpRequest(prepared, "/", [], None, effort or Effort(0.0))
        async with transport.stream(request) as stream:
            yield stream

    async def test_a_streamed_body_comes_while_it_is_sent(self) -> None:
        """The first piece is there although the rest never comes; head and status before it."""
        text = _OK + b"X-Two: b\r\nX-Two: c\r\nContent-Length: 9\r\n\r\nabc" + HOLD
        for way in (text, _CHUNKED + b"3\r\nabc\r\n" + HOLD, _OK + b"\r\nabc" + HOLD):
            async with self.wire(way) as (origin, transport):
                effort = Effort(0.0)
                async with self.streamed(transport, effort=effort) as stream:
                    assert stream.status == 200
                    assert (stream.headers.get("x-two") == "b, c") is (way == text)
                    assert await anext(aiter(stream)) == b"abc"
                    assert effort.reached is Reached.MAYBE
                await origin.left.wait()  # whoever leaves early takes the connection along
                assert (await self.ask(transport)).body == b"{}"
                assert origin.connections == 2

    async def test_a_streamed_body_is_that_of_the_whole_answer(self) -> None:
        """However it is framed, coded and cut; and its connection is used again."""
        body = Random(7).randbytes(100_000) + b"x" * 100_000  # noqa: S311  # no secret
        packed = gzip.compress(body)
        chunks = b"".join(
            b"%x\r\n%b\r\n" % (len(part), part)
            for part in (body[at : at + 7001] for at in range(0, len(body), 7001))
        )
        ways = (
            answer(body),
            answer(packed, "Content-Encoding: gzip"),
            answer(packed[:5000] + LATER + packed[5000:], "Content-Encoding: gzip").replace(
                b"Content-Length: %d" % (len(packed) + len(LATER)),
                b"Content-Length: %d" % len(packed),
            ),
            _CHUNKED + chunks + b"0\r\n\r\n",
            answer(b""),
        )
        for way in ways:
            async with self.wire(way) as (origin, transport):
                effort = Effort(0.0)
                async with self.streamed(transport, effort=effort) as stream:
                    pieces = [piece async for piece in stream]
                assert b"".join(pieces) == (b"" if way is ways[-1] else body)
                assert all(pieces)
                assert "content-encoding" not in stream.headers
                assert effort.reached is Reached.REPLIED
                await self.ask(transport)
                assert origin.connections == 1
        open_ended = _OK + b"\r\n" + body + CLOSE
        async with self.wire(open_ended) as (_, transport), self.streamed(transport) as stream:
            assert b"".join([piece async for piece in stream]) == body

    async def test_what_nobody_reads_is_not_taken(self) -> None:
        """A reader that is slow slows its upstream, and fills no memory; at last it has it all,
        and who uses the connection next is not slowed."""
        sent, size = 0, 96

        def pour() -> Iterator[bytes]:
            nonlocal sent
            yield _OK + b"Content-Length: %d\r\n\r\n" % (size * _MEGABYTE)
            for number in range(size):
                sent += _MEGABYTE
                yield bytes([number]) * _MEGABYTE

        async with self.wire(max_body=size * _MEGABYTE) as (origin, transport):
            origin.choose = lambda _: pour()
            async with self.streamed(transport) as stream:
                seen = -1
                while seen != sent:  # until it stands still
                    seen = sent
                    await asyncio.sleep(0.1)
                assert 0 < sent < self.far_ahead, "it was taken although nobody read it"
                taken = 0
                async for piece in stream:
                    assert piece[0] == taken // _MEGABYTE
                    taken += len(piece)
            assert taken == size * _MEGABYTE
            origin.choose = None
            assert (await self.ask(transport)).body == b"{}"
            assert origin.connections == 1

    async def test_a_streamed_body_over_its_limit_is_refused(self) -> None:
        """F14, T5: also when no part of it is over; and so is a bomb."""
        chunks = b"190\r\n" + b"x" * 400 + b"\r\n"
        many = _CHUNKED + chunks * 2 + LATER + chunks + HOLD
        declared = _OK + b"Content-Length: 1000000000\r\n\r\n" + HOLD
        bomb = answer(gzip.compress(bytes(8 * _MEGABYTE)), "Content-Encoding: gzip")
        for text, limit in ((many, 1000), (declared, 1000), (bomb, 16 * _MEGABYTE)):
            async with self.wire(text, max_body=limit) as (origin, transport):
                taken, failure = await self._read(transport)
                assert failure is not None
                assert failure.reason is Reason.TOO_LARGE
                assert taken <= limit
                await self.ask(transport)
                assert origin.connections == 2

    async def test_a_streamed_body_that_is_cut_says_so(self) -> None:
        """F5: the failure comes, again and again, and the connection is not reused."""
        for text in (
            _OK + b"Content-Length: 10\r\n\r\nabc" + CLOSE,
            _CHUNKED + b"3\r\nabc\r\n" + CLOSE,
            _CHUNKED + b"3\r\nabc\r\n" + LATER + b"zz\r\n" + HOLD,
        ):
            async with self.wire(text) as (origin, transport):
                effort = Effort(0.0)
                async with self.streamed(transport, effort=effort) as stream:
                    pieces = aiter(stream)
                    with suppress(Failure):  # it may overtake what came just before it
                        assert await anext(pieces) == b"abc"
                    for _ in range(2):
                        failure = await _failure_of(pieces)
                        assert failure.reason in {
                            Reason.UPSTREAM_TRUNCATED,
                            Reason.UPSTREAM_MALFORMED,
                        }
                        assert failure.reached is effort.reached is Reached.MAYBE
                await self.ask(transport)
                assert origin.connections == 2

    async def test_a_stream_without_an_answer_is_not_entered(self) -> None:
        """F4: the failure comes before the body of the block does."""
        async with self.wire(RESET) as (origin, transport):
            taken, failure = await self._read(transport)
            assert failure is not None
            assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
            assert taken == -1
            await self.ask(transport)
            assert origin.connections == 2

    async def test_a_cancel_closes_a_stream(self) -> None:
        """F26, P19: before its head, and while its body is awaited; nothing leaks."""
        for text in (b"HTTP/1.1 200 OK\r\n" + HOLD, _CHUNKED + b"3\r\nabc\r\n" + HOLD):
            async with self.wire(text) as (origin, transport):
                before = asyncio.all_tasks()
                task = asyncio.create_task(self._read(transport))
                await origin.arrived.wait()
                await asyncio.sleep(0.05)
                task.cancel()
                await asyncio.wait({task})
                assert task.cancelled()
                await origin.left.wait()
                assert (await self.ask(transport)).body == b"{}"
                left = asyncio.all_tasks() - before
                assert len(left) <= origin.open, "a task is left alive"

    async def _read(self, transport: HttpTransport) -> tuple[int, Failure | None]:
        """Reads a stream to its end. Returns how many bytes came, or -1 if it was not entered, and
        what went wrong."""
        taken = -1
        try:
            async with self.streamed(transport) as stream:
                taken = 0
                async for piece in stream:
                    taken += len(piece)
        except Failure as failure:
            return taken, failure
        return taken, None


async def _failure_of(pieces: AsyncIterator[bytes]) -> Failure:
    try:
        piece = await anext(pieces, b"")
    except Failure as failure:
        return failure
    raise AssertionError(f"{len(piece)} bytes came instead of a Failure")
