"""Sessions: many calls over one stream, and what a caller may and may not break."""

from __future__ import annotations

import asyncio

import pytest
from client_rig import QUICK, until

from interlace import (
    Client,
    ClientClosed,
    DeadlineExceeded,
    NotFound,
    Payload,
    Reached,
    SessionLost,
    TooLarge,
    Unavailable,
)
from interlace.testing import Failed, FakeServer
from interlaced.testing.fault_proxy import FaultProxy


async def test_a_thousand_calls_share_one_stream(service: str) -> None:
    async with Client(service) as client, client.session() as session:
        results = await asyncio.gather(
            *(session.call("desk", "Echo", {"n": number}) for number in range(1000))
        )
    assert [result.json()["n"] for result in results] == list(range(1000))


async def test_calls_are_batched_by_themselves_within_the_limits(
    server: FakeServer, client: Client
) -> None:
    server.gateway.in_flight = 50
    server.on("desk", "Hello", {})
    async with client.session() as session:
        await asyncio.gather(*(session.call("desk", "Hello") for _ in range(200)))
    assert sum(server.gateway.session_batches) == 200
    assert max(server.gateway.session_batches) == 50
    assert len(server.gateway.metadata) == 1


async def test_a_batch_stays_below_the_message_limit(server: FakeServer, client: Client) -> None:
    server.gateway.message_bytes = 10_000
    server.on("desk", "Hello", {})
    payload = Payload("application/octet-stream", bytes(3000))
    async with client.session() as session:
        await asyncio.gather(*(session.call("desk", "Hello", payload=payload) for _ in range(30)))
        assert max(server.gateway.session_batches) <= 3
        with pytest.raises(TooLarge) as raised:
            big = Payload("application/octet-stream", bytes(20_000))
            await session.call("desk", "Hello", payload=big)
        assert raised.value.reached is Reached.NOT_SENT
        await session.call("desk", "Hello")


async def test_each_call_has_its_own_failure(service: str) -> None:
    async with Client(service) as client, client.session() as session:
        good, bad = await asyncio.gather(
            session.call("desk", "Hello"),
            session.call("desk", "Nothing"),
            return_exceptions=True,
        )
    assert not isinstance(good, BaseException)
    assert isinstance(bad, NotFound)


async def test_each_call_has_its_own_deadline(service: str) -> None:
    async with Client(service) as client, client.session() as session:
        fast, slow = await asyncio.gather(
            session.call("desk", "Hello"),
            session.call("desk", "Slow", timeout=0.2),
            return_exceptions=True,
        )
        assert not isinstance(fast, BaseException)
        assert isinstance(slow, DeadlineExceeded)
        await session.call("desk", "Hello")


async def test_cancelled_callers_do_not_kill_the_stream(service: str) -> None:
    """Only an owned task writes: cancelling a caller inside `write` would kill the stream."""
    async with Client(service) as client, client.session() as session:
        await session.call("desk", "Hello")
        link = session._link
        for round_ in range(20):
            callers = [asyncio.create_task(session.call("desk", "Slow")) for _ in range(10)]
            for _ in range(round_ % 4):
                await asyncio.sleep(0)
            for caller in callers:
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            assert all(caller.cancelled() for caller in callers)
        results = await asyncio.gather(*(session.call("desk", "Hello") for _ in range(50)))
        assert len(results) == 50
        assert session._link is link


async def test_p4_a_cancelled_call_is_cancelled_at_the_service(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    async with client.session() as session:
        caller = asyncio.create_task(session.call("desk", "Slow"))
        await until(lambda: len(server.calls) == 1)
        caller.cancel()
        await until(lambda: len(server.cancelled) == 1)
        await asyncio.gather(caller, return_exceptions=True)
        assert caller.cancelled()


async def test_a_place_is_held_until_the_outcome_has_come(
    server: FakeServer, client: Client
) -> None:
    """A call counts as in flight until the service has said what became of it."""
    server.gateway.in_flight = 1
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    server.on("desk", "Hello", {})
    async with client.session() as session:
        slow = asyncio.create_task(session.call("desk", "Slow", timeout=0.2))
        await until(lambda: len(server.calls) == 1)
        await session.call("desk", "Hello")
        with pytest.raises(DeadlineExceeded):
            await slow


async def test_waiting_for_a_place_draws_on_the_deadline(
    server: FakeServer, client: Client
) -> None:
    server.gateway.in_flight = 1
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    async with client.session() as session:
        slow = asyncio.create_task(session.call("desk", "Slow"))
        await until(lambda: len(server.calls) == 1)
        with pytest.raises(DeadlineExceeded) as raised:
            await session.call("desk", "Slow", timeout=0.1)
        assert raised.value.reached is Reached.NOT_SENT
        assert len(server.calls) == 1
        slow.cancel()


async def test_a_lost_stream_fails_its_calls_and_says_what_was_reached(
    server: FakeServer, client: Client
) -> None:
    server.gateway.in_flight = 2
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    server.on("desk", "Hello", {})
    async with client.session(reconnect=QUICK) as session:
        callers = [asyncio.create_task(session.call("desk", "Slow")) for _ in range(4)]
        await until(lambda: len(server.calls) == 2)
        server.end_sessions()
        errors = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(error, SessionLost) for error in errors)
        reached = [error.reached for error in errors if isinstance(error, SessionLost)]
        assert reached == [Reached.MAYBE] * 2 + [Reached.NOT_SENT] * 2
        assert isinstance(errors[0], SessionLost)
        assert not errors[0].can_retry()
        assert isinstance(errors[3], SessionLost)
        assert errors[3].can_retry()
        await session.call("desk", "Hello")
    assert len(server.gateway.metadata) == 2, "one stream, and one after it"


async def test_a_draining_service_has_begun_nothing_that_it_has_not_answered(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    async with client.session() as session:
        caller = asyncio.create_task(session.call("desk", "Slow"))
        await until(lambda: len(server.calls) == 1)
        server.end_sessions(Failed("DRAINING", retry_after=0.1))
        with pytest.raises(SessionLost) as raised:
            await caller
    assert raised.value.reached is Reached.NOT_SENT
    assert raised.value.reason == "DRAINING"
    assert raised.value.retry_after == 0.1


async def test_without_reconnect_a_lost_session_stays_lost(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Hello", {})
    async with client.session(reconnect=None) as session:
        await session.call("desk", "Hello")
        server.end_sessions()
        await until(lambda: session._link is not None and session._link.is_over)
        with pytest.raises(SessionLost) as raised:
            await session.call("desk", "Hello")
        assert raised.value.reached is Reached.NOT_SENT


async def test_cut_connections_cost_the_calls_in_flight_and_nothing_else(
    server: FakeServer,
) -> None:
    server.on("desk", "Echo", lambda call: dict(call.parameters))
    async with (
        FaultProxy("127.0.0.1", server.port) as proxy,
        Client(f"127.0.0.1:{proxy.port}") as client,
        client.session(reconnect=QUICK) as session,
    ):
        good = lost = 0
        for number in range(300):
            if number % 30 == 29:
                proxy.cut()
            try:
                result = await session.call("desk", "Echo", {"n": number}, timeout=10)
            except Unavailable:
                lost += 1
            else:
                good += 1
                assert result.json() == {"n": number}
        assert good >= 250
        assert good + lost == 300


async def test_a_clean_exit_waits_for_what_is_in_flight(server: FakeServer, client: Client) -> None:
    async def slow(call: object) -> object:
        await asyncio.sleep(0.1)
        return {"ok": True}

    server.on("desk", "Slow", slow)
    async with client.session() as session:
        caller = asyncio.create_task(session.call("desk", "Slow"))
        await until(lambda: len(server.calls) == 1)
    assert (await caller).json() == {"ok": True}
    with pytest.raises(SessionLost):
        await session.call("desk", "Slow")


async def test_an_exit_by_an_exception_waits_for_nothing(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))

    async def leave() -> None:
        async with client.session() as session:
            callers.append(asyncio.create_task(session.call("desk", "Slow")))
            await until(lambda: len(server.calls) == 1)
            raise ValueError("enough")

    callers: list[asyncio.Task[object]] = []
    with pytest.raises(ValueError, match="enough"):
        await leave()
    with pytest.raises(SessionLost):
        await callers[0]


async def test_a_closed_client_ends_its_sessions(server: FakeServer) -> None:
    server.on("desk", "Slow", lambda call: asyncio.sleep(30))
    client = Client(server.target)
    session = client.session()
    caller = asyncio.create_task(session.call("desk", "Slow"))
    await until(lambda: len(server.calls) == 1)
    await client.close()
    with pytest.raises(SessionLost) as raised:
        await caller
    assert isinstance(raised.value.__cause__, ClientClosed)
    await session.close()


async def test_the_ledger_is_asked_for_once_for_all(server: FakeServer, client: Client) -> None:
    server.on("desk", "Hello", {})
    async with client.session(ledger=True) as session:
        await session.call("desk", "Hello")
    assert server.gateway.metadata[0]["interlace-ledger"] == "1"


async def test_the_services_answer_to_a_deadline_comes_before_ours(
    server: FakeServer, client: Client
) -> None:
    server.on("desk", "Hello", {})
    async with client.session() as session:
        await session.call("desk", "Hello", timeout=10)
    timeout = server.calls[0].timeout
    assert timeout is not None
    assert 9 < timeout < 10
