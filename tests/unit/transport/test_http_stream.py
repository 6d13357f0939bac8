"""A stream of the lean transport hands on what comes, and holds back what is too much."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effort
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.http_stream import LeanStream
from interlaced.transport.http_wire import Wire

KILOBYTE = 1024


class Tap(Wire):
    """A wire that no bytes come over, and that notes how it is held."""

    def __init__(self) -> None:
        super().__init__(
            asyncio.get_running_loop(), 2**24, on_lost=lambda _: None, on_free=lambda _: None
        )
        self.told: list[str] = []

    def hold(self) -> None:
        self.told.append("hold")

    def go_on(self) -> None:
        self.told.append("go on")


def make() -> tuple[Tap, LeanStream]:
    wire = Tap()
    return wire, LeanStream(wire, asyncio.get_running_loop())


async def test_it_holds_the_wire_from_much_to_little() -> None:
    wire, stream = make()
    stream.begin(200, {})
    for _ in range(6):
        stream.feed(bytes(64 * KILOBYTE))
    assert wire.told == ["hold"]
    for _ in range(4):
        await anext(stream)
    assert wire.told == ["hold"]
    await anext(stream)
    assert wire.told == ["hold", "go on"]


async def test_the_wire_is_let_go_at_the_end_though_nobody_has_read() -> None:
    wire, stream = make()
    stream.begin(200, {})
    stream.feed(bytes(300 * KILOBYTE))
    stream.end(HttpResponse(200, {}, b"end"))
    assert wire.told == ["hold", "go on"]
    pieces = [piece async for piece in stream]
    assert [len(piece) for piece in pieces] == [300 * KILOBYTE, 3]
    assert wire.told == ["hold", "go on"]


async def test_a_whole_answer_brings_its_head() -> None:
    _, stream = make()
    stream.end(HttpResponse(404, {"a": "b"}, b"no"))
    assert stream.headed.done()
    assert (stream.status, stream.headers) == (404, {"a": "b"})
    assert [piece async for piece in stream] == [b"no"]
    assert [piece async for piece in stream] == []


async def test_what_came_is_handed_out_before_the_failure() -> None:
    _, stream = make()
    stream.begin(200, {})
    stream.feed(b"abc")
    stream.end(Failure(Reason.UPSTREAM_TRUNCATED, "The body is cut."))
    assert await anext(stream) == b"abc"
    for _ in range(2):
        with pytest.raises(Failure):
            await anext(stream)


async def test_a_cancelled_wait_loses_nothing() -> None:
    _, stream = make()
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    stream.feed(b"abc")
    assert await anext(stream) == b"abc"


@asynccontextmanager
async def echo() -> AsyncIterator[LeanTransport]:
    """A transport to a server that sends back each piece of a body before it reads the next."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length
            left = int(length[1])
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % left)
            while left:
                piece = await reader.read(2**16)
                if not piece:
                    break
                left -= len(piece)
                writer.write(piece)
                await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = HttpSettings(origin=origin, allow=("127.0.0.1/32",), max_body=2**26)
    transport = LeanTransport(settings, LoopClock())
    try:
        async with asyncio.timeout(20):
            yield transport
    finally:
        server.close()
        await transport.close()


def post(transport: LeanTransport, body: bytes) -> HttpRequest:
    return HttpRequest(transport.prepare("POST", []), "/", [], body, Effort(0.0))


async def test_a_long_body_is_sent_while_its_answer_is_read() -> None:
    body = bytes(range(256)) * (128 * KILOBYTE)  # more than both ends can hold for each other
    async with echo() as transport:
        got = bytearray()
        async with transport.stream(post(transport, body)) as stream:
            async for piece in stream:
                got += piece
        assert got == body


async def test_leaving_ends_the_sending_too() -> None:
    async with echo() as transport:
        before = asyncio.all_tasks()
        async with transport.stream(post(transport, bytes(2**25))) as stream:
            assert await anext(aiter(stream))
            mine = asyncio.all_tasks() - before
            assert any("_upload" in repr(task) for task in mine)
        left = asyncio.all_tasks() - before
        assert not any("_upload" in repr(task) for task in left)
