"""`interlace dev`: the server and its fake upstreams in one process, and nothing left of either."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from interlace import Client
from interlaced.dev.run import DevOptions, run_dev
from interlaced.manifest.problem import ManifestError

OWN = """\
interlace: 1
connector: desk
upstream: {memory: desk}
operations: {Hello: {reply: {greeting: hello}}}
"""


async def addresses(ports: Path, running: asyncio.Task[None]) -> dict[str, str]:
    """Waits for the file that is written once everything is bound."""
    async with asyncio.timeout(20):
        while (found := read(ports)) is None:
            if running.done():
                await running
            await asyncio.sleep(0.01)
    return found


def read(ports: Path) -> dict[str, str] | None:
    return json.loads(ports.read_text()) if ports.exists() else None


async def test_it_serves_the_demo_and_your_own_connectors_and_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, ports = tmp_path / "desk.yaml", tmp_path / "ports.json"
    own.write_text(OWN)
    before = asyncio.all_tasks()
    running = asyncio.create_task(
        run_dev(DevOptions(port=0, admin_port=0, config=(own,), ports_file=ports))
    )
    found = await addresses(ports, running)
    async with Client(found["grpc"]) as client:
        assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        assert (await client.call("shop", "GetProduct", {"id": "p001"})).json()["id"] == "p001"
        assert [connector.name for connector in await client.catalog()] == [
            *("desk", "orders", "shop", "ticks")
        ]
        async with client.subscribe("ticks.Ticks") as events:
            await anext(events)
    os.kill(os.getpid(), signal.SIGTERM)
    await running
    left = {task for task in asyncio.all_tasks() - before - {running} if "grpc" not in repr(task)}
    assert left == set()
    greeting = capsys.readouterr().err
    assert "in memory, with fake upstreams; not for production" in greeting
    assert found["grpc"] in greeting


async def test_chaos_is_an_action_of_the_admin_listener(tmp_path: Path) -> None:
    ports = tmp_path / "ports.json"
    running = asyncio.create_task(run_dev(DevOptions(0, 0, ports_file=ports)))
    found = await addresses(ports, running)
    async with aiohttp.ClientSession(found["admin"]) as session:
        async with session.post("/chaos", json={"upstream": "shop", "fail": 0.5}) as answer:
            assert await answer.json() == {"shop": {"fail": 0.5}}
        async with session.post("/chaos", json={"upstream": "nobody"}) as answer:
            assert answer.status == 400
            assert (await answer.json())["fields"] == {"upstream": "expected one of shop, ticker"}
    os.kill(os.getpid(), signal.SIGTERM)
    await running


async def test_a_wrong_manifest_ends_it_and_its_upstreams(tmp_path: Path) -> None:
    own = tmp_path / "desk.yaml"
    own.write_text(OWN.replace("reply", "repply"))
    before = asyncio.all_tasks()
    with pytest.raises(ManifestError):
        await run_dev(DevOptions(0, 0, config=(own,)))
    assert asyncio.all_tasks() == before
