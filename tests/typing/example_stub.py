"""The generated code alone, as its users write with it: a stub and a servicer of grpc.aio."""

# ruff: noqa: N802 -- the protos name the methods

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc.aio

from interlace.v1 import call_pb2, feed_service_pb2, gateway_service_pb2, payload_pb2
from interlace.v1.feed_service_pb2_grpc import FeedServiceStub
from interlace.v1.gateway_service_pb2_grpc import (
    GatewayServiceServicer,
    GatewayServiceStub,
    add_GatewayServiceServicer_to_server,
)


async def ask(channel: grpc.aio.Channel) -> str:
    call = call_pb2.Call(
        connector="shop",
        operation="Get",
        parameters=[call_pb2.Parameter(name="id", int64_value=7)],
    )
    stub = GatewayServiceStub(channel)
    reply = await stub.Call(gateway_service_pb2.CallRequest(call=call), timeout=2.0)
    media_type: str = reply.payload.media_type
    return media_type + reply.payload.data.decode()


async def listen(channel: grpc.aio.Channel) -> list[str]:
    request = feed_service_pb2.SubscribeRequest(feed="shop.Orders")
    ids: list[str] = []
    async for frame in FeedServiceStub(channel).Subscribe(request):
        ids.extend(event.id for event in frame.batch.events)
    return ids


class Gateway(GatewayServiceServicer):
    """A stand-in that users may write, instead of the fake that ships."""

    async def Call(
        self, request: gateway_service_pb2.CallRequest, context: object
    ) -> gateway_service_pb2.CallResponse:
        payload = payload_pb2.Payload(data=request.call.operation.encode())
        return gateway_service_pb2.CallResponse(payload=payload)

    async def FanOut(
        self, request: gateway_service_pb2.FanOutRequest, context: object
    ) -> gateway_service_pb2.FanOutResponse:
        return gateway_service_pb2.FanOutResponse()

    async def StreamFanOut(
        self, request: gateway_service_pb2.StreamFanOutRequest, context: object
    ) -> AsyncIterator[gateway_service_pb2.StreamFanOutResponse]:
        yield gateway_service_pb2.StreamFanOutResponse()

    async def Session(
        self,
        request_iterator: AsyncIterator[gateway_service_pb2.SessionRequest],
        context: object,
    ) -> AsyncIterator[gateway_service_pb2.SessionResponse]:
        async for _ in request_iterator:
            yield gateway_service_pb2.SessionResponse()


async def serve() -> None:
    server = grpc.aio.server()
    add_GatewayServiceServicer_to_server(Gateway(), server)
    await server.start()
    await server.wait_for_termination()
