"""The rest kind: the wire, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from interlaced.connectors.rest.config import Config, OperationConfig, Upstream
from interlaced.connectors.rest.recipe import Recipe, compile_operation
from interlaced.core.failure import Failure
from interlaced.core.model import Call, Handler, Reply
from interlaced.core.ports import (
    Clock,
    Connector,
    Exchange,
    Feed,
    Operation,
    QuickAttempt,
    Sink,
    Tools,
)
from interlaced.transport.http import HttpSettings, HttpTransport, Prepared
from interlaced.transport.http_aiohttp import AiohttpTransport
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.http_wire import Answered, Receive
from interlaced.transport.tls import TlsSettings

__all__ = ["RestConnector", "build"]

_TRANSPORTS: Mapping[str, Callable[[HttpSettings, Clock], HttpTransport]] = MappingProxyType(
    {"lean": LeanTransport, "aiohttp": AiohttpTransport}
)


class RestConnector:
    """One API. It connects with the first call, so that `open` cannot fail."""

    def __init__(self, transport: HttpTransport, operations: Mapping[str, Operation]) -> None:
        self._transport = transport
        self.operations = operations
        self.feeds: Mapping[str, Feed] = MappingProxyType({})
        self.sinks: Mapping[str, Sink] = MappingProxyType({})

    async def open(self) -> None:
        """Has nothing to do: connections are made when they are needed."""

    async def close(self) -> None:
        await self._transport.close()


def build(name: str, config: Config, tools: Tools) -> Connector:  # noqa: ARG001  # one signature
    """Builds a connector; OSError or ValueError when its TLS files cannot be used."""
    transport = _TRANSPORTS[config.upstream.transport](_settings(config.upstream), tools.clock)
    operations = {
        each: _operation(each, operation, config.upstream, transport, tools.clock)
        for each, operation in config.operations.items()
    }
    return RestConnector(transport, MappingProxyType(operations))


def _settings(upstream: Upstream) -> HttpSettings:
    url = urlsplit(upstream.rest)
    tls = upstream.tls
    return HttpSettings(
        origin=f"{url.scheme}://{url.netloc}",
        connect_timeout=upstream.connect_timeout,
        idle=upstream.idle,
        max_body=upstream.max_body,
        allow=upstream.allow_private,
        tls=TlsSettings(*(str(path or "") for path in (tls.ca, tls.certificate, tls.key))),
    )


def _operation(
    name: str, config: OperationConfig, upstream: Upstream, transport: HttpTransport, clock: Clock
) -> Operation:
    recipe = compile_operation(config, upstream)
    prepared, quick = transport.prepare(recipe.method, recipe.headers), None
    if isinstance(transport, LeanTransport):
        quick = _quick(recipe, transport, prepared, clock)
    return Operation(
        name=name,
        effect=recipe.effect,
        attempt=_attempt(recipe, transport, prepared, clock),
        quick=quick,
        description=config.description,
        parameters=recipe.parameters,
        takes_key=config.idempotency_header is not None,
        creates=config.creates,
    )


def _attempt(
    recipe: Recipe, transport: HttpTransport, prepared: Prepared, clock: Clock
) -> Handler[Call, Reply]:
    """Returns what makes one attempt: build, send, read."""
    make, read, send, wall = recipe.build, recipe.read, transport.send, clock.wall

    async def attempt(call: Call) -> Reply:
        return read(await send(make(call, prepared)), call, wall)

    return attempt


def _quick(
    recipe: Recipe, transport: LeanTransport, prepared: Prepared, clock: Clock
) -> QuickAttempt:
    """Returns the same in two halves, for a connection that is there already."""
    make, read_answer, begin, wall = recipe.build, recipe.read, transport.begin, clock.wall

    def ask(call: Call, receive: Receive) -> Exchange | None:
        try:
            return begin(make(call, prepared), receive)
        except Failure:
            return None  # the attempt meets it again

    def read(answer: Answered, call: Call) -> Reply:
        if isinstance(answer, Failure):
            raise answer
        return read_answer(answer, call, wall)

    return QuickAttempt(ask, read)
