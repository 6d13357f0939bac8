"""Events: a queue per subscriber, and one message per event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc
from google.rpc.status_pb2 import Status

from interlace.v1 import feed_service_pb2_grpc
from interlace.v1.feed_service_pb2 import (
    ConsumeRequest,
    ConsumeResponse,
    EventBatch,
    PublishOutcome,
    PublishRequest,
    PublishResponse,
    SubscribeRequest,
    SubscribeResponse,
)

__all__ = ["BUFFER", "Feeds"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

BUFFER = 1_000


class Feeds(feed_service_pb2_grpc.FeedServiceServicer):
    """One feed for all. A message is built once and yielded to every subscriber; a subscriber
    whose queue is full loses the newest, as Interlace's may lose the oldest."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[SubscribeResponse]] = set()
        self._never = asyncio.Event()

    async def Publish(self, request: PublishRequest, context: Context) -> PublishResponse:  # noqa: N802  # gRPC's name
        """Hand every event to every subscriber."""
        for event in request.events:
            message = SubscribeResponse(batch=EventBatch(events=[event]))
            for queue in self._queues:
                if not queue.full():
                    queue.put_nowait(message)
        return PublishResponse(outcomes=[PublishOutcome(status=Status()) for _ in request.events])

    async def Subscribe(  # noqa: N802  # as above
        self, request: SubscribeRequest, context: Context
    ) -> AsyncIterator[SubscribeResponse]:
        """Yield one message per event; the feed `idle` is a bare stream that never has any."""
        if request.feed == "idle":
            await self._never.wait()
            return
        queue: asyncio.Queue[SubscribeResponse] = asyncio.Queue(BUFFER)
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    async def Consume(  # noqa: N802  # as above
        self, request_iterator: AsyncIterator[ConsumeRequest], context: Context
    ) -> AsyncIterator[ConsumeResponse]:
        """Refuse: a queue in memory settles nothing, a broker does (`--nats`)."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "start the baseline with --nats")
        yield ConsumeResponse()
