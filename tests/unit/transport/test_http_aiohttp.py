"""What is aiohttp's alone; what both transports must do is in `test_http_both`."""

from __future__ import annotations

import io

import aiohttp
import pytest
from raw_http import Answer, RawServer

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effort
from interlaced.transport.http import HttpRequest, HttpSettings
from interlaced.transport.http_aiohttp import AiohttpTransport, _data


def test_a_body_over_a_mebibyte_is_a_file() -> None:
    """aiohttp writes one in pieces, and bytes at once with a warning."""
    assert _data(b"x" * 1024 * 1024) == b"x" * 1024 * 1024
    assert isinstance(_data(b"x" * (1024 * 1024 + 1)), io.BytesIO)


async def test_the_cause_of_nonsense_is_not_aiohttps_own_error() -> None:
    """P49: that one holds every header that was sent."""
    async with RawServer(Answer(b"nonsense\r\n\r\n", "close")) as server:
        settings = HttpSettings(origin=server.origin, allow=("127.0.0.1/32",))
        transport = AiohttpTransport(settings, LoopClock())
        with pytest.raises(Failure) as caught:
            await transport.send(
                HttpRequest(transport.prepare("GET", ()), "/", (), None, Effort(0.0))
            )
        await transport.close()
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED
    assert not isinstance(caught.value.__cause__, aiohttp.ClientResponseError)
