"""A client as users write it; type checkers read it strictly, nobody runs it."""

# ruff: noqa: T201 -- an example shows what it got

from __future__ import annotations

import asyncio

from interlace import (
    Branch,
    Call,
    Client,
    Dropped,
    Event,
    Gap,
    InterlaceError,
    Ledger,
    Outcome,
    Payload,
    Policy,
    PublishOutcome,
    Start,
)
from interlace.testing import Failed, FakeServer
from interlace.v1 import call_pb2, gateway_service_pb2
from interlace.v1.gateway_service_pb2_grpc import GatewayServiceStub


async def ask(client: Client) -> str:
    result = await client.call(
        "shop",
        "CreateOrder",
        {"id": 7, "tags": ["a", "b"], "gift": True},
        payload=Payload.from_json({"total": 995}),
        timeout=2.0,
        idempotency_key="o-17",
        ledger=True,
    )
    steps: list[str] = [step.reason for step in result.effort.ledger]
    return result.text() + ",".join(steps)


async def fan_out(client: Client) -> list[str]:
    branches = [Branch("a", Call("shop", "GetProduct", {"id": 1}), required=True)]
    outcomes: list[Outcome] = await client.fan_out(branches, policy=Policy.quorum(1))
    names = [outcome.branch for outcome in outcomes if outcome.is_ok]
    async with client.stream_fan_out(branches, timeout=3.0) as stream:
        async for item in stream:
            if isinstance(item, Ledger):
                names.extend(entry.branch for entry in item.entries)
            else:
                names.append(item.branch)
    return names


async def listen(client: Client) -> Event | None:
    async with client.subscribe("shop.Orders", start=Start.oldest(), heartbeat=5.0) as events:
        async for item in events:
            match item:
                case Event():
                    return item
                case Gap():
                    print(item.why, item.first, item.last)
                case Dropped():
                    print(item.count)
    return None


async def settle(client: Client) -> None:
    async with client.consume("shop.Orders", "billing", credit=4) as deliveries:
        async for delivery in deliveries:
            if delivery.attempt > 3:
                await delivery.reject("too often")
            else:
                await delivery.ack()


async def tell(client: Client) -> list[bytes]:
    event = Event(id="r-1", source="shop", type="returned", data=b"{}", attributes={"a": "b"})
    told: list[PublishOutcome] = await client.publish("shop.Returns", [event], timeout=1.0)
    for outcome in told:
        if outcome.error is not None and not outcome.error.can_retry(is_idempotent=True):
            raise outcome.error
    return [outcome.position for outcome in told if not outcome.is_duplicate]


async def session(client: Client) -> list[object]:
    async with client.session() as calls:
        results = await asyncio.gather(*(calls.call("shop", "Get", {"n": n}) for n in range(3)))
    return [result.json() for result in results]


async def stub(client: Client) -> bytes:
    import grpc.aio

    async with grpc.aio.insecure_channel("127.0.0.1:7070") as channel:
        request = gateway_service_pb2.CallRequest(call=call_pb2.Call(connector="shop"))
        reply = await GatewayServiceStub(channel).Call(request, timeout=2.0)
    data: bytes = reply.payload.data
    return data


async def main() -> None:
    async with FakeServer() as server, Client(server.target, deadline=5.0) as client:
        server.on("shop", "CreateOrder", Failed("BREAKER_OPEN", retry_after=1.0), {"id": 1})
        try:
            print(await ask(client))
        except InterlaceError as error:
            wait: float | None = error.retry_after
            print(error.reason, error.code.name, wait)
        for connector in await client.catalog():
            print(connector.name, [operation.name for operation in connector.operations])
