"""The client: ask, fan out, listen and tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from interlace.backoff import Reconnect
from interlace.calls import (
    Argument,
    Branch,
    Call,
    CallOptions,
    CallResult,
    Outcome,
    Policy,
    read_outcome,
    read_payload,
)
from interlace.channel import ChannelConfig
from interlace.connection import Connection
from interlace.consumer import Consumer
from interlace.effort import Ledger, read_effort, read_ledger
from interlace.errors import InterlaceError, error_from_status
from interlace.events import Event
from interlace.feed import SubscribeOptions, Subscription
from interlace.session import Session
from interlace.streams import ReadStream
from interlace.v1 import (
    catalog_service_pb2,
    feed_service_pb2,
    gateway_service_pb2,
    outcome_pb2,
)

__all__ = ["Client", "FanOutOptions", "FanOutStream", "PublishOutcome"]

_PAGE = 1000
_RECONNECT = Reconnect()


class FanOutOptions(TypedDict, total=False):
    """What a fan-out may say. The default policy is `Policy.all()`; `timeout` is in seconds and
    covers all branches."""

    policy: Policy
    timeout: float | None
    ledger: bool


class PublishOutcome:
    """What became of one event: stored if `error` is None."""

    __slots__ = ("error", "is_duplicate", "position")

    def __init__(self, message: feed_service_pb2.PublishOutcome) -> None:
        self.error: InterlaceError | None = (
            error_from_status(message.status) if message.HasField("status") else None
        )
        self.position: bytes = message.position
        """The event's place in the sink's history, where the broker tells it."""
        self.is_duplicate: bool = message.duplicate
        """The broker knew the event's id already and did not store it again."""

    @property
    def is_ok(self) -> bool:
        """Whether the broker has confirmed it."""
        return self.error is None


class FanOutStream:
    """Yields an Outcome per branch as it lands, then the Ledger; then raises PolicyNotMet if the
    policy was not met. Use it as an async context manager to leave it early."""

    def __init__(self, call: Any) -> None:
        self._stream: ReadStream[gateway_service_pb2.StreamFanOutResponse] = ReadStream(call)
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome | Ledger:
        if self._is_over:
            raise StopAsyncIteration
        try:
            frame = await self._stream.read()
        except InterlaceError:
            self._is_over = True
            raise
        if frame is None:
            self._is_over = True
            raise StopAsyncIteration
        if frame.HasField("ledger"):
            return read_ledger(frame.ledger)
        return read_outcome(frame.outcome)

    async def close(self) -> None:
        """Cancels what still runs; nothing of it is left when this returns."""
        self._is_over = True
        await self._stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class Client:
    """Talks to one service. `target` is HOST:PORT or any other target of gRPC's.

    Use it as an async context manager, or call `close`. It connects when it is first used and
    belongs to that event loop. Every call has a deadline, `deadline` seconds unless it says
    otherwise; nothing is ever repeated behind the caller's back. Whatever goes wrong is an
    InterlaceError.
    """

    def __init__(
        self, target: str, config: ChannelConfig | None = None, *, deadline: float = 30.0
    ) -> None:
        self._connection = Connection(target, config or ChannelConfig(), deadline)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends everything that is under way with ClientClosed. Doing it twice is harmless."""
        await self._connection.close()

    async def call(
        self,
        connector: str,
        operation: str,
        parameters: Mapping[str, Argument] | None = None,
        *,
        ledger: bool = False,
        **options: Unpack[CallOptions],
    ) -> CallResult:
        """Performs one operation of one connector; `ledger` asks for a record of every attempt
        and wait."""
        timeout = options.pop("timeout", None)
        call = Call(connector, operation, parameters or {}, **options)
        request = gateway_service_pb2.CallRequest(call=call.message())
        reply, trailers = await self._connection.ask(
            self._connection.gateway.Call, request, timeout=timeout, ledger=ledger
        )
        if ledger:
            told = dict(tuple(trailers)).get("interlace-ledger-bin", b"")
            reply.effort.MergeFrom(_records(told))
        return read_payload(reply.payload, read_effort(reply.effort))

    async def fan_out(
        self, branches: Sequence[Branch], **options: Unpack[FanOutOptions]
    ) -> list[Outcome]:
        """Performs many calls under one deadline and returns an outcome per branch, in the order
        of the branches. Raises PolicyNotMet, with the ledger, as soon as that is certain."""
        request = gateway_service_pb2.FanOutRequest(
            branches=[branch.message() for branch in branches],
            policy=options.get("policy", Policy.all()).message(),
        )
        reply, _ = await self._connection.ask(
            self._connection.gateway.FanOut,
            request,
            timeout=options.get("timeout"),
            ledger=options.get("ledger", False),
        )
        return [read_outcome(outcome) for outcome in reply.outcomes]

    def stream_fan_out(
        self, branches: Sequence[Branch], **options: Unpack[FanOutOptions]
    ) -> FanOutStream:
        """Performs many calls under one deadline and yields each outcome as it lands."""
        request = gateway_service_pb2.StreamFanOutRequest(
            branches=[branch.message() for branch in branches],
            policy=options.get("policy", Policy.all()).message(),
        )
        connection, timeout = self._connection, options.get("timeout")
        call = connection.gateway.StreamFanOut(
            request,
            timeout=connection.deadline if timeout is None else timeout,
            metadata=connection.metadata(ledger=options.get("ledger", False)),
        )
        return FanOutStream(connection.own(call))

    def session(self, *, reconnect: Reconnect | None = _RECONNECT, ledger: bool = False) -> Session:
        """Returns a session: many calls in flight over one stream."""
        connection = self._connection

        def open_stream() -> Any:
            metadata = connection.metadata(ledger=ledger)
            return connection.own(connection.gateway.Session(metadata=metadata))

        return Session(open_stream, deadline=connection.deadline, reconnect=reconnect)

    def subscribe(self, feed: str, **options: Unpack[SubscribeOptions]) -> Subscription:
        """Listens to a feed, `CONNECTOR.FEED`, from now on or from where `start` says."""
        connection = self._connection

        def open_stream(request: feed_service_pb2.SubscribeRequest) -> Any:
            call = connection.feeds.Subscribe(request, metadata=connection.metadata())
            return connection.own(call)

        return Subscription(feed, open_stream, options)

    def consume(
        self,
        feed: str,
        group: str,
        *,
        credit: int = 32,
        reconnect: Reconnect | None = _RECONNECT,
    ) -> Consumer:
        """Joins a group that shares a feed; at most `credit` deliveries are unsettled at a time."""
        connection = self._connection

        def open_stream() -> Any:
            return connection.own(connection.feeds.Consume(metadata=connection.metadata()))

        opening = feed_service_pb2.ConsumeOpen(feed=feed, group=group, credit=credit)
        return Consumer(open_stream, opening, reconnect)

    async def publish(
        self, sink: str, events: Sequence[Event], *, timeout: float | None = None
    ) -> list[PublishOutcome]:
        """Hands events to a sink, `CONNECTOR.SINK`, and returns what became of each, in order.
        Give events an `id`: then the broker can tell a repeat."""
        request = feed_service_pb2.PublishRequest(
            sink=sink, events=[event.message() for event in events]
        )
        reply, _ = await self._connection.ask(
            self._connection.sinks.Publish, request, timeout=timeout
        )
        return [PublishOutcome(outcome) for outcome in reply.outcomes]

    async def catalog(self) -> list[catalog_service_pb2.ConnectorInfo]:
        """Lists the connectors with their operations, feeds and sinks, ordered by name."""
        connectors: list[catalog_service_pb2.ConnectorInfo] = []
        token = ""
        while True:
            request = catalog_service_pb2.ListConnectorsRequest(page_size=_PAGE, page_token=token)
            reply, _ = await self._connection.ask(
                self._connection.catalog.ListConnectors, request, timeout=None
            )
            connectors.extend(reply.connectors)
            token = reply.next_page_token
            if not token:
                return connectors

    async def connector(self, name: str) -> catalog_service_pb2.ConnectorInfo:
        """Describes one connector."""
        request = catalog_service_pb2.GetConnectorRequest(name=name)
        reply, _ = await self._connection.ask(
            self._connection.catalog.GetConnector, request, timeout=None
        )
        found: catalog_service_pb2.ConnectorInfo = reply.connector
        return found


def _records(told: str | bytes) -> outcome_pb2.Effort:
    """The attempt records of the trailers, without what the reply itself says."""
    effort = outcome_pb2.Effort.FromString(told) if isinstance(told, bytes) else None
    return outcome_pb2.Effort(ledger=effort.ledger if effort is not None else ())
