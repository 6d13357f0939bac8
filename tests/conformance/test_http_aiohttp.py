"""The transport suite on aiohttp."""

from __future__ import annotations

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.model import Effort
from interlaced.testing.transport_suite import TransportSuite, answer
from interlaced.transport.http import HttpSettings, HttpTransport
from interlaced.transport.http_aiohttp import AiohttpTransport


class TestHttpAiohttp(TransportSuite):
    """aiohttp passes every clause; what its parser lets pass beyond them is named below."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        return AiohttpTransport(settings, LoopClock())

    @pytest.mark.parametrize(
        "text",
        [
            b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
            b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
            b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n",
        ],
        ids=["bare line feeds", "folded header", "chunk extension", "blank lines", "blank size"],
    )
    async def test_known_leniencies_give_the_right_body_and_no_mix_up(self, text: bytes) -> None:
        """T9: aiohttp reads these in the one way there is; the answer is right, and so is the
        next one. A stricter transport may refuse them."""
        async with self.wire(text, answer(b'"next"')) as (_, transport):
            assert (await self.ask(transport)).body == b"{}"
            effort = Effort(0.0)
            assert (await self.ask(transport, effort=effort)).body == b'"next"'
