"""A leader passes its ring on; a follower that stalls, or makes no sense, costs nobody else."""

from __future__ import annotations

import asyncio
import stat
import struct
from pathlib import Path

from feed_rig import ScriptedFeed
from relay_rig import hear, settled, until, workers

from interlaced.core.cursor import Place
from interlaced.core.model import GapWhy
from interlaced.core.ring import Entry, Missing
from interlaced.relay.packing import unpack_items
from interlaced.relay.talk import ITEMS, Hello, Seat, Welcome
from interlaced.relay.term import socket_path
from interlaced.relay.wire import framed, read_message

BIG = "x" * 100_000


def socket(folder: Path) -> Path:
    return socket_path(folder, "up.Ticks")


async def connect(
    folder: Path, place: Place | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(socket(folder))
    writer.write(framed(Hello(place).pack()))
    return reader, writer


async def test_its_socket_belongs_to_this_user_alone(tmp_path: Path) -> None:
    async with workers(tmp_path, ScriptedFeed(), 1) as (one,):
        await hear(one)
        assert stat.S_IMODE(socket(tmp_path).stat().st_mode) == 0o600


async def test_a_stalled_follower_does_not_stall_the_leader_and_gets_a_gap(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed(batch=10)
    async with workers(tmp_path, feed, 1, ring_events=50) as (one,):
        first = await hear(one)
        reader, writer = await connect(tmp_path)
        assert Welcome.unpack(await read_message(reader)).seat is Seat.FRESH
        for number in range(300):  # some 30 MB, of which it reads nothing
            feed.publish(number, subject=BIG, key=BIG)
        await until(lambda: len(first.got) == 300)
        assert first.gaps == []
        got: list[int] = []
        gaps: list[GapWhy] = []
        while not got or got[-1] < 299:
            message = await read_message(reader)
            if message[:1] == ITEMS:
                for item in unpack_items(message[1:]):
                    if isinstance(item, Missing):
                        gaps.append(item.gap.why)
                    else:
                        got.append(int(item.data.split(b":")[1].rstrip(b";")))
        assert set(gaps) == {GapWhy.EXPIRED}
        assert got == sorted(set(got))
        assert len(got) < 300
        writer.close()


async def test_a_stalled_follower_of_a_source_that_replays_is_sent_to_the_source(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed(replays=True, batch=10)
    async with workers(tmp_path, feed, 1, ring_events=50) as (one,):
        first = await hear(one)
        reader, writer = await connect(tmp_path)
        for number in range(300):
            feed.publish(number, subject=BIG, key=BIG)
        await until(lambda: len(first.got) == 300)
        place = Place()
        try:
            while message := await read_message(reader):
                if message[:1] == ITEMS:
                    last = unpack_items(message[1:])[-1]
                    assert isinstance(last, Entry)
                    place = Place(last.epoch, last.position)
        except (EOFError, OSError):
            writer.close()
        reader, writer = await connect(tmp_path, place)
        assert Welcome.unpack(await read_message(reader)).seat is Seat.BEHIND
        writer.close()


async def test_what_is_no_message_closes_its_connection_and_nothing_else(tmp_path: Path) -> None:
    feed = ScriptedFeed()
    bad = [
        struct.pack(">I", 2**32 - 1),
        framed(b""),
        framed(b"H"),
        framed(b"H\x63\x00"),
        framed(b"?\x01\x00"),
        framed(b"H\x01\x01\x99" + bytes(30)),
        framed(Hello(None).pack()) + b"more",
    ]
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        for message in bad:
            reader, writer = await asyncio.open_unix_connection(socket(tmp_path))
            writer.write(message)
            writer.write_eof()
            async with asyncio.timeout(5):
                while await reader.read(1000):
                    pass
            writer.close()
        feed.publish(1)
        await settled(first, second, got=[1])
        assert (first.gaps, second.gaps, len(feed.readers)) == ([], [], 1)


async def test_a_follower_that_was_ahead_of_a_new_leader_gets_what_is_new_to_it(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first, second = await hear(one), await hear(two)
        feed.publish(1)
        await settled(first, second, got=[1])
        ring = one.hub.find("up.Ticks").ring
        ahead = Place(ring.epoch, (int.from_bytes(ring.place_before(1).position) + 7).to_bytes(8))
        await one.hub.close()
        await until(lambda: second.gaps == [GapWhy.RECONNECTED])
        feed.publish(2)
        await settled(second, got=[1, 2])
        reader, writer = await connect(tmp_path, ahead)
        assert Welcome.unpack(await read_message(reader)).seat is Seat.RESUMED
        message = await read_message(reader)
        gap, entry = unpack_items(message[1:])
        assert isinstance(gap, Missing)
        assert isinstance(entry, Entry)
        assert b":2;" in entry.data
        writer.close()


async def test_a_follower_of_before_a_leader_that_knows_nothing_gets_a_gap(
    tmp_path: Path,
) -> None:
    feed = ScriptedFeed()
    async with workers(tmp_path, feed, 2) as (one, two):
        first = await hear(one)
        feed.publish(1)
        await settled(first, got=[1])
        ring = one.hub.find("up.Ticks").ring
        place = ring.place_before(ring.end)
        await one.hub.close()
        second = await hear(two)
        feed.publish(2)
        await settled(second, got=[2])
        reader, writer = await connect(tmp_path, place)
        assert Welcome.unpack(await read_message(reader)).seat is Seat.RESUMED
        (gap,) = unpack_items((await read_message(reader))[1:])
        assert isinstance(gap, Missing)
        assert gap.gap.why is GapWhy.RECONNECTED
        (entry,) = unpack_items((await read_message(reader))[1:])
        assert isinstance(entry, Entry)
        writer.close()
