"""What type checkers must refuse: each marked line, for the reason named, and no other line."""

from __future__ import annotations

import grpc.aio

from interlace import Branch, Call, Client, Event, InterlaceError, Policy
from interlace.v1 import call_pb2, gateway_service_pb2
from interlace.v1.gateway_service_pb2_grpc import GatewayServiceStub


async def ask(client: Client) -> None:
    client.call("shop", "Get")  # wrong: unused-coroutine
    await client.call("shop")  # wrong: call-arg
    await client.call("shop", "Get", {"id": {1}})  # wrong: dict-item
    await client.call("shop", "Get", payload=b"{}")  # wrong: arg-type
    number: int = (await client.call("shop", "Get")).text()  # wrong: assignment
    Call("shop", "Get", timeout=str(number))  # wrong: arg-type


async def fan_out(client: Client) -> None:
    branch = Branch("a", Call("shop", "Get"))
    await client.fan_out(branch)  # wrong: arg-type
    await client.fan_out([branch], policy="all")  # wrong: arg-type
    outcomes = await client.fan_out([branch], policy=Policy.first_ok())
    outcomes[0].result.json()  # wrong: union-attr
    async for item in client.stream_fan_out([branch]):
        print(item.branch)  # noqa: T201  # wrong: union-attr


async def listen(client: Client) -> None:
    async with client.subscribe("shop.Orders") as events:
        async for item in events:
            item.json()  # wrong: union-attr
    with client.session():  # wrong: attr-defined
        pass
    async with client.consume("shop.Orders") as deliveries:  # wrong: call-arg
        await (await anext(deliveries)).nack("later")  # wrong: arg-type


async def tell(client: Client, event: Event) -> None:
    await client.publish("shop.Returns", event)  # wrong: arg-type
    event.id = "other"  # wrong: misc
    try:
        await client.publish("shop.Returns", [event])
    except InterlaceError as error:
        wait: float = error.retry_after  # wrong: assignment
        print(wait)  # noqa: T201


async def stub(channel: grpc.aio.Channel) -> None:
    reply = GatewayServiceStub(channel).Call(gateway_service_pb2.CallRequest())
    print(reply.payload)  # noqa: T201  # wrong: attr-defined
    call_pb2.Call(connector=1)  # wrong: arg-type
    await GatewayServiceStub(channel).Call(call_pb2.Call())  # wrong: arg-type
