from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
from websocket_rig import brief, connector_to, eventually, read_to_the_end, read_until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from interlaced.core.clock import LoopClock
from interlaced.core.ports import Start
from interlaced.dev.chaos import Chaos
from interlaced.dev.ticker import SYMBOLS, Ticker, TickerSettings

FAST = TickerSettings(interval=0.01, heartbeat=0.05)
BY_HAND = TickerSettings(interval=3600.0, heartbeat=3600.0)


def chaos_and_ticker(settings: TickerSettings) -> tuple[Chaos, Ticker]:
    chaos = Chaos(("ticker",), clock=LoopClock(), random=Random(7))
    return chaos, Ticker(chaos, LoopClock(), Random(7), settings=settings)


@asynccontextmanager
async def subscribed(
    ticker: Ticker, **frame: Any
) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    async with connect(ticker.url) as socket:
        await socket.send(json.dumps({"op": "subscribe", **frame}))
        yield socket, json.loads(await socket.recv())


async def numbers(socket: ClientConnection, count: int) -> list[int]:
    found: list[int] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            frame = json.loads(await socket.recv())
            if frame["op"] == "tick":
                found.append(frame["seq"])
    return found


async def test_ticks_of_a_symbol_are_numbered_in_order() -> None:
    _, ticker = chaos_and_ticker(FAST)
    async with ticker, subscribed(ticker, symbols=["ACME"]) as (socket, answer):
        assert answer == {"op": "subscribed", "symbols": ["ACME"]}
        found = await numbers(socket, 5)
        assert found == list(range(found[0], found[0] + 5))


async def test_heartbeats_and_pongs_come() -> None:
    _, ticker = chaos_and_ticker(TickerSettings(interval=3600.0, heartbeat=0.02))
    async with ticker, subscribed(ticker) as (socket, answer):
        assert answer["symbols"] == list(SYMBOLS)
        assert json.loads(await socket.recv()) == {"op": "heartbeat"}
        await socket.send('{"op": "ping"}')
        async with asyncio.timeout(5):
            while json.loads(await socket.recv()) != {"op": "pong"}:
                pass
            await (await socket.ping())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"op": "buy"}', '{"op": "subscribe", "symbols": ["NONE"]}']
)
async def test_nonsense_is_answered_with_an_error(text: str) -> None:
    _, ticker = chaos_and_ticker(BY_HAND)
    async with ticker, connect(ticker.url) as socket:
        await socket.send(text)
        assert json.loads(await socket.recv())["op"] == "error"


async def test_a_dropped_message_leaves_a_hole() -> None:
    chaos, ticker = chaos_and_ticker(BY_HAND)
    async with ticker, subscribed(ticker, symbols=["ACME"]) as (socket, _):
        ticker.tick("ACME")
        chaos.set("ticker", {"drop": 2})
        for _ in range(4):
            ticker.tick("ACME")
        assert await numbers(socket, 3) == [1, 4, 5]
        assert ticker.last["ACME"] == 5


async def test_a_reordered_message_comes_after_its_successor() -> None:
    chaos, ticker = chaos_and_ticker(BY_HAND)
    async with ticker, subscribed(ticker, symbols=["ACME"]) as (socket, _):
        chaos.set("ticker", {"reorder": 1})
        for _ in range(3):
            ticker.tick("ACME")
        assert await numbers(socket, 3) == [2, 1, 3]


async def test_a_duplicate_comes_twice() -> None:
    chaos, ticker = chaos_and_ticker(BY_HAND)
    async with ticker, subscribed(ticker, symbols=["ACME"]) as (socket, _):
        chaos.set("ticker", {"duplicate": 1})
        for _ in range(2):
            ticker.tick("ACME")
        assert await numbers(socket, 3) == [1, 1, 2]


async def test_a_stalled_ticker_is_silent_and_answers_no_ping() -> None:
    chaos, ticker = chaos_and_ticker(FAST)
    async with ticker, subscribed(ticker, symbols=["ACME"]) as (socket, _):
        await numbers(socket, 1)
        chaos.set("ticker", {"stall": "10s"})
        await asyncio.sleep(0.05)
        last = ticker.last["ACME"]
        pong = await socket.ping()
        await asyncio.wait([asyncio.ensure_future(pong)], timeout=0.1)
        assert not pong.done()
        assert ticker.last["ACME"] == last
        chaos.clear()
        assert await numbers(socket, 1)


async def test_disconnect_cuts_everybody_and_lets_them_back() -> None:
    chaos, ticker = chaos_and_ticker(BY_HAND)
    async with ticker:
        async with subscribed(ticker) as (socket, _):
            chaos.set("ticker", {"disconnect": True})
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        async with subscribed(ticker) as (_, answer):
            assert answer["op"] == "subscribed"
        assert ticker.connections == 2
        assert len(ticker.subscriptions) == 2
        await eventually(lambda: ticker.open_connections == 0)


async def test_a_handshake_can_fail() -> None:
    chaos, ticker = chaos_and_ticker(BY_HAND)
    async with ticker:
        chaos.set("ticker", {"status": 503, "retry_after": "2s"})
        with pytest.raises(InvalidStatus) as caught:
            await connect(ticker.url)
        assert caught.value.response.status_code == 503
        assert caught.value.response.headers["Retry-After"] == "2"
        assert ticker.connections == 0


async def test_a_subscription_can_go_on_after_a_number() -> None:
    _, ticker = chaos_and_ticker(BY_HAND)
    async with ticker:
        for _ in range(5):
            ticker.tick("ACME")
        async with subscribed(ticker, symbols=["ACME"], since={"ACME": 3}) as (socket, _):
            assert await numbers(socket, 2) == [4, 5]


async def test_a_client_that_is_too_far_behind_is_cut_and_others_are_not() -> None:
    """L7: what waits for a client is bounded."""
    _, ticker = chaos_and_ticker(BY_HAND)
    async with (
        ticker,
        subscribed(ticker, symbols=["BOLT"]) as (behind, _),
        subscribed(ticker, symbols=["ACME"]) as (socket, _),
    ):
        for _ in range(1001):
            ticker.tick("BOLT")
        ticker.tick("ACME")
        await behind.wait_closed()
        assert await numbers(socket, 1) == [1]
        assert ticker.open_connections == 1


async def test_our_own_connector_resumes_without_loss_over_a_cut() -> None:
    """P21: reconnect, resubscribe after the last number, and neither hole nor repeat."""
    chaos, ticker = chaos_and_ticker(FAST)
    feed = {"match": {"$.op": "tick"}, "key": "$.symbol", "sequence": "$.seq"}
    found: list[str] = []
    async with (
        ticker,
        connector_to(
            ticker.url,
            feeds={"Ticks": feed},
            on_open={"op": "subscribe", "symbols": ["ACME"], "since": "$resume.sequences"},
            ack={"match": {"$.op": "subscribed"}},
        ) as connector,
    ):
        reader = await connector.feeds["Ticks"].open(Start())
        found += brief(await read_until(reader, 3))
        chaos.set("ticker", {"disconnect": True})
        items, _ = await read_to_the_end(reader)
        found += brief(items)
        await reader.close()
        await asyncio.sleep(0.05)  # ticks that nobody hears
        again = await connector.feeds["Ticks"].open(Start())
        found += brief(await read_until(again, 8))
        await again.close()
    start = int(found[0].removeprefix("ACME-"))
    assert found == [f"ACME-{number}" for number in range(start, start + len(found))]
