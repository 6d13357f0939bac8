"""The transport suite's own server; its clauses are proved in `tests/broken`."""

from __future__ import annotations

import pytest

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_suite import TransportSuite, answer
from interlaced.transport.http import HttpSettings
from interlaced.transport.http_aiohttp import AiohttpTransport


def test_an_answer_has_its_length() -> None:
    assert answer(b"abc", "A: b") == b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 3\r\n\r\nabc"


def test_without_a_factory_there_is_no_suite() -> None:
    with pytest.raises(TypeError):
        TransportSuite().make(HttpSettings(origin="http://a"))


async def test_a_failure_that_does_not_come_is_an_assertion() -> None:
    class Suite(TransportSuite):
        def make(self, settings: HttpSettings) -> AiohttpTransport:
            return AiohttpTransport(settings, LoopClock())

    async with Suite().wire() as (_, transport):
        with pytest.raises(AssertionError, match="200"):
            await Suite().refused(transport)
