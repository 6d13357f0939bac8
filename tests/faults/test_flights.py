"""Branches in flight meet an upstream that fails: over real sockets, through the whole service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from raw_http import Answer, RawServer, ok
from served import Served, served

from interlace import Branch, Call, Client, Outcome, Policy
from interlaced.core.dispatch import Dispatch
from interlaced.core.flights import Flight, Land
from interlaced.core.model import Call as CoreCall

WIDTH = 4


@asynccontextmanager
async def warm(tmp_path: Path, server: RawServer) -> AsyncIterator[tuple[Served, Client]]:
    """Serves one connector with idle connections enough for the next fan-out."""
    folder = tmp_path / "connectors"
    folder.mkdir()
    manifest = {
        "interlace": 1,
        "connector": "shop",
        "upstream": {"rest": server.origin, "allow_private": ["127.0.0.1/32"]},
        "operations": {"Get": {"get": "/things/{id}"}, "Put": {"post": "/things"}},
    }
    (folder / "shop.yaml").write_text(json.dumps(manifest))
    async with served(folder) as service, Client(service.address) as client:
        server.default = ok(b"{}", before=0.05)  # all at once, so that each has its connection
        await ask(client)
        server.default = ok(b"{}")
        assert server.connections == WIDTH
        yield service, client


async def ask(client: Client, operation: str = "Get", timeout: float = 5.0) -> Sequence[Outcome]:
    parameters = {"id": "1"} if operation == "Get" else {}
    call = Call("shop", operation, parameters=parameters)
    branches = [Branch(f"b{number}", call) for number in range(WIDTH)]
    return await client.fan_out(branches, policy=Policy.best_effort(), timeout=timeout)


@pytest.fixture
def flown(monkeypatch: pytest.MonkeyPatch) -> list[CoreCall]:
    """Collects the calls that flew."""
    calls: list[CoreCall] = []
    begin = Dispatch.begin

    def watched(self: Dispatch, call: CoreCall, land: Land) -> Flight | None:
        flight = begin(self, call, land)
        if flight is not None:
            calls.append(call)
        return flight

    monkeypatch.setattr(Dispatch, "begin", watched)
    return calls


async def held(service: Served) -> list[str]:
    """What the service still holds for anybody, as its metrics tell."""
    async with aiohttp.ClientSession() as http, http.get(f"{service.admin}/metrics") as page:
        lines = (await page.text()).splitlines()
    name = "interlace_bulkhead_in_flight{"
    return [line for line in lines if line.startswith(name) and not line.endswith(" 0.0")]


async def test_on_warm_connections_every_branch_flies(
    tmp_path: Path, flown: list[CoreCall]
) -> None:
    async with RawServer() as server, warm(tmp_path, server) as (service, client):
        assert flown == []
        outcomes = await ask(client)
        assert [outcome.is_ok for outcome in outcomes] == [True] * WIDTH
        assert len(flown) == WIDTH
        assert server.connections == WIDTH
        assert await held(service) == []


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_flight_that_crashes_is_tried_again_by_a_task(
    tmp_path: Path, flown: list[CoreCall], then: str
) -> None:
    """Two of four connections are lost in the middle of an answer; the policy tries again."""
    async with RawServer() as server, warm(tmp_path, server) as (service, client):
        server.answers.extend([Answer(b"HTTP/1.1 200 OK\r\nContent-Le", then=then)] * 2)
        outcomes = await ask(client)
        assert [outcome.is_ok for outcome in outcomes] == [True] * WIDTH
        assert sorted(outcome.effort.attempts for outcome in outcomes) == [1, 1, 2, 2]
        assert len(flown) == WIDTH
        assert await held(service) == []


async def test_a_write_that_was_cut_off_in_flight_is_unknown_and_sent_once(
    tmp_path: Path, flown: list[CoreCall]
) -> None:
    """L3."""
    async with RawServer() as server, warm(tmp_path, server) as (service, client):
        before = server.hits
        server.default = Answer(b"", then="reset")
        outcomes = await ask(client, "Put")
        assert {outcome.error.reason for outcome in outcomes} == {"OUTCOME_UNKNOWN"}
        assert (len(flown), server.hits - before) == (WIDTH, WIDTH)
        assert await held(service) == []


async def test_an_upstream_that_hangs_uses_the_time_up_and_no_more(
    tmp_path: Path, flown: list[CoreCall]
) -> None:
    """F6: each branch says what it waited for, and its connection is closed."""
    async with RawServer() as server, warm(tmp_path, server) as (service, client):
        server.answers.extend([Answer(then="hang")] * 2)
        outcomes = await ask(client, timeout=0.5)
        reasons = sorted(o.error.reason if o.error else "ok" for o in outcomes)
        assert reasons == ["UPSTREAM_TIMEOUT", "UPSTREAM_TIMEOUT", "ok", "ok"]
        assert len(flown) == WIDTH
        async with asyncio.timeout(5):
            while server.open > WIDTH - 2:
                await asyncio.sleep(0.01)
        assert await held(service) == []


async def test_a_caller_who_leaves_ends_every_flight(tmp_path: Path, flown: list[CoreCall]) -> None:
    """L8."""
    async with RawServer() as server, warm(tmp_path, server) as (service, client):
        server.default = Answer(then="hang")
        asking = asyncio.create_task(ask(client))
        async with asyncio.timeout(5):
            while len(flown) < WIDTH:
                await asyncio.sleep(0.01)
            assert await held(service) == ['interlace_bulkhead_in_flight{connector="shop"} 4.0']
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            while server.open:
                await asyncio.sleep(0.01)
            while await held(service):
                await asyncio.sleep(0.01)
        server.default = ok(b"{}")
        assert [outcome.is_ok for outcome in await ask(client)] == [True] * WIDTH
