"""Reload under load, through the whole service."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from served import process, served

from interlace import Client, Event, Gap
from interlaced.cli.serve import post_action

DESK = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: GREETING}}
"""
LINE = """
interlace: 1
connector: line
upstream: {memory: line}
feeds: {Calls: {}}
sinks: {Calls: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    write(place, "desk", DESK)
    write(place, "line", LINE)
    return place


def write(folder: Path, name: str, text: str) -> None:
    draft = folder / f"{name}.draft"
    draft.write_text(text)
    draft.replace(folder / f"{name}.yaml")


async def test_a_hundred_reloads_under_load_fail_no_call(folder: Path) -> None:
    async with served(folder) as service, Client(service.address) as client:
        over = asyncio.Event()
        answers: list[str] = []

        async def load() -> None:
            while not over.is_set():
                result = await client.call("desk", "Hello")
                answers.append(result.json()["greeting"])

        callers = [asyncio.create_task(load()) for _ in range(8)]
        for number in range(100):
            write(folder, "desk", DESK.replace("GREETING", f"hello-{number}"))
            report = await service.app.reload()
            assert report["result"] == "ok"
        over.set()
        await asyncio.gather(*callers)
        assert len(set(answers)) > 10
        assert (await client.call("desk", "Hello")).json()["greeting"] == "hello-99"


async def test_a_bad_file_keeps_the_old_one_serving_and_says_where(folder: Path) -> None:
    async with served(folder) as service, Client(service.address) as client:
        write(folder, "desk", DESK.replace("operations", "operation"))
        report = await service.app.reload()
        assert report["result"] == "refused"
        (problem,) = report["problems"]
        assert "desk.yaml:5:1" in problem
        assert "operations" in problem
        assert (await client.call("desk", "Hello")).json() == {"greeting": "GREETING"}


async def test_a_feed_reconnects_only_if_its_own_section_changed(folder: Path) -> None:
    async with served(folder) as service, Client(service.address) as client:
        received: list[str] = []
        started = asyncio.Event()

        async def listen() -> None:
            async with client.subscribe("line.Calls") as events:
                async for item in events:
                    assert not isinstance(item, Gap)
                    if isinstance(item, Event):
                        received.append(item.id)
                        started.set()

        listener = asyncio.create_task(listen())

        async def ring(name: str) -> None:
            (outcome,) = await client.publish("line.Calls", [Event(id=name, source="t", type="t")])
            assert outcome.is_ok

        while not started.is_set():
            await ring(f"first-{len(received)}")
            await asyncio.sleep(0.02)
        before = metric(service.app, "interlace_feed_reconnects_total")
        write(folder, "desk", DESK.replace("GREETING", "other"))
        assert (await service.app.reload())["result"] == "ok"
        await ring("second")
        async with asyncio.timeout(10):
            while received[-1] != "second":
                await asyncio.sleep(0.02)
        assert metric(service.app, "interlace_feed_reconnects_total") == before
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


def metric(app, name: str) -> list[str]:
    text = app._metrics.render().decode()
    return sorted(line for line in text.splitlines() if line.startswith(name + "{"))


async def test_sighup_and_interlace_reload_do_the_same(folder: Path, tmp_path: Path) -> None:
    async with process("serve", "--config", str(folder), folder=tmp_path) as service:
        admin = service.addresses.admin
        write(folder, "desk", DESK.replace("GREETING", "posted"))
        report = await asyncio.to_thread(post_action, admin, "reload", {})
        assert report["result"] == "ok"
        async with Client(service.addresses.grpc) as client:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "posted"}
            write(folder, "desk", DESK.replace("GREETING", "signalled"))
            service.send(signal.SIGHUP)
            async with asyncio.timeout(20):
                while (await client.call("desk", "Hello")).json() != {"greeting": "signalled"}:
                    await asyncio.sleep(0.05)
        report = await asyncio.to_thread(post_action, admin, "reload", {})
        assert report["result"] == "unchanged"
        service.send(signal.SIGTERM)
        assert await service.wait() == 0
        assert "config.reloaded" in service.log.read_text()
