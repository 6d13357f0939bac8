"""The host of the group's brokers, seen from its socket."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from far_rig import far_connector, far_tools

from interlaced.connectors.memory.config import AckConfig, UpstreamConfig
from interlaced.core.model import Delivery, Effort, Event, Publication
from interlaced.core.ports import Start, StartKind
from interlaced.relay.broker_host import VERSION, BrokerHost, brokers_path, host_brokers
from interlaced.relay.records import decode, encode, pack_ack, pack_event, pack_start, pack_upstream
from interlaced.relay.wire import framed, read_message
from interlaced.testing.source_suite import make_events

UPSTREAM = pack_upstream(UpstreamConfig(memory="main"))
START = pack_start(Start(StartKind.OLDEST))
RULE = pack_ack(AckConfig())


class Peer:
    """A worker that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, *request: Any) -> list[Any]:
        self.writer.write(framed(encode(list(request))))
        async with asyncio.timeout(5):
            return decode(await read_message(self.reader))

    async def is_left(self) -> bool:
        async with asyncio.timeout(5):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@contextlib.asynccontextmanager
async def peer(folder: Path, hello: Any = (VERSION, UPSTREAM)) -> AsyncIterator[Peer]:
    reader, writer = await asyncio.open_unix_connection(brokers_path(folder))
    writer.write(framed(encode(list(hello))))
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[BrokerHost]:
    async with host_brokers(tmp_path) as hosting:
        yield hosting


async def test_its_socket_belongs_to_this_user_alone(tmp_path: Path, host: BrokerHost) -> None:
    assert stat.S_IMODE(brokers_path(tmp_path).stat().st_mode) == 0o600
    assert host.brokers == {}


async def test_whoever_names_a_broker_first_sets_its_bounds(
    tmp_path: Path, host: BrokerHost
) -> None:
    small = pack_upstream(UpstreamConfig(memory="main", keep_bytes=10_000))
    large = Event(id="1", source="s", type="t", data=bytes(20_000))
    async with peer(tmp_path, (VERSION, small)) as one, peer(tmp_path) as two:
        await one.ask(0, "publish", ["Orders", []])
        for each in (one, two):
            _, _, (confirmation,) = await each.ask(1, "publish", ["Orders", [pack_event(large)]])
            assert confirmation[0][0] == "TOO_LARGE"
    assert list(host.brokers) == ["main"]


@pytest.mark.parametrize(
    "hello", [(), (VERSION,), (VERSION + 1, UPSTREAM), (VERSION, None), (VERSION, [1])]
)
async def test_a_worker_that_speaks_otherwise_is_turned_away(
    tmp_path: Path, host: BrokerHost, hello: Any
) -> None:
    async with peer(tmp_path, hello) as one:
        assert await one.is_left()
    assert host.brokers == {}


@pytest.mark.parametrize(
    "requests",
    [
        [()],
        [(1, "dance", [])],
        [(1, "publish", [])],
        [(1, "publish", ["Orders", [[1]]])],
        [(1, "publish", "Orders")],
        [(1, "publish", [7, []])],
        [(1, "join", ["Orders", [], RULE])],
        [(1, "settle", [b"", 1, ["ack", None, ""]])],
        [(1, "read", [None])],
        [(1, "open", ["Orders", START]), (2, "open", ["Orders", START])],
        [(1, "open", ["Orders", START]), (2, "read", ["many"])],
        [(1, "open", ["Orders", START]), (2, "read", [None]), (3, "read", [None])],
    ],
)
async def test_a_request_that_makes_no_sense_ends_its_connection_alone(
    tmp_path: Path, host: BrokerHost, requests: list[Any]
) -> None:
    async with peer(tmp_path) as other, peer(tmp_path) as one:
        for request in requests:
            one.writer.write(framed(encode(list(request))))
        while not await one.is_left():
            pass
        assert await other.ask(1, "publish", ["Orders", []]) == [1, None, []]


async def test_answers_stay_short_and_a_member_that_dies_gives_everything_back(
    tmp_path: Path, host: BrokerHost
) -> None:
    events = [
        Event(id=str(n), source="s", type="t", data=bytes(400_000), position=b"") for n in range(9)
    ]
    async with peer(tmp_path) as one:
        await one.ask(0, "publish", ["Orders", [pack_event(event) for event in events]])
        await one.ask(1, "join", ["Orders", "work", RULE])
        _, _, first = await one.ask(2, "read", [None])
        assert 1 <= len(first) < 9
        _, _, second = await one.ask(3, "read", [None])
        assert second
    async with peer(tmp_path) as two:
        await two.ask(1, "join", ["Orders", "work", RULE])
        got: list[Any] = []
        number = 2
        while len(got) < 9:
            got += (await two.ask(number, "read", [None]))[2]
            number += 1
        assert sorted(each[0][0] for each in got) == [str(n) for n in range(9)]


async def test_workers_share_a_topic(tmp_path: Path, host: BrokerHost) -> None:
    one, two = far_connector(far_tools(tmp_path)), far_connector(far_tools(tmp_path))
    reader = await two.feeds["Orders"].open(Start())
    publication = Publication(
        deadline=asyncio.get_running_loop().time() + 1e9,
        effort=Effort(0),
        sink="Orders",
        events=make_events(3),
    )
    await one.sinks["Orders"].publish(publication)
    got: list[str] = []
    while len(got) < 3:
        got += [one.event.id for one in await reader.read() if isinstance(one, Delivery)]
    assert got == ["0", "1", "2"]
    await reader.close()
    for connector in (one, two):
        await connector.close()
