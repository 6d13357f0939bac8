from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from fake_worker import DIE, REFUSE, SERVE, fake_command

from interlaced.rpc.server import BindError
from interlaced.settings import Ingress, Settings, SettingsError
from interlaced.workers import keeper
from interlaced.workers.orders import GroupError
from interlaced.workers.supervisor import Supervisor
from interlaced.workers.watch import Watch

LIMIT = 30.0


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where groups make their folders."""
    with tempfile.TemporaryDirectory(prefix="iw") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


@pytest.fixture
def mode(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says what the next workers do."""
    path = tmp_path / "mode"
    path.write_text(SERVE)
    monkeypatch.setattr(keeper, "_command", lambda: fake_command(path))
    monkeypatch.setattr(keeper, "_PAUSE", keeper.Backoff(0.01, 0.01))
    return path


def let(mode: Path, does: str) -> None:
    """Says what the next workers do."""
    mode.write_text(does)


def group(tmp_path: Path, count: int = 2, **settings: object) -> Supervisor:
    whole: dict[str, object] = {
        "config": (tmp_path,),
        "ingress": Ingress(port=0),
        "admin_port": 0,
        "drain_limit": 5.0,
        **settings,
    }
    return Supervisor(Settings(**whole), count)  # type: ignore[arg-type]  # a test's own settings


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def pids(supervisor: Supervisor) -> list[int | None]:
    return [member.keeper.pid for member in supervisor._members]


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not is_so():
            await asyncio.sleep(0.01)


async def test_all_workers_get_one_port_one_key_and_a_seat_each(
    tmp_path: Path, mode: Path, temporary: Path
) -> None:
    supervisor = group(tmp_path, 3)
    assert not supervisor.is_ready
    addresses = await supervisor.start()
    assert supervisor.is_ready
    told = [member.keeper.order.settings for member in supervisor._members]
    assert {f"127.0.0.1:{each.ingress.port}" for each in told} == {addresses.grpc}
    assert len({each.cursor_keys for each in told}) == 1
    told[0].check()
    assert [(each.seat.index, each.seat.count) for each in told] == [(0, 3), (1, 3), (2, 3)]
    assert supervisor.folder is not None
    assert {each.seat.folder for each in told} == {supervisor.folder}
    assert supervisor.folder.stat().st_mode & 0o777 == 0o700
    await supervisor.stop()
    assert not supervisor.is_ready
    assert left_in(temporary) == []


async def test_it_is_ready_as_long_as_one_serves_and_not_without_any(
    tmp_path: Path, mode: Path
) -> None:
    supervisor = group(tmp_path)
    await supervisor.start()
    first, second = pids(supervisor)
    assert first is not None
    assert second is not None
    let(mode, DIE)
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor._serving() == 1)
    assert supervisor.is_ready
    os.kill(second, signal.SIGKILL)
    with pytest.raises(GroupError, match="5 times in a row"):
        async with asyncio.timeout(LIMIT):
            await supervisor.watch()
    assert not supervisor.is_ready
    await supervisor.stop()


async def test_a_watch_that_breaks_ends_the_group_loudly(
    tmp_path: Path, mode: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Watch, "run", broken)
    supervisor = group(tmp_path)
    with pytest.raises(RuntimeError, match="a bug"):
        await supervisor.start()
    assert pids(supervisor) == [None, None]


async def test_a_group_that_ends_watches_nobody_any_more(tmp_path: Path, mode: Path) -> None:
    supervisor = group(tmp_path)
    before = asyncio.all_tasks()
    await supervisor.start()
    await supervisor.stop()
    assert asyncio.all_tasks() == before


async def test_a_seat_that_stays_empty_does_not_end_the_group(tmp_path: Path, mode: Path) -> None:
    supervisor = group(tmp_path)
    await supervisor.start()
    let(mode, REFUSE)
    (first, _) = pids(supervisor)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor._members[0].keeper.started > 8)
    assert supervisor.is_ready
    let(mode, SERVE)
    await until(lambda: supervisor._serving() == 2)
    await supervisor.stop()


@pytest.mark.parametrize(("does", "text"), [(REFUSE, "refused"), (DIE, "5 times in a row")])
async def test_a_group_that_cannot_start_leaves_nothing(
    does: str, text: str, tmp_path: Path, mode: Path, temporary: Path
) -> None:
    let(mode, does)
    supervisor = group(tmp_path)
    with pytest.raises(GroupError, match=text):
        await supervisor.start()
    assert pids(supervisor) == [None, None]
    assert left_in(temporary) == []


async def test_what_the_group_has_once_lives_as_long_as_its_workers(
    tmp_path: Path, mode: Path, temporary: Path
) -> None:
    heard: list[str] = []

    @contextlib.asynccontextmanager
    async def host(folder: Path) -> AsyncIterator[None]:
        heard.append(f"in {folder.parent == temporary} {len(supervisor._members)}")
        yield
        heard.append(f"out {pids(supervisor)} {left_in(temporary) != []}")

    settings = Settings(config=(tmp_path,), ingress=Ingress(port=0), admin_port=0)
    supervisor = Supervisor(settings, 2, host=host)
    await supervisor.start()
    assert heard == ["in True 0"]
    await supervisor.stop()
    assert heard[1:] == ["out [None, None] True"]


async def test_a_taken_admin_port_is_told_before_any_worker_starts(
    tmp_path: Path, mode: Path, temporary: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        supervisor = group(tmp_path, admin_port=other.getsockname()[1])
        with pytest.raises(BindError, match="is the port taken"):
            await supervisor.start()
    assert supervisor._members == []
    assert left_in(temporary) == []


async def test_settings_that_the_group_cannot_share_are_refused(tmp_path: Path, mode: Path) -> None:
    with pytest.raises(SettingsError, match="max_in_flight is 1, which 2 workers cannot share"):
        await group(tmp_path, max_in_flight=1).start()


async def test_a_folder_too_long_for_sockets_is_refused(
    tmp_path: Path, mode: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = temporary / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with pytest.raises(SettingsError, match="set TMPDIR"):
        await group(tmp_path).start()
    assert left_in(deep) == []
