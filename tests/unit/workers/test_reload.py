from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.core.ports import Clock
from interlaced.testing.clock import VirtualClock
from interlaced.workers.reload import GroupReload


class Worker:
    """A worker that answers as it was told to."""

    def __init__(self, result: str, config_hash: str = "new", *, breaks: str = "") -> None:
        self.result = result
        self.config_hash = config_hash
        self.breaks = breaks
        self.heard: list[str] = []

    async def act(self, name: str) -> Mapping[str, object]:
        self.heard.append(name)
        await asyncio.sleep(0)
        if name == self.breaks:
            raise Failure(Reason.INTERNAL_ERROR, "broken")
        problems = ["wrong"] if self.result == "refused" else []
        return {"result": self.result, "config_hash": self.config_hash, "problems": problems}


def reload_of(*workers: Worker, clock: Clock | None = None) -> tuple[GroupReload, list[str]]:
    counted: list[str] = []

    async def settle() -> None:
        pass

    return GroupReload(lambda: workers, settle, counted.append, clock or LoopClock()), counted


async def test_all_swap_once_all_have_found_it_right() -> None:
    workers = [Worker("ok"), Worker("ok")]
    reload, counted = reload_of(*workers)
    assert await reload.run() == {"result": "ok", "config_hash": "new", "problems": []}
    assert [each.heard for each in workers] == [["prepare", "commit"]] * 2
    assert counted == ["ok"]


async def test_one_refusal_leaves_all_on_the_old() -> None:
    workers = [Worker("ok"), Worker("refused", "old")]
    reload, counted = reload_of(*workers)
    answer = await reload.run()
    assert (answer["result"], answer["problems"]) == ("refused", ["wrong"])
    assert [each.heard for each in workers] == [["prepare"]] * 2
    assert counted == ["refused"]


async def test_files_that_change_between_two_readers_are_refused() -> None:
    workers = [Worker("ok", "one"), Worker("ok", "two")]
    reload, _ = reload_of(*workers)
    answer = await reload.run()
    assert answer["result"] == "refused"
    assert "changed while" in str(answer["problems"])
    assert [each.heard for each in workers] == [["prepare"]] * 2


async def test_a_worker_that_has_it_already_is_no_obstacle() -> None:
    workers = [Worker("unchanged"), Worker("ok")]
    reload, _ = reload_of(*workers)
    assert (await reload.run())["result"] == "ok"


async def test_nothing_new_commits_nothing() -> None:
    workers = [Worker("unchanged"), Worker("unchanged")]
    reload, counted = reload_of(*workers)
    assert (await reload.run())["result"] == "unchanged"
    assert [each.heard for each in workers] == [["prepare"]] * 2
    assert counted == ["unchanged"]


async def test_who_does_not_answer_at_first_stops_it_for_all() -> None:
    workers = [Worker("ok"), Worker("ok", breaks="prepare")]
    reload, counted = reload_of(*workers)
    with pytest.raises(Failure):
        await reload.run()
    assert all("commit" not in each.heard for each in workers)
    assert counted == ["failed"]


async def test_who_fails_to_swap_is_told_and_the_others_have_swapped() -> None:
    workers = [Worker("ok"), Worker("ok", breaks="commit")]
    reload, counted = reload_of(*workers)
    with pytest.raises(Failure):
        await reload.run()
    assert workers[0].heard == ["prepare", "commit"]
    assert counted == ["failed"]
    await reload.close()


def test_where_all_fail_to_swap_all_go_on_with_the_old() -> None:
    async def main() -> None:
        workers = [Worker("ok", breaks="commit"), Worker("ok", breaks="commit")]
        reload, _ = reload_of(*workers, clock=clock)
        with pytest.raises(Failure):
            await reload.run()
        await clock.sleep(60)
        assert [each.heard for each in workers] == [["prepare", "commit"]] * 2

    clock = VirtualClock()
    clock.run(main())


def test_who_failed_to_swap_is_asked_until_it_has() -> None:
    async def main() -> None:
        workers = [Worker("ok"), Worker("ok", breaks="commit")]
        reload, counted = reload_of(*workers, clock=clock)
        with pytest.raises(Failure):
            await reload.run()
        workers[0].result = "unchanged"
        await clock.sleep(40)
        assert workers[1].heard.count("commit") > 4, "it still fails, and is still asked"
        assert reload._mending is not None
        assert not reload._mending.done()
        workers[1].breaks = ""
        await clock.sleep(31)
        assert reload._mending.done()
        asked = len(workers[1].heard)
        await clock.sleep(100)
        assert len(workers[1].heard) == asked
        assert counted == ["failed"], "nobody asked for these"

    clock = VirtualClock()
    clock.run(main())


@pytest.mark.parametrize("how", ["another reload", "other files"])
def test_nobody_is_asked_again_once_something_else_is_wanted(how: str) -> None:
    async def main() -> None:
        workers = [Worker("ok"), Worker("ok", breaks="commit")]
        reload, _ = reload_of(*workers, clock=clock)
        with pytest.raises(Failure):
            await reload.run()
        for worker in workers:
            worker.breaks = ""
            worker.config_hash = "newer" if how == "other files" else "new"
            worker.heard.clear()
        if how == "another reload":
            await reload.run()
        await clock.sleep(100)
        expected = ["prepare", "commit"] if how == "another reload" else ["prepare"]
        assert [each.heard for each in workers] == [expected] * 2
        await reload.close()

    clock = VirtualClock()
    clock.run(main())


async def test_without_a_worker_there_is_nothing_to_reload() -> None:
    reload, _ = reload_of()
    with pytest.raises(Failure) as caught:
        await reload.run()
    assert caught.value.reason is Reason.DRAINING


async def test_reloads_queue() -> None:
    worker = Worker("ok")
    reload, _ = reload_of(worker)
    await asyncio.gather(reload.run(), reload.run())
    assert worker.heard == ["prepare", "commit"] * 2
