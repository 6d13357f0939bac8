"""The transport suite on aiohttp."""

from __future__ import annotations

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport.http import HttpSettings, HttpTransport
from interlaced.transport.http_aiohttp import AiohttpTransport


class TestHttpAiohttp(TransportSuite):
    """aiohttp passes every clause; what its parser reads although it is sloppy is named."""

    forgives = frozenset(
        (
            "bare line feeds",
            "one bare line feed",
            "folded header",
            "chunk extension",
            "blank lines",
            "blank size",
            "long size",
        )
    )

    def make(self, settings: HttpSettings) -> HttpTransport:
        return AiohttpTransport(settings, LoopClock())
