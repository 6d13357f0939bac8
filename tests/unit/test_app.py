"""The app: everything put together, and everything taken apart again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import grpc.aio
import pytest
from served import served

from interlaced.app import Addresses, App
from interlaced.core.failure import Failure
from interlaced.manifest.problem import ManifestError
from interlaced.rpc.server import BindError
from interlaced.settings import Ingress, Settings, SettingsError

ECHO = """
interlace: 1
connector: desk
upstream: {memory: test}
operations:
  Hello: {reply: {greeting: hello}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "desk.yaml").write_text(ECHO)
    return tmp_path


async def test_it_serves_and_leaves_nothing_behind(folder: Path) -> None:
    before = asyncio.all_tasks()
    async with served(folder) as service:
        async with grpc.aio.insecure_channel(service.address) as channel:
            method = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert await method(b"\x0a\x0econnector/desk") == b"\x08\x01"
        async with aiohttp.ClientSession(service.admin) as session:
            async with session.get("/readyz") as answer:
                assert answer.status == 200
            async with session.get("/status") as answer:
                status = await answer.json()
                assert status["connectors"] == {"desk": {"is_ok": True, "reason": ""}}
            async with session.get("/metrics") as answer:
                assert "interlace_build_info" in await answer.text()
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if "grpc" not in repr(task)}
    assert left == set()


async def test_a_wrong_manifest_or_setting_ends_it_before_it_listens(folder: Path) -> None:
    (folder / "desk.yaml").write_text(ECHO.replace("Hello", "He llo"))
    with pytest.raises(ManifestError):
        await App(Settings(config=(folder,)), environment={}).start()
    settings = Settings(config=(folder,), ingress=Ingress(host="0.0.0.0"))
    with pytest.raises(SettingsError):
        await App(settings, environment={}).start()


async def test_p33_a_taken_port_ends_it_loudly(folder: Path) -> None:
    async with served(folder) as service:
        port = int(service.address.rpartition(":")[2])
        settings = Settings(config=(folder,), ingress=Ingress(port=port), admin_port=0)
        with pytest.raises(BindError):
            await App(settings, environment={}).start()
        admin_port = int(service.admin.rpartition(":")[2])
        settings = Settings(config=(folder,), ingress=Ingress(port=0), admin_port=admin_port)
        with pytest.raises(BindError, match=f":{admin_port}: is the port taken"):
            await App(settings, environment={}).start()


def test_the_addresses_are_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    Addresses("127.0.0.1:1", "http://127.0.0.1:2").write(path)
    assert json.loads(path.read_text()) == {"grpc": "127.0.0.1:1", "admin": "http://127.0.0.1:2"}
    assert list(tmp_path.iterdir()) == [path]


async def test_a_start_that_fails_in_the_middle_leaves_nothing_open(folder: Path) -> None:
    before = asyncio.all_tasks()
    async with served(folder) as service:
        port = int(service.address.rpartition(":")[2])
        settings = Settings(config=(folder,), ingress=Ingress(port=port), admin_port=0)
        app = App(settings, environment={})
        connectors = []
        serve = app._serve

        async def watch(generation, live):
            connectors.extend(built.connector for built in generation.built.values())
            await serve(generation, live)

        app._live._serve = watch
        with pytest.raises(BindError):
            await app.start()
        assert connectors
        assert app._admin._runner.addresses == []
        assert app._live._served == {}
        assert not app.is_ready
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if "grpc" not in repr(task)}
    assert left == set()


async def test_a_stop_can_be_said_twice_and_a_reload_after_it_opens_nothing(folder: Path) -> None:
    async with served(folder) as service:
        await service.app.stop()
        with pytest.raises(Failure, match="shutting down"):
            await service.app.reload()
        await service.app.stop()
    assert b'interlace_config_reloads_total{result="failed"} 1.0' in service.app._metrics.render()
