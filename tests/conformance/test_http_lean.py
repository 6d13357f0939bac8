"""The transport suite on the lean transport, on both loops: uvloop's is the one that serves."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from raw_http import RawServer
from short_http import ShortTransport

from interlaced.core.clock import LoopClock
from interlaced.core.model import Effort
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, HttpTransport
from interlaced.transport.http_lean import LeanTransport


class TestHttpLean(TransportSuite):
    """It passes every clause, and forgives nothing."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        return LeanTransport(settings, LoopClock())


@pytest.mark.parametrize("clause", [name for name in dir(TransportSuite) if name[:5] == "test_"])
def test_the_clause_holds_on_uvloop(clause: str) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class OnUvloop(TestHttpLean):
        def make(self, settings: HttpSettings) -> HttpTransport:
            loops.append(asyncio.get_running_loop())
            return super().make(settings)

    uvloop.run(getattr(OnUvloop(), clause)())
    assert loops
    assert all(isinstance(loop, uvloop.Loop) for loop in loops)


class TestShortWay(TransportSuite):
    """It passes every clause on its short way, too."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        return ShortTransport(settings, LoopClock())


class Streamed(LeanTransport):
    """Reads every answer as a stream."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        async with self.stream(request) as stream:
            body = b"".join([piece async for piece in stream])
        return HttpResponse(stream.status, stream.headers, body)


class TestStreamedWay(TransportSuite):
    """It passes every clause where the body is read as it comes, too."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        return Streamed(settings, LoopClock())


async def test_the_second_request_goes_the_short_way() -> None:
    """What the class above is about: the suite would pass as well if nothing ever went there."""
    async with RawServer() as server:
        settings = HttpSettings(origin=server.origin, allow=("127.0.0.1/32",))
        transport, before = ShortTransport(settings, LoopClock()), ShortTransport.taken
        prepared = transport.prepare("GET", [])
        for taken in (0, 1, 2):
            await transport.send(HttpRequest(prepared, "/", [], None, Effort(0.0)))
            assert ShortTransport.taken - before == taken
        await transport.close()
