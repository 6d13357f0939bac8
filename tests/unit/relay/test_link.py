"""A follower's ring becomes the leader's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from feed_rig import ScriptedFeed
from relay_rig import hear, settled, workers

from interlaced.core.cursor import Place
from interlaced.relay.link import open_link, place_of
from interlaced.relay.talk import Seat, Welcome
from interlaced.relay.wire import Listener, WireError, framed, read_message


async def test_it_names_the_place_that_its_ring_has_come_to(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 1) as (one,):
        shared = one.hub.find("up.Ticks")
        assert place_of(shared) is None
        first = await hear(one)
        assert place_of(shared) is None
        feed.publish(1, 2)
        await settled(first, got=[1, 2])
        assert place_of(shared) == shared.ring.place_before(2)


@pytest.mark.parametrize("answer", [b"", b"?", b"i\x02", b"ix"])
async def test_a_leader_that_makes_no_sense_is_left(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_message(reader)
        writer.write(framed(Welcome(Seat.FRESH, 5, Place(5)).pack()) + framed(answer))
        await reader.read()

    listener = Listener(serve, most=1)
    await listener.start(tmp_path / "s")
    async with workers(tmp_path, ScriptedFeed(), 1) as (one,):
        link = await open_link(tmp_path / "s", one.hub.find("up.Ticks"))
        with pytest.raises(WireError):
            await link.run(one.hub.find("up.Ticks"), lambda: None)
        link.close()
    await listener.close()


async def test_where_nobody_leads_there_is_no_link(tmp_path: Path) -> None:
    async with workers(tmp_path, ScriptedFeed(), 1) as (one,):
        with pytest.raises(OSError, match="No such file"):
            await open_link(tmp_path / "none", one.hub.find("up.Ticks"))
