"""P30, L7, L8: memory stays flat and everything is given back, over a short soak."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import psutil
import pytest
from benchmarks.given_up import GivenUp, measure_given_up
from benchmarks.harness.machine import describe
from benchmarks.soak import (
    MANIFESTS,
    Look,
    growth_per_hour,
    one_round,
    record,
    upstream,
    verdict,
)
from served import process

WARM_UP = 3
ROUNDS = 8
ALLOWED_GROWTH = 12 * 1024 * 1024


async def test_p30_memory_and_descriptors_stay_flat_under_mixed_load(tmp_path: Path) -> None:
    """It sees a growth of more than a megabyte a round; what is less, the tests below count."""
    folder = tmp_path / "connectors"
    folder.mkdir()
    (folder / "all.yaml").write_text(MANIFESTS)
    async with upstream() as origin:
        environment = {"URL": origin}
        arguments = ("serve", "--config", str(folder), "--log-level", "error")
        async with process(*arguments, folder=tmp_path, environment=environment) as service:
            watched = psutil.Process(service.process.pid)
            descriptors, threads = watched.num_fds(), watched.num_threads()
            sizes: list[int] = []
            for number in range(WARM_UP + ROUNDS):
                await one_round(service.addresses.grpc)
                if number >= WARM_UP:
                    sizes.append(watched.memory_info().rss)
            assert sizes[-1] - sizes[0] <= ALLOWED_GROWTH, sizes
            await given_back(watched, descriptors)
            assert watched.num_threads() <= threads + 8


@pytest.mark.parametrize(("without", "passes"), [("nothing", True), ("finished_batches", False)])
async def test_p30_calls_that_are_given_up_leave_nothing_behind(
    tmp_path: Path, without: str, passes: bool
) -> None:
    """What `malloc` has given out is counted, so that a leak of a hundred bytes a call shows in
    some thousand; the service without the repair has that leak (grpc#43360), and must fail."""
    async with upstream() as origin:
        left = await measure_given_up(tmp_path, MANIFESTS, origin=origin, without=without)
    assert left.passed is passes, left


async def given_back(watched: psutil.Process, descriptors: int) -> None:
    """Waits until everything is closed again; idle connections to upstreams live for seconds."""
    gc.collect()  # gRPC keeps a caller's connection open while its closed channel is garbage
    async with asyncio.timeout(20):
        while watched.num_fds() > descriptors + 2:
            await asyncio.sleep(0.1)


def look(at: float, rss: float, **held: int) -> Look:
    counts = {"descriptors": 20, "threads": 13, "tasks": 5, "rounds": 1, **held}
    return Look(at=at, rss_mb=rss, **counts)


def test_growth_is_that_of_the_second_half() -> None:
    grows_and_settles = [look(t, min(t, 300.0)) for t in range(0, 1200, 10)]
    assert abs(growth_per_hour(grows_and_settles)) < 0.01
    grows = [look(t, 100 + t / 360) for t in range(0, 1200, 10)]
    assert abs(growth_per_hour(grows) - 10) < 0.01


def test_a_soak_passes_only_if_memory_stays_and_everything_is_given_back() -> None:
    stays = [look(t, 100 + t % 3) for t in range(0, 1200, 10)]
    assert verdict(stays)["passed"]
    assert not verdict([look(t, 100 + t / 360) for t in range(0, 1200, 10)])["passed"]
    for kept in ({"descriptors": 23}, {"threads": 22}, {"tasks": 7}):
        assert not verdict([*stays, look(1210, 100, **kept)])["passed"]


def test_a_soak_passes_only_if_calls_that_are_given_up_leave_nothing_and_says_where_it_ran() -> (
    None
):
    found = verdict([look(t, 100 + t % 3) for t in range(0, 1200, 10)])
    for left, passes in (
        (GivenUp(8.0, 0.1), True),
        (GivenUp(90.0, 0.1), False),
        (GivenUp(8.0, 1.0), False),
    ):
        told = record(found, left, machine=describe(), command="python -m benchmarks.soak")
        assert told["passed"] is passes
        assert told["command"] == "python -m benchmarks.soak"
        assert isinstance(told["machine"], dict)
        assert told["machine"]["commit"]


def test_a_tenth_of_what_grpc_loses_fails_a_soak() -> None:
    """A call that is given up costs 60 bytes without `finish_batches`, and 430 come a second."""
    lost = [look(t, 100 + t * 430 * 6 / 1e6) for t in range(0, 1200, 10)]
    assert not verdict(lost)["passed"]
