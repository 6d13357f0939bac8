"""The raw server of the transport suites; its clauses are proved in `tests/broken`."""

from __future__ import annotations

import asyncio

import pytest

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_origin import CLOSE, LATER, TransportRig, answer
from interlaced.transport.http import HttpSettings
from interlaced.transport.http_lean import LeanTransport


class Rig(TransportRig):
    def make(self, settings: HttpSettings) -> LeanTransport:
        return LeanTransport(settings, LoopClock())


def test_an_answer_has_its_length() -> None:
    assert answer(b"ab", status="404 No") == b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nab"


def test_without_a_factory_there_is_no_rig() -> None:
    with pytest.raises(TypeError):
        TransportRig().make(HttpSettings(origin="http://a"))


async def test_it_sends_what_its_script_says_in_the_pieces_that_it_says() -> None:
    async with Rig().wire(answer(b"1"), answer(b"2")[:-1] + LATER + b"2") as (origin, transport):
        assert [(await Rig().ask(transport)).body for _ in range(3)] == [b"1", b"2", b"{}"]
        origin.choose = lambda head: (answer(head[:4])[:-2], b"T ", CLOSE)
        assert (await Rig().ask(transport)).body == b"GET "
        await origin.left.wait()
        assert (origin.open, origin.connections, len(origin.heads)) == (0, 1, 4)
        assert len(asyncio.all_tasks()) == 1
