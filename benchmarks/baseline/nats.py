"""Publish and consume on JetStream: nats-py, a durable per group, settled as the caller says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Self, TypeAlias

import grpc
from google.rpc.status_pb2 import Status
from nats.aio.msg import Msg
from nats.errors import TimeoutError as NothingCameError
from nats.js import JetStreamContext

from benchmarks.baseline.feed import Feeds
from interlace.v1.event_pb2 import Event
from interlace.v1.feed_service_pb2 import (
    ConsumeRequest,
    ConsumeResponse,
    Delivery,
    DeliveryBatch,
    PublishOutcome,
    PublishRequest,
    PublishResponse,
    SettleResult,
    SettleResults,
)

__all__ = ["NatsFeeds"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

SUBJECT = "base.new"
STREAM = "BASE"
"""Of its own: the two sides never see each other's events."""
BATCH = 64


class NatsFeeds(Feeds):
    """One stream. An event travels as its own bytes."""

    def __init__(self, stream: JetStreamContext) -> None:
        super().__init__()
        self._stream = stream

    @classmethod
    async def made(cls, stream: JetStreamContext) -> Self:
        """Make the stream and return what serves it."""
        await stream.add_stream(name=STREAM, subjects=[SUBJECT])
        return cls(stream)

    async def Publish(self, request: PublishRequest, context: Context) -> PublishResponse:  # noqa: N802  # gRPC's name
        """Publish all at once and await every confirmation."""
        await asyncio.gather(
            *[
                self._stream.publish(
                    SUBJECT, event.SerializeToString(), headers={"Nats-Msg-Id": event.id}
                )
                for event in request.events
            ]
        )
        return PublishResponse(outcomes=[PublishOutcome(status=Status()) for _ in request.events])

    async def Consume(  # noqa: N802  # as above
        self, request_iterator: AsyncIterator[ConsumeRequest], context: Context
    ) -> AsyncIterator[ConsumeResponse]:
        """Fetch in batches; a verdict is an ack that nobody confirms."""
        opening = (await anext(request_iterator)).open
        subscription = await self._stream.pull_subscribe(SUBJECT, opening.group, stream=STREAM)
        unsettled: dict[int, Msg] = {}
        ready: asyncio.Queue[ConsumeResponse] = asyncio.Queue()

        async def fetch() -> None:
            tag = 0
            while True:
                try:
                    messages = await subscription.fetch(BATCH, timeout=5)
                except NothingCameError:
                    continue
                deliveries = []
                for message in messages:
                    tag += 1
                    unsettled[tag] = message
                    event = Event.FromString(message.data)
                    deliveries.append(Delivery(tag=tag, event=event, attempt=1))
                ready.put_nowait(ConsumeResponse(deliveries=DeliveryBatch(deliveries=deliveries)))

        async def settle() -> None:
            async for request in request_iterator:
                results = []
                for settlement in request.settle.settlements:
                    await unsettled.pop(settlement.tag).ack()
                    results.append(SettleResult(tag=settlement.tag))
                ready.put_nowait(ConsumeResponse(results=SettleResults(results=results)))

        async with asyncio.TaskGroup() as group:
            group.create_task(fetch())
            group.create_task(settle())
            while True:
                yield await ready.get()
