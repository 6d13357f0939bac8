from __future__ import annotations

import asyncio
import json

import pytest
from websocket_rig import (
    TICKS,
    brief,
    config,
    connector_to,
    eventually,
    lost,
    read_until,
    scripted,
    tick,
)
from websockets.asyncio.server import ServerConnection

from interlaced.connectors.websocket.connector import CAPABILITY, build
from interlaced.core.failure import Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Durability, Reader, Start
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver, make_tools
from interlaced.testing.fault_proxy import FaultProxy, Faults

NOW = Start()
TWO_FEEDS: dict[str, object] = {
    "Ticks": TICKS,
    "News": {"match": {"$.op": "news"}, "id": "$.id"},
}


async def quiet(server: ServerConnection) -> None:
    await server.wait_closed()


async def test_events_come_in_order_with_their_settle() -> None:
    async def script(server: ServerConnection) -> None:
        for number in (1, 2, 3):
            await server.send(tick("A", number))
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        items = await read_until(reader, 3)
        assert brief(items) == ["A-1", "A-2", "A-3"]
        assert isinstance(items[0], Delivery)
        await items[0].settle(Settlement(Verdict.ACK))
        assert (reader.epoch, items[0].event.position) == (0, b"")
        await reader.close()
        await reader.close()


async def test_nothing_is_connected_before_the_first_reader_and_after_the_last() -> None:
    """P22: the upstream connection is counted by its readers."""
    async with scripted(quiet) as server, connector_to(server.url, feeds=TWO_FEEDS) as connector:
        assert server.connections == 0
        ticks = await connector.feeds["Ticks"].open(NOW)
        news = await connector.feeds["News"].open(NOW)
        await ticks.close()
        assert server.open == 1
        await news.close()
        await eventually(lambda: server.open == 0)
        assert server.connections == 1


async def test_many_readers_of_many_feeds_share_one_connection() -> None:
    """P22: upstream sees exactly one connection, also when all open at once."""
    go = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        await go.wait()
        await server.send(tick("A", 1))
        await server.send(json.dumps({"op": "news", "id": "n1"}))
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url, feeds=TWO_FEEDS) as connector:
        readers = await asyncio.gather(
            *(connector.feeds[name].open(NOW) for name in ["Ticks", "News"] * 10)
        )
        go.set()
        for number, reader in enumerate(readers):
            expected = "n1" if number % 2 else "A-1"
            assert brief(await read_until(reader, 1)) == [expected]
        assert server.connections == 1
        for reader in readers:
            await reader.close()


async def test_one_loss_is_one_reconnect_for_all_feeds_with_all_subscriptions_again() -> None:
    """F33: reconnect and resubscribe all; and never one connection per feed."""
    subscribed: list[object] = []
    go = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        subscribed.append([json.loads(await server.recv()) for _ in range(2)])
        if server_.connections == 1:
            await go.wait()
            await server.close(1012)
        await server.wait_closed()

    frames = [{"op": "subscribe", "channel": "ticks"}, {"op": "subscribe", "channel": "news"}]
    async with (
        scripted(script) as server_,
        connector_to(server_.url, feeds=TWO_FEEDS, on_open=frames) as connector,
    ):
        readers = [await connector.feeds[name].open(NOW) for name in TWO_FEEDS]
        go.set()
        for reader in readers:
            assert (await lost(reader)).reason is Reason.UPSTREAM_UNAVAILABLE
            await reader.close()
        again = await asyncio.gather(*(connector.feeds[name].open(NOW) for name in TWO_FEEDS))
        await asyncio.sleep(0.05)
        assert server_.connections == 2
        assert subscribed == [frames, frames]
        for reader in again:
            await reader.close()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, Reason.UPSTREAM_UNAVAILABLE),
        (1008, Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (1012, Reason.UPSTREAM_UNAVAILABLE),
        (1013, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_a_close_is_a_lost_connection_with_its_reason(code: int, reason: Reason) -> None:
    """F33: close 1012, 1013 and others; what came before is still read."""

    async def script(server: ServerConnection) -> None:
        await server.send(tick("A", 1))
        await server.close(code)

    async with scripted(script) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        assert brief(await read_until(reader, 1)) == ["A-1"]
        assert (await lost(reader)).reason is reason
        await reader.close()


async def test_a_cut_is_a_lost_connection() -> None:
    """F33: 1006."""

    async def script(server: ServerConnection) -> None:
        server.transport.abort()

    async with scripted(script) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        assert (await lost(reader)).context["close_code"] == "1006"
        await reader.close()


async def test_a_half_open_connection_is_found_within_two_heartbeats() -> None:
    """P20, F6, F33 (missed pong): the path drops everything and sends no RST. The connection is
    killed, not closed politely, so nothing hangs."""
    heartbeat = 0.2
    async with (
        scripted(quiet, ping_interval=None) as server,
        FaultProxy("127.0.0.1", server.port) as proxy,
        connector_to(
            f"ws://127.0.0.1:{proxy.port}/", heartbeat={"ping": f"{heartbeat}s"}
        ) as connector,
    ):
        reader = await connector.feeds["Ticks"].open(NOW)
        await asyncio.sleep(3 * heartbeat)  # pongs alone keep a quiet feed alive
        proxy.script(Faults(blackhole=True))
        loop = asyncio.get_running_loop()
        began = loop.time()
        failure = await lost(reader)
        took = loop.time() - began
        assert failure.reason is Reason.UPSTREAM_TIMEOUT
        assert took < 2 * heartbeat + 0.5, "within two heartbeats, and a slow machine's margin"
        await reader.close()
        proxy.heal()
        back = await connector.feeds["Ticks"].open(NOW)
        await back.close()


async def test_a_configured_frame_is_the_heartbeat() -> None:
    got = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        assert json.loads(await server.recv()) == {"op": "ping"}
        got.set()
        await server.wait_closed()

    beat = {"ping": "20ms", "dead_after": "5s", "frame": {"op": "ping"}}
    async with scripted(script) as server, connector_to(server.url, heartbeat=beat) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        async with asyncio.timeout(5):
            await got.wait()
        await reader.close()


async def test_a_subscription_that_nobody_confirms_is_given_up() -> None:
    async with (
        scripted(quiet) as server,
        connector_to(server.url, ack={"match": {"$.op": "ok"}, "within": "50ms"}) as connector,
    ):
        with pytest.raises(NotConnected) as caught:
            await connector.feeds["Ticks"].open(NOW)
        assert caught.value.failure.reason is Reason.UPSTREAM_TIMEOUT


async def test_a_refused_subscription_says_so() -> None:
    async def script(server: ServerConnection) -> None:
        await server.send('{"op": "error"}')
        await server.wait_closed()

    async with (
        scripted(script) as server,
        connector_to(
            server.url, ack={"match": {"$.op": "ok"}, "reject": {"$.op": "error"}}
        ) as connector,
    ):
        with pytest.raises(NotConnected) as caught:
            await connector.feeds["Ticks"].open(NOW)
        assert caught.value.failure.reason is Reason.UPSTREAM_REJECTED


async def test_events_that_come_before_the_ack_are_not_lost() -> None:
    """F33: the server sends before it confirms the subscription."""

    async def script(server: ServerConnection) -> None:
        await server.send(tick("A", 1))
        await server.send('{"op": "ok"}')
        await server.send(tick("A", 2))
        await server.wait_closed()

    async with (
        scripted(script) as server,
        connector_to(server.url, ack={"match": {"$.op": "ok"}}) as connector,
    ):
        reader = await connector.feeds["Ticks"].open(NOW)
        assert brief(await read_until(reader, 2)) == ["A-1", "A-2"]
        await reader.close()


async def test_a_fragmented_megabyte_is_one_event() -> None:
    """F33: a frame of 1 MiB split in 10,000."""
    text = json.dumps({"op": "news", "id": "big", "body": "x" * 2**20})
    size = len(text) // 10_000

    async def script(server: ServerConnection) -> None:
        await server.send(text[at : at + size] for at in range(0, len(text), size))
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url, feeds=TWO_FEEDS) as connector:
        reader = await connector.feeds["News"].open(NOW)
        (item,) = await read_until(reader, 1)
        assert isinstance(item, Delivery)
        assert item.event.data.decode() == text
        await reader.close()


async def test_text_that_is_no_utf_8_ends_the_connection() -> None:
    """F33: invalid UTF-8."""

    async def script(server: ServerConnection) -> None:
        await server.send(b'{"op": "\xff"}', text=True)
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        assert (await lost(reader)).reason is Reason.UPSTREAM_MALFORMED
        await reader.close()


async def test_an_oversized_frame_ends_the_connection() -> None:
    async def script(server: ServerConnection) -> None:
        await server.send("x" * 2000)
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url, max_frame="1kB") as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        assert (await lost(reader)).reason is Reason.TOO_LARGE
        await reader.close()


async def test_a_gap_is_told_once_and_drops_are_counted() -> None:
    """P21, F33: drop, reorder, duplicate and garbage over a real socket."""

    async def script(server: ServerConnection) -> None:
        for number in (1, 2, 5, 4, 5, 6):
            await server.send(tick("A", number))
        await server.send("no json")
        await server.send(tick("A", 7))
        await server.wait_closed()

    tools = make_tools()
    async with scripted(script) as server, connector_to(server.url, tools) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        items = await read_until(reader, 7)
        assert brief(items) == ["A-1", "A-2", "gap A-3..A-4", "A-5", "A-6", "gap ..", "A-7"]
        await reader.close()
    assert isinstance(tools.observer, FakeObserver)
    drops = tools.observer.feeds["market", "Ticks"].drops
    assert drops == [("late", 1), ("late", 1), ("unreadable", 1)]


async def test_a_reader_that_does_not_read_loses_the_oldest_and_is_told() -> None:
    """L7: what waits for a reader is bounded; what goes is a gap."""
    done = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        for number in range(1, 101):
            await server.send(tick("A", number))
        done.set()
        await server.wait_closed()

    tools = make_tools()
    async with (
        scripted(script) as server,
        connector_to(server.url, tools, buffer="4KiB") as connector,
    ):
        reader = await connector.feeds["Ticks"].open(NOW)
        await done.wait()
        await asyncio.sleep(0.05)
        items = list(await reader.read())
        gap, first = items[0], items[1]
        assert isinstance(gap, Gap)
        assert isinstance(first, Delivery)
        assert gap.why is GapWhy.EXPIRED
        assert gap.first == "A-1"
        assert int(gap.last[2:]) + 1 == int(first.event.id[2:])
        assert brief(items)[-1] == "A-100"
        assert len(items) < 20
        await reader.close()
    assert isinstance(tools.observer, FakeObserver)
    dropped = sum(count for why, count in tools.observer.feeds["market", "Ticks"].drops)
    assert dropped + len(items) - 1 == 100


async def test_what_comes_before_a_reader_is_back_is_kept_for_it() -> None:
    """After a loss the first feed to reopen reconnects for all; the others miss nothing of it."""
    go = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        if server_.connections == 1:
            await go.wait()
            await server.close(1012)
            return
        await server.send(json.dumps({"op": "news", "id": "n1"}))
        await server.send(tick("A", 1))
        await server.wait_closed()

    async with scripted(script) as server_, connector_to(server_.url, feeds=TWO_FEEDS) as connector:
        readers = [await connector.feeds[name].open(NOW) for name in TWO_FEEDS]
        go.set()
        for reader in readers:
            await lost(reader)
            await reader.close()
        ticks = await connector.feeds["Ticks"].open(NOW)
        await read_until(ticks, 1)
        news = await connector.feeds["News"].open(NOW)
        assert brief(await read_until(news, 1)) == ["n1"]
        await ticks.close()
        await news.close()


async def test_an_event_just_before_the_end_is_still_read() -> None:
    async def script(server: ServerConnection) -> None:
        await server.send(tick("A", 1))
        await server.close(1001)

    for _ in range(20):  # whether the reader wakes between the two is a matter of luck
        async with scripted(script) as server, connector_to(server.url) as connector:
            reader = await connector.feeds["Ticks"].open(NOW)
            assert brief(await read_until(reader, 1)) == ["A-1"]
            await reader.close()


def test_connects_keep_their_pace_however_many_feeds_ask() -> None:
    """F33: at most one reconnect per second and host."""
    clock = VirtualClock()
    feeds = {f"F{number}": {} for number in range(5)}

    async def main() -> int:
        attempts = 0

        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal attempts
            attempts += 1
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        until = clock.now() + 9.5

        async def keep_opening(name: str) -> None:
            while clock.now() < until:
                with pytest.raises(NotConnected):
                    await connector.feeds[name].open(NOW)

        async with (
            server,
            connector_to(url, make_tools(clock), feeds=feeds, pace="1s") as connector,
        ):
            await asyncio.gather(*(keep_opening(name) for name in feeds))
        return attempts

    assert clock.run(main()) <= 11


async def test_a_refused_address_is_never_connected_to() -> None:
    """T1, P48."""
    async with scripted(quiet) as server, connector_to(server.url, allow_private=[]) as connector:
        with pytest.raises(NotConnected) as caught:
            await connector.feeds["Ticks"].open(NOW)
        assert caught.value.failure.reason is Reason.EGRESS_DENIED
        assert server.connections == 0


async def test_a_cancelled_open_leaves_nothing_behind() -> None:
    """L8: no task and no connection outlives whoever wanted it."""
    before = asyncio.all_tasks()
    async with (
        scripted(quiet) as server,
        connector_to(server.url, ack={"match": {"$.op": "never"}}) as connector,
    ):
        opening = asyncio.create_task(_open(connector.feeds["Ticks"]))
        await eventually(lambda: server.open == 1)
        opening.cancel()
        await asyncio.wait([opening])
        await eventually(lambda: server.open == 0)
    assert asyncio.all_tasks() == before


async def _open(feed: object) -> Reader:
    return await feed.open(NOW)  # type: ignore[attr-defined, no-any-return]  # any feed will do


async def test_a_cancelled_read_loses_nothing() -> None:
    go = asyncio.Event()

    async def script(server: ServerConnection) -> None:
        await go.wait()
        await server.send(tick("A", 1))
        await server.wait_closed()

    async with scripted(script) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        go.set()
        assert brief(await read_until(reader, 1)) == ["A-1"]
        await reader.close()


async def test_closing_the_connector_tells_the_readers() -> None:
    async with scripted(quiet) as server, connector_to(server.url) as connector:
        reader = await connector.feeds["Ticks"].open(NOW)
        reading = asyncio.ensure_future(reader.read())
        await asyncio.sleep(0)
        await connector.close()
        with pytest.raises(NotConnected) as caught:
            await reading
        assert caught.value.failure.reason is Reason.DRAINING
        with pytest.raises(NotConnected):
            await connector.feeds["Ticks"].open(NOW)
        await reader.close()


async def test_credentials_and_headers_go_with_the_handshake() -> None:
    async with scripted(quiet) as server:
        for auth in ({"bearer": "t0k"}, {"basic": {"username": "u", "password": "p"}}):
            async with connector_to(server.url, auth=auth, headers={"X-Key": "k"}) as connector:
                reader = await connector.feeds["Ticks"].open(NOW)
                await reader.close()
        first, second = server.headers
        assert (first["Authorization"], first["X-Key"]) == ("Bearer t0k", "k")
        assert second["Authorization"] == "Basic dTpw"


async def test_a_feed_cannot_be_consumed() -> None:
    async with connector_to("ws://127.0.0.1:1/") as connector:
        assert (connector.operations, connector.sinks) == ({}, {})
        assert connector.feeds["Ticks"].capability is CAPABILITY
        assert CAPABILITY.durability is Durability.NONE
        with pytest.raises(Failure) as caught:
            await connector.feeds["Ticks"].join("group")
        assert caught.value.reason is Reason.NOT_ACKABLE


def test_a_missing_authority_file_is_found_at_load() -> None:
    with pytest.raises(OSError, match="No such file"):
        build("c", config("wss://x/", tls={"ca": "/nonexistent.pem"}), make_tools())
