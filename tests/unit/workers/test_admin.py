from __future__ import annotations

import asyncio
import errno
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from interlaced.admin.server import AdminServer, AdminViews
from interlaced.core.failure import Failure, Reason
from interlaced.workers.admin import WorkerAdmin


async def double(body: Mapping[str, object]) -> Mapping[str, object]:
    return {"result": "ok", "heard": dict(body)}


async def break_down(body: Mapping[str, object]) -> Mapping[str, object]:
    raise Failure(Reason.INTERNAL_ERROR, "a secret of the worker")


@pytest.fixture
async def admin() -> AsyncIterator[WorkerAdmin]:
    """The admin listener of a worker, on a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="iw") as folder:
        path = Path(folder) / "a.sock"
        server = AdminServer(
            AdminViews(
                metrics=lambda: b"a 1\n",
                is_ready=lambda: True,
                status=lambda: {"version": "1"},
                actions={"double": double, "broken": break_down},
            )
        )
        assert await server.start(f"unix:{path}", 0) == 0
        yield WorkerAdmin(3, path)
        await server.close()


async def test_a_worker_is_asked_over_its_socket(admin: WorkerAdmin) -> None:
    assert await admin.metrics() == "a 1\n"
    assert await admin.status() == {"version": "1"}
    assert await admin.act("double") == {"result": "ok", "heard": {}}


@pytest.mark.parametrize("action", ["broken", "unknown"])
async def test_an_answer_that_is_none_is_a_failure(admin: WorkerAdmin, action: str) -> None:
    with pytest.raises(Failure, match="worker 3 failed") as caught:
        await admin.act(action)
    assert caught.value.reason is Reason.INTERNAL_ERROR


async def test_who_answers_is_alive(admin: WorkerAdmin) -> None:
    assert await admin.is_alive(5.0)


async def test_who_takes_a_question_and_answers_nothing_is_not_alive() -> None:
    with tempfile.TemporaryDirectory(prefix="iw") as folder:
        path = Path(folder) / "a.sock"
        with socket.socket(socket.AF_UNIX) as still:
            still.bind(str(path))
            still.listen()
            async with asyncio.timeout(3):
                assert not await WorkerAdmin(0, path).is_alive(0.2)
        assert not await WorkerAdmin(0, path).is_alive(5.0), (
            "the socket is there, and nobody listens"
        )


async def test_a_connection_that_is_cut_is_no_answer() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    with tempfile.TemporaryDirectory(prefix="iw") as folder:
        path = Path(folder) / "a.sock"
        async with await asyncio.start_unix_server(cut, path):
            assert not await WorkerAdmin(0, path).is_alive(5.0)


async def test_who_cannot_be_asked_is_not_said_to_be_dead(
    admin: WorkerAdmin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The asker may have no descriptor left, and somebody may have removed the socket."""
    with pytest.raises(Failure):
        await WorkerAdmin(0, tmp_path / "none").is_alive(5.0)

    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", exhausted)
    with pytest.raises(Failure):
        await admin.is_alive(5.0)


async def test_a_worker_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="worker 0 does not answer"):
        await WorkerAdmin(0, tmp_path / "none").metrics()
