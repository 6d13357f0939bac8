"""The transport suite on the lean transport, on both loops: uvloop's is the one that serves."""

from __future__ import annotations

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
    uvloop.run(getattr(TestHttpLean(), clause)())
