"""The client against the fake server and against the service itself."""

from __future__ import annotations

import asyncio
import gc
import socket

import pytest
from client_rig import until

from interlace import (
    ArgumentFrom,
    Branch,
    Call,
    ChannelConfig,
    Client,
    ClientClosed,
    DeadlineExceeded,
    Event,
    InterlaceError,
    Ledger,
    NotFound,
    Outcome,
    Payload,
    Policy,
    PolicyNotMet,
    Reached,
    ReplySource,
    Start,
    Unavailable,
)
from interlace.testing import Failed, FakeServer

HELLO = Call("desk", "Hello")
MISSING = Call("desk", "Missing")
SLOW = Call("desk", "Slow")


async def test_a_call_brings_the_reply_and_what_it_took(service: str) -> None:
    async with Client(service) as client:
        result = await client.call("desk", "Hello")
        assert result.json() == {"greeting": "hello"}
        assert result.media_type == "application/json"
        assert result.effort.attempts == 1
        assert result.effort.source is ReplySource.UPSTREAM
        assert result.effort.ledger == ()


async def test_the_ledger_comes_when_it_is_asked_for(service: str) -> None:
    async with Client(service) as client:
        result = await client.call("desk", "Hello", ledger=True)
        assert "attempt" in [step.step for step in result.effort.ledger]


async def test_a_payload_travels_untouched(service: str) -> None:
    async with Client(service) as client:
        payload = Payload("application/json", '{"a" : [1,  "ä"]}'.encode())
        result = await client.call("desk", "Echo", payload=payload)
        assert result.data == payload.data


async def test_an_unknown_name_is_not_found_with_its_reason(service: str) -> None:
    async with Client(service) as client:
        with pytest.raises(NotFound) as connector:
            await client.call("nobody", "Hello")
        with pytest.raises(NotFound) as operation:
            await client.call("desk", "Nothing")
    assert connector.value.reason == "UNKNOWN_CONNECTOR"
    assert operation.value.reason == "UNKNOWN_OPERATION"
    assert operation.value.reached is Reached.NOT_SENT


async def test_a_fan_out_has_an_outcome_per_branch_in_order(service: str) -> None:
    branches = [Branch("a", MISSING), Branch("b", HELLO), Branch("c", HELLO)]
    async with Client(service) as client:
        outcomes = await client.fan_out(branches, policy=Policy.quorum(2))
    assert [outcome.branch for outcome in outcomes] == ["a", "b", "c"]
    assert [outcome.is_ok for outcome in outcomes] == [False, True, True]
    assert outcomes[1].unwrap().json() == {"greeting": "hello"}
    with pytest.raises(NotFound):
        outcomes[0].unwrap()


async def test_a_policy_that_is_not_met_raises_with_the_ledger(service: str) -> None:
    branches = [Branch("a", MISSING), Branch("b", HELLO)]
    async with Client(service) as client:
        with pytest.raises(PolicyNotMet) as raised:
            await client.fan_out(branches)
    assert raised.value.ledger is not None
    assert [entry.branch for entry in raised.value.ledger.entries] == ["a", "b"]


async def test_the_first_success_cancels_the_rest(service: str) -> None:
    branches = [Branch("slow", SLOW), Branch("fast", HELLO)]
    async with Client(service) as client:
        outcomes = await client.fan_out(branches, policy=Policy.first_ok())
    assert outcomes[0].error is not None
    assert outcomes[0].error.reason == "CALLER_CANCELLED"
    assert outcomes[1].is_ok


async def test_a_branch_takes_an_argument_from_another(service: str) -> None:
    source = ArgumentFrom("first", "/greeting", "word")
    branches = [
        Branch("first", HELLO),
        Branch("second", Call("desk", "Echo"), arguments_from=[source]),
    ]
    async with Client(service) as client:
        outcomes = await client.fan_out(branches)
    assert outcomes[1].unwrap().json() == {"word": "hello"}


async def test_a_streamed_fan_out_yields_what_lands_first_and_the_ledger_last(
    service: str,
) -> None:
    branches = [Branch("slow", SLOW), Branch("fast", HELLO)]
    items: list[Outcome | Ledger] = []
    async with (
        Client(service) as client,
        client.stream_fan_out(branches, policy=Policy.first_ok()) as stream,
    ):
        items = [item async for item in stream]
    assert isinstance(items[0], Outcome)
    assert items[0].branch == "fast"
    assert isinstance(items[-1], Ledger)
    assert items[-1].policy_met


async def test_a_streamed_fan_out_raises_after_the_ledger(service: str) -> None:
    seen: list[Outcome | Ledger] = []
    async with Client(service) as client, client.stream_fan_out([Branch("a", MISSING)]) as stream:
        with pytest.raises(PolicyNotMet):
            async for item in stream:
                seen.append(item)  # noqa: PERF401  # the loop ends by raising
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert isinstance(seen[-1], Ledger)


async def test_events_are_published_and_confirmed_and_a_repeat_is_a_duplicate(
    service: str,
) -> None:
    event = Event(id="1", source="test", type="order", data=b'{"n":1}')
    async with Client(service) as client:
        first = await client.publish("desk.Orders", [event])
        second = await client.publish("desk.Orders", [event])
        with pytest.raises(NotFound) as unknown:
            await client.publish("desk.Nothing", [event])
    assert [outcome.is_ok for outcome in first] == [True]
    assert [outcome.is_duplicate for outcome in (*first, *second)] == [False, True]
    assert unknown.value.reason == "UNKNOWN_FEED"


async def test_the_catalog_tells_what_is_there(service: str) -> None:
    async with Client(service) as client:
        connectors = await client.catalog()
        connector = await client.connector("desk")
        with pytest.raises(NotFound):
            await client.connector("nobody")
    assert [found.name for found in connectors] == ["desk"]
    assert {it.name for it in connector.operations} == {"Echo", "Hello", "Missing", "Slow"}
    assert "Orders" in {it.name for it in connector.feeds}


async def test_a_call_without_a_timeout_has_the_default_deadline(server: FakeServer) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    async with Client(server.target, deadline=0.05) as client:
        with pytest.raises(DeadlineExceeded) as raised:
            await client.call("desk", "Slow")
    assert raised.value.is_from_network
    assert raised.value.reached is Reached.MAYBE
    assert not raised.value.can_retry()
    assert raised.value.can_retry(is_idempotent=True)


async def test_the_default_deadline_is_thirty_seconds(server: FakeServer) -> None:
    assert Client(server.target)._connection.deadline == 30.0


async def test_p4_a_cancelled_caller_cancels_the_call_at_the_service(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    task = asyncio.create_task(client.call("desk", "Slow"))
    await until(lambda: bool(server.calls))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(server.cancelled) == 1)


async def test_closing_the_client_is_no_cancellation_for_its_callers(server: FakeServer) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    server.feed("desk.Orders")
    client = Client(server.target)
    call = asyncio.create_task(client.call("desk", "Slow"))
    stream = asyncio.create_task(anext(client.stream_fan_out([Branch("a", SLOW)])))
    events = asyncio.create_task(anext(client.subscribe("desk.Orders")))
    deliveries = asyncio.create_task(anext(client.consume("desk.Orders", "g")))
    session = asyncio.create_task(client.session().call("desk", "Slow"))
    await until(lambda: len(server.calls) == 3 and server.feed("desk.Orders").subscribers == 2)
    await client.close()
    endings = await asyncio.gather(
        call, stream, events, deliveries, session, return_exceptions=True
    )
    assert all(isinstance(ending, InterlaceError) for ending in endings), endings
    assert [type(ending) for ending in endings[:4]] == [ClientClosed] * 4
    with pytest.raises(ClientClosed):
        await client.call("desk", "Slow")
    await client.close()


async def test_an_answer_of_the_service_says_when_to_come_back(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Busy", Failed("BREAKER_OPEN", retry_after=1.5, pushback=1.5))
    with pytest.raises(Unavailable) as raised:
        await client.call("desk", "Busy")
    assert raised.value.retry_after == 1.5
    assert raised.value.pushback == 1.5
    assert raised.value.can_retry()


async def test_nothing_is_repeated_behind_the_callers_back(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Lost", Failed())
    with pytest.raises(Unavailable):
        await client.call("desk", "Lost")
    assert len(server.calls) == 1


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with Client(f"127.0.0.1:{taken.getsockname()[1]}") as client:
            with pytest.raises(Unavailable) as raised:
                await client.call("desk", "Hello", timeout=10)
    assert raised.value.is_from_network


async def test_a_stream_that_is_left_early_is_cancelled(server: FakeServer, client: Client) -> None:
    server.on("desk", "Hello", {})
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    branches = [Branch("a", HELLO), Branch("b", SLOW)]
    async with client.stream_fan_out(branches, policy=Policy.best_effort()) as stream:
        landed = await anext(stream)
        assert isinstance(landed, Outcome)
        assert landed.branch == "a"
    await until(lambda: len(server.cancelled) == 1)
    assert server.cancelled[0].operation == "Slow"


async def test_p35_a_reply_of_the_services_limit_passes_and_more_says_why() -> None:
    async with FakeServer() as server, Client(server.target) as client:
        server.on("desk", "Big", Payload("application/octet-stream", bytes(4_100_000)))
        assert len((await client.call("desk", "Big")).data) == 4_100_000
        server.on("desk", "Big", Payload("application/octet-stream", bytes(9_000_000)))
        with pytest.raises(InterlaceError) as raised:
            await client.call("desk", "Big")
    assert raised.value.code.name == "RESOURCE_EXHAUSTED"


async def test_a_client_belongs_to_one_loop(server: FakeServer, client: Client) -> None:
    server.on("desk", "Hello", {})
    await client.call("desk", "Hello")

    async def elsewhere() -> None:
        await client.call("desk", "Hello")

    with pytest.raises(RuntimeError, match="belongs to the loop"):
        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_an_unhealthy_service_is_not_asked(server: FakeServer) -> None:
    server.on("desk", "Hello", {})
    server.set_healthy(False)
    async with (
        Client(server.target) as client,
        Client(server.target, ChannelConfig(checks_health=False)) as careless,
    ):
        with pytest.raises(Unavailable):
            await client.call("desk", "Hello", timeout=5)
        await careless.call("desk", "Hello")
        server.set_healthy(True)
        await until_it_answers(client)


async def test_an_api_key_travels_as_a_bearer(server: FakeServer) -> None:
    server.on("desk", "Hello", {})
    async with Client(server.target, ChannelConfig(api_key="sesame")) as client:
        await client.call("desk", "Hello")
    assert server.gateway.metadata[0]["authorization"] == "Bearer sesame"


async def test_no_task_is_left_by_anything(service: str) -> None:
    before = asyncio.all_tasks()
    async with Client(service) as client:
        await client.call("desk", "Hello")
        async with client.session() as session:
            await session.call("desk", "Hello")
        async with client.subscribe("desk.Orders", start=Start.oldest()) as events:
            await client.publish("desk.Orders", [Event(id="x", source="s", type="t")])
            await anext(events)
        async with client.consume("desk.Orders", "g") as deliveries:
            await (await anext(deliveries)).ack()
    gc.collect()
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if "interlace/" in repr(task)}
    assert not {task for task in left if "clients" in repr(task) and "fake_" not in repr(task)}


async def until_it_answers(client: Client) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await client.call("desk", "Hello")
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                return
