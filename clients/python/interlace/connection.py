"""One client's channels, opened when they are first used, and every call that runs on them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import grpc

from interlace.channel import ChannelConfig, caller_metadata, open_channel
from interlace.errors import (
    ClientClosed,
    DeadlineExceeded,
    ErrorFacts,
    error_from_rpc,
    is_own_cancel,
)
from interlace.v1.catalog_service_pb2_grpc import CatalogServiceStub
from interlace.v1.feed_service_pb2_grpc import FeedServiceStub
from interlace.v1.gateway_service_pb2_grpc import GatewayServiceStub

if TYPE_CHECKING:
    # These exist in the stubs for type checkers only.
    from interlace.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from interlace.v1.feed_service_pb2_grpc import FeedServiceAsyncStub
    from interlace.v1.gateway_service_pb2_grpc import GatewayServiceAsyncStub

if TYPE_CHECKING:  # these are there for type checkers alone
    from interlace.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub
    from interlace.v1.feed_service_pb2_grpc import FeedServiceAsyncStub
    from interlace.v1.gateway_service_pb2_grpc import GatewayServiceAsyncStub

__all__ = ["Connection"]

CallT = TypeVar("CallT")

_CUT_OFF = ErrorFacts(
    code=grpc.StatusCode.DEADLINE_EXCEEDED, message="the deadline cut the reply off"
)
_LEDGER = (("interlace-ledger", "1"),)


class Connection:
    """The channels to one target: one for calls, one for streams of events.

    They are made inside the running loop, and belong to it. `close` ends every call first, since
    closing a channel under a call looks to its caller like a cancellation.
    """

    def __init__(self, target: str, config: ChannelConfig, deadline: float) -> None:
        self._target = target
        self._config = config
        self._metadata = caller_metadata(config)
        self._channels: dict[bool, grpc.aio.Channel] = {}
        self._stubs: dict[tuple[type[Any], bool], Any] = {}
        self._calls: WeakSet[Any] = WeakSet()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.deadline = deadline

    @property
    def gateway(self) -> GatewayServiceAsyncStub:
        """The stub of GatewayService."""
        stub: GatewayServiceAsyncStub = self._stub(GatewayServiceStub)
        return stub

    @property
    def catalog(self) -> CatalogServiceAsyncStub:
        """The stub of CatalogService."""
        stub: CatalogServiceAsyncStub = self._stub(CatalogServiceStub)
        return stub

    @property
    def feeds(self) -> FeedServiceAsyncStub:
        """The stub of FeedService, for its streams."""
        stub: FeedServiceAsyncStub = self._stub(FeedServiceStub, for_feeds=True)
        return stub

    @property
    def sinks(self) -> FeedServiceAsyncStub:
        """The stub of FeedService, for Publish, which shares the channel of the calls."""
        stub: FeedServiceAsyncStub = self._stub(FeedServiceStub)
        return stub

    def metadata(self, *, ledger: bool = False) -> tuple[tuple[str, str], ...]:
        """The metadata of a call."""
        return (*self._metadata, *_LEDGER) if ledger else self._metadata

    async def ask(
        self, method: Any, request: Any, *, timeout: float | None, ledger: bool = False
    ) -> tuple[Any, grpc.aio.Metadata]:
        """Makes a unary call and returns its reply and trailers; `timeout` None means the default
        deadline. Raises InterlaceError, whatever gRPC raises."""
        call = self.own(
            method(
                request,
                timeout=self.deadline if timeout is None else timeout,
                metadata=self.metadata(ledger=ledger),
            )
        )
        try:
            reply, trailers = await call, await call.trailing_metadata()
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        except asyncio.CancelledError as error:
            if is_own_cancel():
                raise
            raise ClientClosed from error
        if reply is None:
            # gRPC's own race: the status arrived, OK, and the deadline cut the reply off.
            raise DeadlineExceeded(_CUT_OFF)
        return reply, trailers

    def own(self, call: CallT) -> CallT:
        """Takes note of a call, so that `close` ends it."""
        self._calls.add(call)
        return call

    async def close(self) -> None:
        """Ends every call with ClientClosed and closes the channels. Doing it twice is harmless."""
        self._is_closed = True
        for call in list(self._calls):
            call.cancel()
        channels, self._channels = self._channels, {}
        for channel in channels.values():
            await channel.close()

    def _stub(self, kind: type[Any], *, for_feeds: bool = False) -> Any:
        if self._is_closed:
            raise ClientClosed
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            raise RuntimeError("a client belongs to the loop in which it was first used")
        self._loop = loop
        stub = self._stubs.get((kind, for_feeds))
        if stub is None:
            stub = self._stubs[kind, for_feeds] = kind(self._channel(for_feeds=for_feeds))
        return stub

    def _channel(self, *, for_feeds: bool) -> grpc.aio.Channel:
        if for_feeds not in self._channels:
            self._channels[for_feeds] = open_channel(
                self._target, self._config, for_feeds=for_feeds
            )
        return self._channels[for_feeds]
