"""Members of a group, and what becomes of their deliveries."""

from __future__ import annotations

import asyncio

import pytest
from client_rig import QUICK, until

from interlace import (
    Client,
    DeliveryLost,
    Event,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Unavailable,
)
from interlace.testing import Failed, FakeServer


def numbered(*numbers: int) -> list[Event]:
    return [Event(id=str(n), source="test", type="t", data=b'{"n":%d}' % n) for n in numbers]


async def test_deliveries_are_acknowledged_once(service: str) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(1, 2, 3))
        async with client.consume("desk.Orders", "group") as deliveries:
            for expected in (1, 2, 3):
                delivery = await anext(deliveries)
                assert delivery.event.json() == {"n": expected}
                assert delivery.attempt == 1
                await delivery.ack()
                await delivery.ack()  # settling again changes nothing
        async with client.consume("desk.Orders", "group") as deliveries:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await anext(deliveries)


async def test_a_nack_brings_it_again_with_the_attempts_counted(service: str) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(1))
        async with client.consume("desk.Orders", "group") as deliveries:
            await (await anext(deliveries)).nack(0.05)
            again = await anext(deliveries)
            assert again.attempt == 2
            await again.ack()


async def test_a_rejected_delivery_is_a_dead_letter(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with client.consume("desk.Orders", "group") as deliveries:
        await (await anext(deliveries)).reject("unreadable")
    assert [(event.id, cause) for event, cause in feed.dead] == [("1", "unreadable")]


async def test_credit_bounds_what_is_unsettled(service: str) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(*range(10)))
        async with client.consume("desk.Orders", "group", credit=2) as deliveries:
            held = [await anext(deliveries), await anext(deliveries)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await anext(deliveries)
            deliveries.allow(1)
            held.append(await anext(deliveries))
            await held[0].ack()
            held.append(await anext(deliveries))
            assert [one.event.json()["n"] for one in held] == [0, 1, 2, 3]


async def test_what_is_unsettled_on_exit_goes_to_another_member(service: str) -> None:
    async with Client(service) as client:
        await client.publish("desk.Orders", numbered(1, 2))
        async with client.consume("desk.Orders", "group") as deliveries:
            await (await anext(deliveries)).ack()
            left = await anext(deliveries)
        with pytest.raises(DeliveryLost):
            await left.ack()
        async with asyncio.timeout(10), client.consume("desk.Orders", "group") as deliveries:
            again = await anext(deliveries)
            assert again.event.id == left.event.id
            await again.ack()


async def test_a_lost_stream_is_joined_again_and_its_deliveries_cannot_be_settled(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with client.consume("desk.Orders", "group", reconnect=QUICK) as deliveries:
        lost = await anext(deliveries)
        feed.disconnect()
        again = await anext(deliveries)
        assert (again.event.id, again.attempt) == ("1", 2)
        with pytest.raises(DeliveryLost) as raised:
            await lost.ack()
        assert isinstance(raised.value, Unavailable)
        await again.ack()


async def test_a_verdict_under_way_when_the_stream_is_lost_says_so(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with client.consume("desk.Orders", "group", reconnect=QUICK) as deliveries:
        delivery = await anext(deliveries)
        feed.disconnect()
        with pytest.raises(DeliveryLost):
            await delivery.ack()


async def test_going_away_is_obeyed(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.consume("desk.Orders", "group", reconnect=QUICK) as deliveries:
        first = asyncio.create_task(anext(deliveries))
        await until(lambda: feed.subscribers == 1)
        begun = asyncio.get_running_loop().time()
        feed.go_away(0.3)
        await until(lambda: feed.subscribers == 0)
        feed.emit(*numbered(1))
        await (await first).ack()
        assert asyncio.get_running_loop().time() - begun >= 0.3


async def test_a_cancelled_member_has_decided_all_the_same(
    server: FakeServer, client: Client
) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(1))
    async with client.consume("desk.Orders", "group") as deliveries:
        delivery = await anext(deliveries)
        settling = asyncio.create_task(delivery.ack())
        await asyncio.sleep(0)
        settling.cancel()
        await asyncio.gather(settling, return_exceptions=True)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(deliveries)
        feed.emit(*numbered(2))
        assert (await anext(deliveries)).event.id == "2"
    async with client.consume("desk.Orders", "group") as deliveries:
        assert (await anext(deliveries)).event.id == "2"


async def test_many_verdicts_leave_in_few_messages(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    feed.emit(*numbered(*range(500)))
    async with client.consume("desk.Orders", "group", credit=500) as deliveries:
        held = [await anext(deliveries) for _ in range(500)]
        await asyncio.gather(*(one.ack() for one in held))
    async with client.consume("desk.Orders", "group") as deliveries:
        feed.emit(*numbered(500))
        assert (await anext(deliveries)).event.id == "500"


async def test_what_cannot_be_mended_is_raised(server: FakeServer, client: Client) -> None:
    async with client.consume("desk.Nothing", "group") as deliveries:
        with pytest.raises(NotFound):
            await anext(deliveries)
        with pytest.raises(StopAsyncIteration):
            await anext(deliveries)
    server.feed("desk.Orders").refuse(Failed("NOT_ACKABLE"))
    async with client.consume("desk.Orders", "group") as deliveries:
        with pytest.raises(PreconditionFailed):
            await anext(deliveries)


async def test_without_reconnect_the_error_is_raised(server: FakeServer, client: Client) -> None:
    feed = server.feed("desk.Orders")
    async with client.consume("desk.Orders", "group", reconnect=None) as deliveries:
        first = asyncio.create_task(anext(deliveries))
        await until(lambda: feed.subscribers == 1)
        feed.fail(Failed("INVALID_REQUEST"))
        with pytest.raises(InvalidRequest):
            await first


async def test_a_silent_service_counts_as_lost_and_a_quiet_one_does_not(
    server: FakeServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlace.consumer._SILENCE", 0.2)
    feed = server.feed("desk.Orders")
    feed.heartbeat = 0.05
    async with client.consume("desk.Orders", "group", reconnect=QUICK) as deliveries:
        waiting = asyncio.create_task(anext(deliveries))
        await until(lambda: feed.subscribers == 1)
        link = deliveries._link
        await asyncio.sleep(0.4)
        assert deliveries._link is link
        feed.heartbeat = 30
        await until(lambda: deliveries._link not in (None, link))
        feed.emit(*numbered(1))
        assert (await waiting).event.id == "1"
