"""A window with an error, with unequal work or with no call at all fails its case."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from typing import Any, cast

import pytest
from benchmarks.harness.process import Child, cpu_ns, rss_bytes
from benchmarks.harness.results import Sample
from benchmarks.load.driver import Tally
from benchmarks.service.measure import (
    PERCENTILES,
    Contender,
    Pace,
    case_of,
    latency_values,
    versus,
    window,
)

PACE = Pace(seconds=0.05, rounds=6, ramp=0.01, warm=0.02)


class Here:
    """This process in place of a child."""

    def cpu_ns(self) -> int:
        return cpu_ns(os.getpid())

    def rss_bytes(self) -> int:
        return rss_bytes(os.getpid())


class Ticking:
    """A load that counts by itself; every `error_every`-th tick is an error."""

    def __init__(self, *, error_every: int = 0, is_dead: bool = False, why: str = "spoilt") -> None:
        self._why = why
        self._tally = Tally()
        self._error_every = error_every
        self._is_dead = is_dead
        self._task: asyncio.Task[None] | None = None
        self.served = 0

    @property
    def tally(self) -> Tally:
        return self._tally

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._tick())

    async def stop(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _tick(self) -> None:
        while not self._is_dead:
            await asyncio.sleep(0.001)
            self.served += 1
            if self._error_every and self.served % self._error_every == 0:
                self._tally.fail(self._why)
            else:
                self._tally.done += 1
                self._tally.land(time.perf_counter() - 0.001)


def contender(side: str, load: Ticking, **options: Any) -> Contender:
    return Contender(side, load, cast("Child", Here()), **options)


async def measured(*contenders: Contender) -> Any:
    return case_of("call", {}, await versus(contenders, PACE))


async def test_good_windows_give_a_ratio_with_its_interval() -> None:
    case = await measured(contender("interlace", Ticking()), contender("baseline", Ticking()))
    assert case.ratio is not None
    assert case.ratio.low <= case.ratio.mid <= case.ratio.high
    assert case.notes == ()
    sides = [sample.side for sample in case.samples]
    assert sides == ["interlace", "baseline", "baseline", "interlace"] * 3
    assert all(sample.values["calls"] > 0 for sample in case.samples)
    assert case.samples[0].values["p50_ms"] == pytest.approx(1.0, rel=0.1)


async def test_an_error_in_a_window_fails_the_case() -> None:
    bad = contender("interlace", Ticking(error_every=10))
    case = await measured(bad, contender("baseline", Ticking()))
    assert case.ratio is None
    assert "failed: interlace: spoilt" in case.notes


async def test_an_error_of_the_baseline_fails_it_as_well() -> None:
    bad = contender("baseline", Ticking(error_every=10))
    assert (await measured(contender("interlace", Ticking()), bad)).ratio is None


async def test_refusals_under_overload_are_counted_and_fail_nothing() -> None:
    loads = [Ticking(error_every=5), Ticking()]
    first = contender("interlace", loads[0], allows_errors=True)
    case = await measured(first, contender("baseline", loads[1]))
    assert any(sample.values["errors"] for sample in case.samples)
    assert not any(note.startswith("failed:") for note in case.notes)
    assert case.ratio is None  # errors are never answers, allowed or not
    assert "calls were refused" in case.notes[-1]


class Stuck(Ticking):
    """A load whose calls come back half a second after the window's end, as a backlog does."""

    async def start(self) -> None:
        self._planned = [time.perf_counter() + at / 1e3 for at in range(60)]
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await asyncio.sleep(0.5)
        for planned in self._planned:
            self._tally.done += 1
            self._tally.land(planned)


async def test_calls_of_the_window_that_come_back_after_it_are_in_its_latencies() -> None:
    sample, _ = await window(contender("interlace", Stuck()), replace(PACE, ramp=0.0))
    assert sample.values["max_ms"] >= 500


async def test_a_backlog_alone_has_the_latencies_of_a_backlog() -> None:
    load = contender("interlace", Stuck(is_dead=True))
    sample, _ = await window(load, replace(PACE, ramp=0.0))
    assert sample.values["p50_ms"] >= 500
    assert sample.values["calls"] == 0


async def test_calls_that_began_before_the_window_are_not_in_its_latencies() -> None:
    sample, _ = await window(contender("interlace", Stuck(is_dead=True)), replace(PACE, ramp=0.07))
    assert "p50_ms" not in sample.values


async def test_goodput_counts_the_answers_that_came_in_time_alone() -> None:
    load = contender("interlace", Stuck(is_dead=True), patience=0.4, ceiling=1_000.0)
    sample, _ = await window(load, replace(PACE, ramp=0.0))
    assert sample.values["goodput"] == sample.values["goodput_share"] == 0.0
    assert sample.values["too_late"] >= 40
    patient = contender("interlace", Stuck(is_dead=True), patience=60.0, ceiling=1_000.0)
    sample, _ = await window(patient, replace(PACE, ramp=0.0))
    assert sample.values["too_late"] == pytest.approx(0)
    assert sample.values["goodput"] > 0
    assert sample.values["goodput_share"] == sample.values["goodput"] / 1_000


async def test_refusals_are_told_apart_where_they_are_allowed() -> None:
    load = Ticking(error_every=2, why="grpc-status 8 no room")
    sample, _ = await window(contender("interlace", load, patience=1.0), PACE)
    assert sample.values["status_8"] == sample.values["errors"] > 0


def test_a_percentile_that_nothing_was_measured_for_is_left_out() -> None:
    assert latency_values([]) == {}
    assert set(latency_values([0.1] * 9)) == {"p50_ms", "max_ms"}
    assert set(latency_values([0.1] * 99)) == {"p50_ms", "p90_ms", "max_ms"}
    assert "p999_ms" not in latency_values([0.1] * 999)
    assert set(latency_values([0.1] * 1_000)) == {name for name, _, _ in PERCENTILES}


@pytest.mark.parametrize(("pairs", "share"), [(1, "0%"), (2, "50%"), (3, "75%"), (5, "94%")])
async def test_an_interval_of_few_pairs_says_what_it_is(pairs: int, share: str) -> None:
    sample = {"cpu_us_per_call": 1.0}
    both = [Sample("interlace", sample), Sample("baseline", sample)] * pairs
    case = case_of("call", {}, (tuple(both), ()))
    assert share in case.notes[-1]
    assert "not of 95 %" in case.notes[-1]


async def test_unequal_work_fails_the_case() -> None:
    lazy = Ticking()
    case = await measured(
        contender("interlace", lazy, served=lambda: 0), contender("baseline", Ticking())
    )
    assert case.ratio is None
    assert "0 requests upstream" in case.notes[0]


async def test_equal_work_passes() -> None:
    load = Ticking()
    case = await measured(
        contender("interlace", load, served=lambda: load.served), contender("baseline", Ticking())
    )
    assert case.ratio is not None


async def test_a_window_without_a_call_fails_the_case() -> None:
    case = await measured(
        contender("interlace", Ticking(is_dead=True)), contender("baseline", Ticking())
    )
    assert case.ratio is None
    assert "no call came back" in case.notes[0]


def test_the_ratio_is_the_first_sides_over_the_seconds() -> None:
    samples = tuple(
        Sample(side, {"cpu_us_per_call": cost})
        for side, cost in (("interlace", 50.0), ("baseline", 100.0))
    )
    case = case_of("call", {}, (samples, ()))
    assert case.ratio is not None
    assert case.ratio.mid == 0.5
