"""The admin listener: metrics, health over HTTP, and the actions that change something.

It has no TLS and no login: it binds loopback unless the operator insists. Actions are POST with a
JSON body; a request that a web page made (it carries `Origin`, or another `Host` than an address)
is refused, so that no page in a browser can reach it by DNS rebinding.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler

from interlaced.core.failure import Failure, Kind
from interlaced.telemetry.log import log

__all__ = ["Action", "AdminServer", "AdminViews"]

_MAX_BODY = 64 * 1024
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Action: TypeAlias = Callable[[Mapping[str, object]], Awaitable[Mapping[str, object]]]
"""Takes the JSON object that was posted and returns the one to answer; raises Failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminViews:
    """What the listener shows: `metrics` renders the Prometheus text, `is_ready` says whether new
    calls are taken, `status` is a JSON object for `interlace status`-like tools, and `actions` are
    reached as POST /NAME."""

    metrics: Callable[[], bytes | Awaitable[bytes]]
    is_ready: Callable[[], bool]
    status: Callable[[], Mapping[str, object] | Awaitable[Mapping[str, object]]]
    actions: Mapping[str, Action] = field(default_factory=dict)


class AdminServer:
    """Serves the admin listener. Start it once, close it once."""

    def __init__(self, views: AdminViews) -> None:
        self._views = views
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[_refuse_browsers])
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/status", self._status)
        for name, action in views.actions.items():
            app.router.add_post(f"/{name}", _run(name, action))
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=1.0
        )

    async def start(self, host: str, port: int) -> int:
        """Binds and returns the port; a taken one raises OSError. `host` may be `unix:PATH`, which
        has no port: it returns 0."""
        await self._runner.setup()
        if host.startswith("unix:"):
            await web.UnixSite(self._runner, host.removeprefix("unix:")).start()
            return 0
        site = web.TCPSite(self._runner, host, port, reuse_port=False)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Closes every connection."""
        await self._runner.cleanup()

    async def _metrics(self, _request: web.Request) -> web.Response:
        text = self._views.metrics()
        body = text if isinstance(text, bytes) else await text
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._views.is_ready():
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)

    async def _status(self, _request: web.Request) -> web.Response:
        status = self._views.status()
        return web.json_response(dict(status if isinstance(status, Mapping) else await status))


@web.middleware
async def _refuse_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what a web page sent."""
    # Not `request.host`: without the header, it would ask the name service and block the loop.
    if "Origin" in request.headers or not _is_address(request.headers.get("Host", "")):
        return web.json_response({"error": "not for browsers"}, status=403)
    return await handler(request)


def _is_address(host: str) -> bool:
    """Whether a Host header names an address or this machine, not a domain."""
    name = host.rpartition(":")[0] if host.count(":") == 1 else host.partition("]")[0].strip("[")
    name = name or host
    if name == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _run(name: str, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Turns an action into an HTTP handler."""

    async def handle(request: web.Request) -> web.Response:
        try:
            body = json.loads(await request.read() or b"{}")
        except (ValueError, RecursionError):
            return web.json_response({"error": "the body is not JSON"}, status=400)
        if not isinstance(body, dict):
            return web.json_response({"error": "the body is not a JSON object"}, status=400)
        try:
            answer = await action(body)
        except Failure as failure:
            return web.json_response(_explain(failure), status=_http_status(failure))
        except Exception as error:  # noqa: BLE001  # the border: a bug becomes a fixed text
            log.error("admin.failed", action=name, exc_info=error)
            return web.json_response({"error": "internal error; see the log"}, status=500)
        return web.json_response(dict(answer))

    return handle


def _explain(failure: Failure) -> dict[str, object]:
    """A Failure as a JSON object."""
    fields = {violation.field: violation.description for violation in failure.fields}
    return {"error": failure.message, "reason": failure.reason.value, "fields": fields}


def _http_status(failure: Failure) -> int:
    """The HTTP status of a refused action."""
    by_kind = {Kind.INVALID: 400, Kind.NOT_FOUND: 404, Kind.PRECONDITION: 409}
    return by_kind.get(failure.kind, 500)
