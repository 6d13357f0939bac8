from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from fake_worker import DIE, HANG, REFUSE, SERVE, fake_command
from structlog.testing import capture_logs

from interlaced.core.clock import LoopClock
from interlaced.core.tasks import end_tasks
from interlaced.settings import Settings
from interlaced.workers import keeper as module
from interlaced.workers.keeper import Ending, Keeper, State
from interlaced.workers.orders import Order

ORDER = Order(Settings(config=(Path("x"),)), "json", "info")
LIMIT = 20.0


class EnoughError(Exception):
    """Ends a keeper."""


class Rig:
    """A keeper over fake workers, and what was heard of them."""

    def __init__(self, mode: Path, most: int, longest_start: float) -> None:
        self.mode = mode
        self.most = most
        self.endings: list[Ending] = []
        self.states: list[State] = []
        self.changed = asyncio.Event()
        self.keeper = Keeper(
            index=0,
            order=ORDER,
            clock=LoopClock(),
            judge=self.judge,
            changed=self.note,
            longest_start=longest_start,
        )
        self.task = asyncio.create_task(self.keeper.run())

    def judge(self, keeper: Keeper, ending: Ending) -> None:
        self.endings.append(ending)
        if len(self.endings) >= self.most:
            raise EnoughError

    def note(self, keeper: Keeper) -> None:
        self.states.append(keeper.state)
        self.changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    async def end(self) -> None:
        async with asyncio.timeout(LIMIT):
            await self.task


@pytest.fixture
async def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Rig]]:
    mode = tmp_path / "mode"
    monkeypatch.setattr(module, "_command", lambda: fake_command(mode))
    rigs: list[Rig] = []

    def start(does: str, *, most: int = 1, longest_start: float = LIMIT) -> Rig:
        mode.write_text(does)
        rigs.append(Rig(mode, most, longest_start))
        return rigs[-1]

    yield start
    await end_tasks(rig.task for rig in rigs)


async def test_a_worker_that_dies_is_replaced(make: Callable[..., Rig]) -> None:
    rig = make(SERVE, most=2)
    await rig.until(lambda: rig.keeper.state is State.SERVING)
    first = rig.keeper.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await rig.until(lambda: rig.states.count(State.SERVING) == 2)
    assert rig.keeper.pid not in (None, first)
    assert rig.endings == [Ending(-signal.SIGKILL, rig.endings[0].report, 0)]
    assert rig.keeper.started == 2


@pytest.mark.parametrize(("does", "code"), [(DIE, 9), (REFUSE, 1)])
async def test_starts_that_fail_are_counted_until_somebody_has_had_enough(
    does: str, code: int, make: Callable[..., Rig]
) -> None:
    rig = make(does, most=3)
    with pytest.raises(EnoughError):
        await rig.end()
    assert [(each.code, each.starts) for each in rig.endings] == [(code, 1), (code, 2), (code, 3)]
    reports = [each.report for each in rig.endings]
    assert [report and report.error for report in reports] == (
        [None] * 3 if does == DIE else ["refused"] * 3
    )
    assert State.SERVING not in rig.states


async def test_a_worker_that_hangs_at_its_start_is_killed_and_counts_as_not_started(
    make: Callable[..., Rig],
) -> None:
    rig = make(HANG, most=2, longest_start=1.0)
    with capture_logs() as records, pytest.raises(EnoughError):
        await rig.end()
    assert rig.endings == [Ending(-signal.SIGKILL, None, starts) for starts in (1, 2)]
    assert State.SERVING not in rig.states
    assert [(each["event"], each["seconds"]) for each in records] == [("worker.hung", 1.0)] * 2


async def test_who_is_asked_to_end_ends_and_is_not_replaced(make: Callable[..., Rig]) -> None:
    rig = make(SERVE)
    await rig.until(lambda: rig.keeper.state is State.SERVING)
    rig.keeper.terminate()
    await rig.end()
    assert rig.endings == []
    assert rig.states == [State.STARTING, State.SERVING, State.DOWN]


async def test_who_is_asked_to_end_in_the_midst_of_its_start_ends(
    make: Callable[..., Rig],
) -> None:
    rig = make(HANG)
    await rig.until(lambda: rig.keeper.pid is not None or rig.keeper.state is State.STARTING)
    rig.keeper.terminate()
    await rig.end()
    assert rig.endings == []


async def test_a_pause_before_the_next_worker_is_no_reason_to_wait(
    make: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAUSE", module.Backoff(1000.0, 1000.0))
    rig = make(DIE, most=5)
    await rig.until(lambda: State.DOWN in rig.states)
    rig.keeper.terminate()
    await rig.end()
    assert rig.keeper.started == 1


async def test_a_keeper_that_is_cancelled_leaves_no_worker(make: Callable[..., Rig]) -> None:
    rig = make(SERVE)
    await rig.until(lambda: rig.keeper.state is State.SERVING)
    pid = rig.keeper.pid
    assert pid is not None
    await end_tasks((rig.task,))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_process_that_cannot_be_made_is_a_start_that_failed(
    make: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_command", lambda: ["/nowhere/at/all"])
    rig = make(SERVE, most=2)
    with pytest.raises(EnoughError):
        await rig.end()
    assert [(each.code, each.report) for each in rig.endings] == [(0, None)] * 2


def test_a_worker_finds_its_modules_where_its_supervisor_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert module._command() == [sys.executable, "-P", "-m", "interlaced.workers"]
    monkeypatch.syspath_prepend(str(tmp_path))
    assert module._command() == [sys.executable, "-m", "interlaced.workers"]
