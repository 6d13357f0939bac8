"""The transport suite on the lean transport, on both loops: uvloop's is the one that serves."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport.http import HttpSettings, HttpTransport
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
