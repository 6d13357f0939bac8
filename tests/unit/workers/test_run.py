"""`supervise` over fake workers; what real ones do is proven in tests/system/test_workers.py."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_worker import HANG, SERVE, fake_command

from interlaced.settings import Ingress, Settings, SettingsError
from interlaced.workers import keeper
from interlaced.workers.run import supervise
from interlaced.workers.supervisor import Supervisor

LIMIT = 30.0


@pytest.fixture
def mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "mode"
    path.write_text(SERVE)
    monkeypatch.setattr(keeper, "_command", lambda: fake_command(path))
    with tempfile.TemporaryDirectory(prefix="iw") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield path


def let(mode: Path, does: str) -> None:
    """Says what the next workers do."""
    mode.write_text(does)


def group(tmp_path: Path) -> Supervisor:
    settings = Settings(config=(tmp_path,), ingress=Ingress(port=0), admin_port=0)
    return Supervisor(settings, 2)


async def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, mode: Path) -> None:
    supervisor, ports = group(tmp_path), tmp_path / "ports.json"
    task = asyncio.create_task(supervise(supervisor, ports))
    async with asyncio.timeout(LIMIT):
        while not ports.exists():
            await asyncio.sleep(0.01)
        assert supervisor.is_ready
        os.kill(os.getpid(), signal.SIGTERM)
        await task
    assert not supervisor.is_ready


async def test_it_can_be_stopped_in_the_midst_of_its_start(tmp_path: Path, mode: Path) -> None:
    let(mode, HANG)
    supervisor = group(tmp_path)
    task = asyncio.create_task(supervise(supervisor, None))
    async with asyncio.timeout(LIMIT):
        while not supervisor._members or supervisor._members[0].keeper.pid is None:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await task
    assert [member.keeper.pid for member in supervisor._members] == [None, None]


async def test_a_ports_file_that_cannot_be_written_ends_the_group(
    tmp_path: Path, mode: Path
) -> None:
    supervisor = group(tmp_path)
    with pytest.raises(SettingsError, match="cannot be written"):
        async with asyncio.timeout(LIMIT):
            await supervise(supervisor, tmp_path / "none" / "ports.json")
    assert [member.keeper.pid for member in supervisor._members] == [None, None]
