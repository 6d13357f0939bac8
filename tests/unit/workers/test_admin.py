from __future__ import annotations

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


async def test_a_worker_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="worker 0 does not answer"):
        await WorkerAdmin(0, tmp_path / "none").metrics()
