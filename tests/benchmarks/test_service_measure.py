"""A window with an error, with unequal work or with no call at all fails its case."""

from __future__ import annotations

import asyncio
import os
from typing import Any, cast

import pytest
from benchmarks.harness.process import Child, cpu_ns, rss_bytes
from benchmarks.harness.results import Sample
from benchmarks.load.driver import Tally
from benchmarks.service.measure import Contender, Pace, case_of, versus

PACE = Pace(seconds=0.05, rounds=3, ramp=0.01, warm=0.02)


class Here:
    """This process in place of a child."""

    def cpu_ns(self) -> int:
        return cpu_ns(os.getpid())

    def rss_bytes(self) -> int:
        return rss_bytes(os.getpid())


class Ticking:
    """A load that counts by itself; every `error_every`-th tick is an error."""

    def __init__(self, *, error_every: int = 0, is_dead: bool = False) -> None:
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
                self._tally.fail("spoilt")
            else:
                self._tally.done += 1
                self._tally.latencies.append(0.001)


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
    assert sides == ["interlace", "baseline", "baseline", "interlace", "interlace", "baseline"]
    assert all(sample.values["calls"] > 0 for sample in case.samples)
    assert case.samples[0].values["p50_ms"] == pytest.approx(1.0, rel=0.01)


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
    assert case.ratio is not None
    assert any(sample.values["errors"] for sample in case.samples)


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
