"""A rest connector and its raw far side, as the connector suite wants them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from raw_http import Answer, RawServer, ok

from interlaced.connectors.rest.config import Config
from interlaced.connectors.rest.connector import build
from interlaced.core.model import Argument, Call, Effort, Payload
from interlaced.core.ports import Connector
from interlaced.testing.fakes import make_tools
from interlaced.testing.fault_proxy import FaultProxy, Faults

__all__ = ["RestRig", "connect", "make_call", "make_config", "rest_rig"]

SECRET = "canary-5f1e"

LOGIN_PAGE = b"<html><body>Please login</body></html>"


def make_config(origin: str, operations: Mapping[str, Any], **upstream: Any) -> Config:
    return Config.model_validate(
        {
            "upstream": {"rest": origin, "allow_private": ["127.0.0.1/32"], **upstream},
            "operations": dict(operations),
        }
    )


def make_call(
    operation: str,
    parameters: Mapping[str, Argument] | None = None,
    *,
    payload: Payload | None = None,
    accept: tuple[str, ...] = (),
    key: str = "",
) -> Call:
    return Call(
        deadline=float("inf"),
        effort=Effort(0.0),
        connector="shop",
        operation=operation,
        parameters=parameters or {},
        payload=payload,
        accept=accept,
        idempotency_key=key,
    )


@asynccontextmanager
async def connect(
    origin: str, operations: Mapping[str, Any], **upstream: Any
) -> AsyncIterator[Connector]:
    """A connector with these operations, closed at the end."""
    connector = build("shop", make_config(origin, operations, **upstream), make_tools())
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


class RestRig:
    """What ConnectorSuite asks for."""

    name = "shop"
    safe = "Get"
    unsafe = "Create"
    arguments: Mapping[str, Argument] = {"id": "42"}
    required = "id"
    secret = SECRET
    can = frozenset(("network", "statuses", "garbage"))

    def __init__(self, connector: Connector, server: RawServer, proxy: FaultProxy) -> None:
        self.connector = connector
        self._server = server
        self._proxy = proxy

    @property
    def hits(self) -> int:
        return self._server.hits

    @property
    def busy(self) -> int:
        return self._server.open

    def _set(self, answer: Answer) -> None:
        self._server.default = answer

    def answer(self, media_type: str, data: bytes) -> None:
        self._set(ok(data, f"Content-Type: {media_type}"))

    def status(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        self._set(ok(b'{"error": "login"}', *lines, status=f"{status} Whatever"))

    def garbage(self) -> None:
        self._set(ok(LOGIN_PAGE, "Content-Type: text/html"))

    def reset(self) -> None:
        self._set(Answer(then="reset"))

    def hang(self) -> None:
        self._server.arrived.clear()
        self._server.gone.clear()
        self._set(Answer(then="hang"))

    async def refuse(self) -> None:
        self._proxy.script(Faults(refuse=True))
        self._proxy.cut()
        await self._proxy.idle()
        await asyncio.sleep(0.01)  # lets the pool see that its connections are gone

    async def until_busy(self) -> None:
        await self._server.arrived.wait()

    async def until_idle(self) -> None:
        while self._server.open:
            await self._server.gone.wait()
            self._server.gone.clear()


OPERATIONS: Mapping[str, Any] = {
    "Get": {"get": "/things/{id}"},
    "Create": {"post": "/things/{id}", "body": "$payload"},
}


@asynccontextmanager
async def rest_rig(
    wrap: Callable[[Connector], Connector] = lambda connector: connector, **upstream: Any
) -> AsyncIterator[RestRig]:
    """A connector behind a fault proxy before a raw server; `wrap` is for saboteurs."""
    key = {"api_key": {"query": "key", "value": SECRET}}
    async with RawServer() as server, FaultProxy("127.0.0.1", server.port) as proxy:
        origin = f"http://127.0.0.1:{proxy.port}/v1"
        async with connect(
            origin, OPERATIONS, auth=key, headers={"X-Api-Token": SECRET}, **upstream
        ) as connector:
            yield RestRig(wrap(connector), server, proxy)
