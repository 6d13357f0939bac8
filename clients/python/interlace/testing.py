"""A fake Interlace for your own tests: a real gRPC server that says what the test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import grpc

from interlace.calls import Call
from interlace.events import Event, read_event
from interlace.fake_answers import Answer, Answers, Failed, end_with
from interlace.fake_feed import FakeFeed
from interlace.fake_gateway import FakeGateway
from interlace.v1 import catalog_service_pb2, feed_service_pb2

__all__ = ["Failed", "FakeFeed", "FakeServer", "FakeSink"]

_SERVING = b"\x08\x01"
_NOT_SERVING = b"\x08\x02"


class FakeSink:
    """A sink that keeps what it is told; `fail` scripts outcomes, one per event."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[Event] = []
        self._outcomes: list[Failed | None] = []

    def fail(self, *outcomes: Failed | None) -> None:
        """Answers the next events with these, None being a confirmation."""
        self._outcomes.extend(outcomes)

    def take(self, event: Event) -> feed_service_pb2.PublishOutcome:
        """Takes one event, as the server does."""
        failed = self._outcomes.pop(0) if self._outcomes else None
        if failed is not None:
            return feed_service_pb2.PublishOutcome(status=failed.status())
        is_known = bool(event.id) and any(it.id == event.id for it in self.events)
        if not is_known:
            self.events.append(event)
        position = str(len(self.events)).encode()
        return feed_service_pb2.PublishOutcome(position=position, duplicate=is_known)


class FakeServer:
    """A gRPC server on a loopback port of its own. Use it as an async context manager.

    `on` says what operations answer, `feed` and `sink` make feeds and sinks, `calls` is what was
    asked. What was not scripted is answered as the service answers unknown names.
    """

    def __init__(self) -> None:
        self._answers = Answers()
        self.gateway = FakeGateway(self._answers)
        self._feeds: dict[str, FakeFeed] = {}
        self._sinks: dict[str, FakeSink] = {}
        self._server: grpc.aio.Server | None = None
        self._is_healthy = True
        self._is_stopping = False
        self._health_changed = asyncio.Event()
        self.port = 0

    @property
    def target(self) -> str:
        """The address for a Client."""
        return f"127.0.0.1:{self.port}"

    @property
    def calls(self) -> Sequence[Call]:
        """What was asked so far, in order."""
        return self._answers.calls

    @property
    def cancelled(self) -> Sequence[Call]:
        """The calls that their callers cancelled."""
        return self._answers.cancelled

    def on(self, connector: str, operation: str, *answers: Answer) -> None:
        """Says what an operation answers: each answer once, the last one for good.

        An answer is a Payload, a Failed, a value that becomes JSON, or a function (plain or async)
        that takes the Call to one of these.
        """
        self._answers.put(connector, operation, answers)

    def feed(self, name: str) -> FakeFeed:
        """Returns the feed of this name, `CONNECTOR.FEED`, making it if there is none."""
        return self._feeds.setdefault(name, FakeFeed(name))

    def sink(self, name: str) -> FakeSink:
        """Returns the sink of this name, `CONNECTOR.SINK`, making it if there is none."""
        return self._sinks.setdefault(name, FakeSink(name))

    def end_sessions(self, failed: Failed | None = None) -> None:
        """Ends every open session, by default as a lost connection does."""
        self.gateway.end_sessions(failed or Failed())

    def set_healthy(self, is_healthy: bool) -> None:
        """Says whether the server is fit to serve; clients avoid one that is not."""
        self._is_healthy = is_healthy
        changed, self._health_changed = self._health_changed, asyncio.Event()
        changed.set()

    async def __aenter__(self) -> Self:
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        services = (self.gateway.service(), self._feed_service(), self._catalog(), self._health())
        server.add_generic_rpc_handlers(services)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        self._server = server
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Streams that gRPC itself would have to cancel fill the log with what nobody can mend.
        self._is_stopping = True
        self.set_healthy(False)
        if self._server is not None:
            await self._server.stop(0)

    def _feed_service(self) -> grpc.GenericRpcHandler:
        pb = feed_service_pb2
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            "interlace.v1.FeedService",
            {
                "Subscribe": grpc.unary_stream_rpc_method_handler(
                    self._subscribe, pb.SubscribeRequest.FromString, _write
                ),
                "Consume": grpc.stream_stream_rpc_method_handler(
                    self._consume, pb.ConsumeRequest.FromString, _write
                ),
                "Publish": grpc.unary_unary_rpc_method_handler(
                    self._publish, pb.PublishRequest.FromString, _write
                ),
            },
        )
        return handler

    async def _subscribe(self, request: feed_service_pb2.SubscribeRequest, context: Any) -> None:
        feed = self._feeds.get(request.feed)
        if feed is None:
            await end_with(context, _no_feed)
        else:
            await end_with(context, lambda: feed.subscribe(request, context.write))

    async def _consume(self, requests: Any, context: Any) -> None:
        del requests  # read with `context.read`: the two styles do not mix
        opening = await context.read()
        feed = self._feeds.get(opening.open.feed) if opening is not grpc.aio.EOF else None
        if feed is None:
            await end_with(context, _no_feed)
            return
        first = [opening]

        async def read() -> Any:
            return first.pop() if first else await context.read()

        await end_with(context, lambda: feed.consume(read, context.write))

    async def _publish(self, request: feed_service_pb2.PublishRequest, context: Any) -> Any:
        sink = self._sinks.get(request.sink)
        if sink is None:
            return await end_with(context, _no_feed)
        outcomes = [sink.take(read_event(event)) for event in request.events]
        return feed_service_pb2.PublishResponse(outcomes=outcomes)

    def _catalog(self) -> grpc.GenericRpcHandler:
        pb = catalog_service_pb2
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            "interlace.v1.CatalogService",
            {
                "ListConnectors": grpc.unary_unary_rpc_method_handler(
                    self._list, pb.ListConnectorsRequest.FromString, _write
                ),
                "GetConnector": grpc.unary_unary_rpc_method_handler(
                    self._get, pb.GetConnectorRequest.FromString, _write
                ),
            },
        )
        return handler

    async def _list(self, request: Any, context: Any) -> Any:
        del context
        pb, connectors = catalog_service_pb2, self._connectors()
        start = int(request.page_token or 0)
        end = start + (request.page_size or 100)
        token = str(end) if end < len(connectors) else ""
        return pb.ListConnectorsResponse(connectors=connectors[start:end], next_page_token=token)

    async def _get(self, request: Any, context: Any) -> Any:
        for connector in self._connectors():
            if connector.name == request.name:
                return catalog_service_pb2.GetConnectorResponse(connector=connector)

        async def refuse() -> None:
            raise Failed("UNKNOWN_CONNECTOR", "there is no connector of this name")

        return await end_with(context, refuse)

    def _connectors(self) -> list[catalog_service_pb2.ConnectorInfo]:
        """What the scripts make up."""
        pb = catalog_service_pb2
        found: dict[str, pb.ConnectorInfo] = {}

        def connector(name: str) -> pb.ConnectorInfo:
            state = pb.CONNECTOR_STATE_OK
            return found.setdefault(name, pb.ConnectorInfo(name=name, kind="fake", state=state))

        for name, operations in self._answers.operations().items():
            connector(name).operations.extend(pb.OperationInfo(name=it) for it in operations)
        for full in sorted(self._feeds):
            name, _, short = full.partition(".")
            connector(name).feeds.add(name=short, state="live")
        for full in sorted(self._sinks):
            name, _, short = full.partition(".")
            connector(name).sinks.add(name=short)
        return [found[name] for name in sorted(found)]

    def _health(self) -> grpc.GenericRpcHandler:
        # The messages of grpc.health.v1 are one number; the client need not depend on its package.
        handler: grpc.GenericRpcHandler = grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )
        return handler

    async def _check(self, request: bytes, context: Any) -> bytes:
        del request, context
        return _SERVING if self._is_healthy else _NOT_SERVING

    async def _watch(self, request: bytes, context: Any) -> None:
        del request
        while not self._is_stopping:
            changed = self._health_changed
            await context.write(_SERVING if self._is_healthy else _NOT_SERVING)
            await changed.wait()


async def _no_feed() -> None:
    raise Failed("UNKNOWN_FEED", "there is no feed or sink of this name")


def _write(message: Any) -> bytes:
    data: bytes = message.SerializeToString() if message is not None else b""
    return data
