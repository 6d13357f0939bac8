"""The transport port."""

from __future__ import annotations

from interlaced.core.clock import LoopClock
from interlaced.core.model import Effort
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, HttpTransport
from interlaced.transport.http_aiohttp import AiohttpTransport


def test_the_aiohttp_transport_is_one() -> None:
    transport: HttpTransport = AiohttpTransport(HttpSettings(origin="http://a"), LoopClock())
    assert transport.prepare("get", [("X-A", "1")]).method == "GET"


def test_nothing_that_may_be_secret_is_printed() -> None:
    """P49: keys stand in targets and headers."""
    prepared = AiohttpTransport(HttpSettings(origin="http://a"), LoopClock()).prepare(
        "GET", [("Authorization", "canary")]
    )
    request = HttpRequest(prepared, "/?key=canary", [("X", "canary")], b"canary", Effort(0.0))
    response = HttpResponse(200, {"set-cookie": "canary"}, b"canary")
    assert "canary" not in repr(request) + repr(response) + repr(prepared)


def test_the_defaults_are_those_of_the_papers() -> None:
    """CONNECTORS.md section 2: connect 2 s, 16 MiB decoded; the idle time is below 5 s."""
    settings = HttpSettings(origin="http://a")
    assert (settings.connect_timeout, settings.max_body) == (2.0, 16 * 1024 * 1024)
    assert settings.idle < 5.0
