"""The transport suite on the lean transport."""

from __future__ import annotations

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport.http import HttpSettings, HttpTransport
from interlaced.transport.http_lean import LeanTransport


class TestHttpLean(TransportSuite):
    """It passes every clause."""

    def make(self, settings: HttpSettings) -> HttpTransport:
        return LeanTransport(settings, LoopClock())
