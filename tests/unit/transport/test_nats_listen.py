"""Listening has a bound, and what exceeds it is counted."""

from __future__ import annotations

import asyncio

import pytest
from fake_link import FakeLink, FakeMessage

from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_listen import Listener


async def test_what_comes_while_too_many_wait_is_dropped_and_counted() -> None:
    link, told = FakeLink(), []
    listener = Listener(link, limit=2, dropped=lambda: told.append(1))
    await listener.listen("prices", 1.0)
    for number in range(5):
        await link.callbacks["prices"](FakeMessage(data=bytes([number])))
    link.drops[0]()
    messages, dropped = await listener.take()
    assert [one.data for one in messages] == [b"\0", b"\1"]
    assert (dropped, len(told)) == (4, 4)
    waiting = asyncio.create_task(listener.take())
    await asyncio.sleep(0)
    await link.callbacks["prices"](FakeMessage(data=b"x"))
    assert [one.data for one in (await waiting)[0]] == [b"x"]


async def test_a_lost_link_is_told_after_what_had_come() -> None:
    link = FakeLink()
    listener = Listener(link, limit=2, dropped=list)
    await listener.listen("prices", 1.0)
    await link.callbacks["prices"](FakeMessage(data=b"x"))
    link.lose()
    assert len((await listener.take())[0]) == 1
    with pytest.raises(LinkLost):
        await listener.take()
