"""A link that never mends itself, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import nats.errors
import pytest
from nats.aio.msg import Msg
from nats_server import NatsServer

from interlaced.core.clock import LoopClock
from interlaced.core.secret import Secret
from interlaced.testing.fault_proxy import FaultProxy, Faults
from interlaced.transport.nats_link import Link, LinkLost, LinkSettings

pytestmark = pytest.mark.live


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "store") as running:
        yield running


async def connect(*servers: str, **settings: object) -> Link:
    made = LinkSettings(servers=servers, connect_timeout=1.0, **settings)
    return await Link.open(made, LoopClock(), Random(1))


async def test_it_asks_and_is_answered(server: NatsServer) -> None:
    link = await connect(server.url)
    assert b"account_info" in (await link.ask("$JS.API.INFO", seconds=2)).data
    assert link.max_payload == 1024 * 1024
    with pytest.raises(nats.errors.NoRespondersError):
        await link.ask("nobody", seconds=2)
    await link.close()
    await link.close()


async def test_what_is_sent_arrives_in_order_before_a_flush_ends(server: NatsServer) -> None:
    link = await connect(server.url)
    got: list[bytes] = []

    async def note(message: Msg) -> None:
        got.append(message.data)

    subscription = await link.listen("a.*", note)
    for number in range(500):
        await link.send("a.b", str(number).encode())
    await link.silence(subscription, 5)
    assert got == [str(number).encode() for number in range(500)]
    await link.send("a.b", b"late")
    await link.flush(5)
    assert len(got) == 500
    await link.close()


async def test_a_killed_server_ends_it_for_good(server: NatsServer) -> None:
    server.need_own()
    link = await connect(server.url)
    told = asyncio.Event()
    link.watch(told.set)

    async def never(message: Msg) -> None:
        """Answers nothing."""

    await link.listen("slow", never)
    waiting = await link.submit("slow", b"")
    server.kill()
    await told.wait()
    with pytest.raises(LinkLost):
        await waiting
    server.start()
    for doing in (link.send("a", b""), link.ask("a", seconds=1), link.flush(1)):
        with pytest.raises(LinkLost):
            await doing
    assert link.lost is not None
    await link.close()


async def test_one_of_several_servers_is_enough(server: NatsServer) -> None:
    for _ in range(3):
        link = await connect("nats://127.0.0.1:1", server.url, "nats://127.0.0.1:2")
        assert link.lost is None
        await link.close()


async def test_a_refusal_is_told_as_it_is() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect("nats://127.0.0.1:1")


async def test_a_server_that_says_nothing_is_given_up(server: NatsServer) -> None:
    server.pause()
    since = LoopClock().now()
    with pytest.raises((TimeoutError, nats.errors.Error)):
        await connect(server.url)
    assert LoopClock().now() - since < 4
    server.resume()


async def test_wrong_credentials_are_no_lost_connection(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "closed", options=("--auth", "s3cret")) as server:
        with pytest.raises(nats.errors.AuthorizationError):
            await connect(server.url, token=Secret("wrong"))
        await (await connect(server.url, token=Secret("s3cret"))).close()


async def test_a_dead_connection_is_closed_without_a_good_bye(server: NatsServer) -> None:
    address = urlsplit(server.url)
    async with FaultProxy(str(address.hostname), address.port or 4222) as proxy:
        link = await connect(f"nats://127.0.0.1:{proxy.port}", ping=0.2)
        told = asyncio.Event()
        link.watch(told.set)
        proxy.script(Faults(blackhole=True))
        with pytest.raises(TimeoutError):
            await link.ask("$JS.API.INFO", seconds=0.1)
        await told.wait()
        await link.close()


@pytest.mark.parametrize("what", ["open", "listen", "send", "silence", "close"])
async def test_a_cancellation_is_never_swallowed(server: NatsServer, what: str) -> None:
    """nats-py swallows one that meets it in a flush. A reader that goes on after it would keep its
    leases alive for a member that has gone, and its deliveries would come to nobody (L5)."""
    for steps in range(40):
        link = await connect(server.url)
        task = asyncio.ensure_future(_do(what, link, server.url))
        for _ in range(steps):
            await asyncio.sleep(0)
        is_early = task.cancel()
        await asyncio.wait([task], timeout=10)
        assert task.cancelled() or not is_early, f"swallowed after {steps} steps"
        await link.close()
        if not is_early:
            return


async def _do(what: str, link: Link, url: str) -> None:
    async def ignore(message: Msg) -> None:
        """Takes it."""

    if what == "open":
        await (await connect(url)).close()
    elif what == "send":
        for _ in range(3):
            await link.send("a.b", b"x" * 900_000)
    elif what == "close":
        await link.close()
    else:
        subscription = await link.listen("a.b", ignore)
        if what == "silence":
            await link.silence(subscription, 5)
    await asyncio.sleep(0)
