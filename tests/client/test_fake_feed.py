"""Feeds of the fake server, where tests rely on what they play."""

from __future__ import annotations

import asyncio

from client_rig import QUICK, until

from interlace import Client, Event, Filter, Start
from interlace.testing import FakeServer


async def test_events_are_values_or_events(server: FakeServer, client: Client) -> None:
    feed = server.feed("shop.Orders")
    feed.emit({"n": 1}, Event(id="own", type="mine", data=b"2"))
    async with client.subscribe("shop.Orders", start=Start.oldest()) as events:
        first, second = await anext(events), await anext(events)
    assert isinstance(first, Event)
    assert isinstance(second, Event)
    assert (first.id, first.type, first.json()) == ("e1", "fake", {"n": 1})
    assert (second.id, second.type, second.json()) == ("own", "mine", 2)
    assert first.position != second.position


async def test_a_frame_without_a_match_moves_the_cursor(server: FakeServer, client: Client) -> None:
    feed = server.feed("shop.Orders")
    feed.frame_size = 1
    feed.emit(Event(id="1", key="a"), Event(id="2", key="b"))
    async with client.subscribe(
        "shop.Orders", start=Start.oldest(), filter=Filter(key="b")
    ) as events:
        event = await anext(events)
        assert isinstance(event, Event)
        assert event.id == "2"


async def test_subscribers_are_counted(server: FakeServer, client: Client) -> None:
    feed = server.feed("shop.Orders")
    async with client.subscribe("shop.Orders") as events:
        waiting = asyncio.create_task(anext(events))
        await until(lambda: feed.subscribers == 1)
        feed.emit(1)
        item = await waiting
        assert isinstance(item, Event)
        assert item.json() == 1
    await until(lambda: feed.subscribers == 0)


async def test_two_members_share_a_group_and_two_groups_share_nothing(
    server: FakeServer, client: Client
) -> None:
    server.feed("shop.Orders").emit(1, 2)
    async with (
        client.consume("shop.Orders", "g", credit=1, reconnect=QUICK) as one,
        client.consume("shop.Orders", "g", credit=1, reconnect=QUICK) as two,
        client.consume("shop.Orders", "other", reconnect=QUICK) as other,
    ):
        shared = {(await anext(one)).event.json(), (await anext(two)).event.json()}
        alone = [(await anext(other)).event.json() for _ in range(2)]
    assert shared == {1, 2}
    assert alone == [1, 2]
