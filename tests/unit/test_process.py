"""One process: its signals, its ports file, and its end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from served import process

from interlace import Client
from interlaced.app import Addresses, App
from interlaced.process import run_until_stopped, settled_memory, stop_signal
from interlaced.settings import Ingress, Settings, SettingsError

MANIFEST = """\
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: hello}}
  Slow: {reply: {ok: true}, delay: 1s}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    (place / "desk.yaml").write_text(MANIFEST)
    return place


def app(folder: Path) -> App:
    settings = Settings(config=(folder,), ingress=Ingress(port=0), admin_port=0, drain_limit=2.0)
    return App(settings, environment={})


class Recorder:
    """An app of which only the reloads matter."""

    def __init__(self, reload: Callable[[], Awaitable[object]]) -> None:
        self._reload = reload
        self.reloads = 0

    async def reload(self) -> object:
        self.reloads += 1
        return await self._reload()


def press(number: signal.Signals) -> None:
    """Sends a signal to this process; the loop sees it in its next round."""
    os.kill(os.getpid(), number)


async def rounds() -> AsyncIterator[None]:
    """Lets the loop go round, at most until a test hangs."""
    async with asyncio.timeout(10):
        while True:
            await asyncio.sleep(0.005)
            yield


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_writes_its_ports_serves_and_stops_on_a_signal(
    number: signal.Signals, folder: Path, tmp_path: Path
) -> None:
    ports, greeted = tmp_path / "ports.json", asyncio.Event()
    seen: list[Addresses] = []

    def greet(addresses: Addresses) -> None:
        seen.append(addresses)
        greeted.set()

    running = asyncio.create_task(run_until_stopped(app(folder), ports, greet=greet))
    await asyncio.wait({running, waiter := asyncio.create_task(greeted.wait())},
                       return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
    await waiter
    assert json.loads(ports.read_text()) == {"grpc": seen[0].grpc, "admin": seen[0].admin}
    async with Client(seen[0].grpc) as client:
        assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
    press(number)
    await running
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_what_goes_wrong_after_the_start_stops_it_as_well(folder: Path) -> None:
    started = app(folder)
    with pytest.raises(SettingsError, match=r"--ports-file .*nothing/ports\.json: cannot be"):
        await run_until_stopped(started, folder / "nothing" / "ports.json")
    assert not started.is_ready


async def test_sighup_reloads_and_a_bug_in_it_is_told_and_survived(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail() -> object:
        raise KeyError("a bug")

    recorder = Recorder(fail)
    async with stop_signal(recorder):  # type: ignore[arg-type]  # stands for an App
        for expected in (1, 2):
            press(signal.SIGHUP)
            async for _ in rounds():
                if recorder.reloads == expected:
                    break
    told = capsys.readouterr()
    assert (told.out + told.err).count("config.failed") == 2


async def test_a_sighup_in_mid_drain_neither_kills_nor_reloads() -> None:
    async def nothing() -> object:
        return None

    recorder = Recorder(nothing)
    async with stop_signal(recorder) as stopped:  # type: ignore[arg-type]  # stands for an App
        press(signal.SIGTERM)
        await stopped.wait()
        press(signal.SIGHUP)
        await asyncio.sleep(0.05)
    assert recorder.reloads == 0


async def test_a_reload_that_hangs_does_not_hold_the_end() -> None:
    cancelled = asyncio.Event()

    async def hang() -> object:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            cancelled.set()
        return None

    recorder = Recorder(hang)
    async with asyncio.timeout(10), stop_signal(recorder):  # type: ignore[arg-type]  # stands for an App
        press(signal.SIGHUP)
        async for _ in rounds():
            if recorder.reloads:
                break
    assert cancelled.is_set()


async def test_a_real_sighup_in_a_real_drain_changes_nothing(folder: Path, tmp_path: Path) -> None:
    async with process("serve", "--config", str(folder), folder=tmp_path) as service:
        async with Client(service.addresses.grpc) as client:
            call = asyncio.create_task(client.call("desk", "Slow"))
            await in_flight(service.addresses.admin)
            service.send(signal.SIGTERM)
            await logged(service.log, "server.draining")
            service.send(signal.SIGHUP)
            assert (await call).json() == {"ok": True}
        assert await service.wait() == 0
    assert "config.reloaded" not in service.log.read_text()


async def in_flight(admin: str) -> None:
    """Waits for a call to be under way."""
    async with aiohttp.ClientSession(admin) as session:
        async for _ in rounds():
            async with session.get("/metrics") as answer:
                if 'interlace_rpc_active{rpc_method="interlace.v1.GatewayService/Call"} 1.0' in (
                    await answer.text()
                ):
                    return


async def logged(log: Path, event: str) -> None:
    """Waits for a record in the log."""
    async for _ in rounds():
        if event in log.read_text():  # noqa: ASYNC240  # a small file on this machine
            return


def test_what_the_boot_made_is_set_aside_while_it_serves() -> None:
    before = gc.get_threshold()
    with settled_memory():
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_boot_without_collections_serves_with_them() -> None:
    gc.disable()
    try:
        with settled_memory():
            assert gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
