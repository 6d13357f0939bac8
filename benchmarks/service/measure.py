"""Windows: timed, in turn, and worth nothing with a single error in them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.harness.process import Child
from benchmarks.harness.results import Case, Sample, VariantValue
from benchmarks.harness.stats import paired_ratio
from benchmarks.load.driver import Driver

__all__ = ["Contender", "Pace", "case_of", "versus", "window"]

MAIN = "cpu_us_per_call"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long each thing takes, in seconds; the first `ramp` of each window is not timed."""

    seconds: float = 2.0
    rounds: int = 7
    ramp: float = 0.3
    warm: float = 1.5

    @property
    def warming(self) -> Pace:
        """The window that is thrown away before the first round, the same for all sides."""
        return replace(self, seconds=self.warm)


@dataclass(slots=True)
class Contender:
    """One side: its load, and the process that is charged for it.

    `upstream_per_call` requests must reach the upstream for each call, no more and no fewer;
    `served` counts what reached it. Without `served` nothing is checked.
    """

    side: str
    driver: Driver
    child: Child
    upstream_per_call: int = 1
    served: Callable[[], int] | None = None
    allows_errors: bool = False


async def window(contender: Contender, pace: Pace) -> tuple[Sample, list[str]]:
    """Time one window; return it with what went wrong from its start to its last answer."""
    driver, child = contender.driver, contender.child
    tally = driver.tally
    errors_before, done_before = tally.errors, tally.done
    served_before = contender.served() if contender.served else 0
    gc.collect()
    await driver.start()
    await asyncio.sleep(pace.ramp)
    done, place = tally.done, len(tally.latencies)
    own, cpu, since = time.process_time_ns(), child.cpu_ns(), time.perf_counter()
    await asyncio.sleep(pace.seconds)
    spent, seconds = child.cpu_ns() - cpu, time.perf_counter() - since
    own = time.process_time_ns() - own
    calls, latencies = tally.done - done, tally.latencies[place:]
    await driver.stop()
    errors = tally.errors - errors_before
    troubles = [f"{contender.side}: {why}" for why in tally.told] if errors else []
    if contender.served:
        expected = (tally.done - done_before) * contender.upstream_per_call
        found = contender.served() - served_before
        if found != expected and not errors:
            troubles.append(
                f"{contender.side}: {found} requests upstream for calls that need {expected}"
            )
    if not calls:
        troubles.append(f"{contender.side}: no call came back in the window")
    tally.latencies.clear()
    tally.told.clear()
    values = {
        MAIN: spent / 1e3 / calls if calls else 0.0,
        "rate": calls / seconds,
        "busy": spent / 1e9 / seconds,
        # Near 1 it was the load that could do no more: then the rate says nothing of the server.
        "load_busy": own / 1e9 / seconds,
        **_latency_values(latencies),
        "rss_mb": child.rss_bytes() / 1e6,
        "errors": float(errors),
        "calls": float(calls),
    }
    if tally.offered:
        values |= {"offered": tally.offered, "late_ms": tally.late * 1e3}
    tally.late = 0.0
    return Sample(contender.side, values), troubles


def _latency_values(latencies: Sequence[float]) -> dict[str, float]:
    """Percentiles in ms, from an HdrHistogram of microseconds with three digits."""
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

    histogram = HdrHistogram(1, 120_000_000, 3)
    for latency in latencies:
        histogram.record_value(max(1, round(latency * 1e6)))
    return {
        name: histogram.get_value_at_percentile(share) / 1e3 if latencies else 0.0
        for name, share in (("p50_ms", 50.0), ("p99_ms", 99.0), ("p999_ms", 99.9))
    }


async def versus(
    contenders: Sequence[Contender], pace: Pace
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """Run A B, B A, A B …; return every window and what went wrong.

    Who goes first alternates, so that a drift of the machine favours nobody.
    """
    troubles: list[str] = []
    for contender in contenders:
        wrong = (await window(contender, pace.warming))[1]
        if not contender.allows_errors:
            troubles += wrong
    samples: list[Sample] = []
    for number in range(pace.rounds):
        for contender in contenders if number % 2 == 0 else list(reversed(contenders)):
            sample, wrong = await window(contender, pace)
            samples.append(sample)
            if not contender.allows_errors:
                troubles += wrong
    return tuple(samples), tuple(dict.fromkeys(troubles))


def case_of(
    scenario: str,
    variant: dict[str, VariantValue],
    measured: tuple[tuple[Sample, ...], tuple[str, ...]],
    *,
    main: str = MAIN,
    notes: Sequence[str] = (),
) -> Case:
    """Return the case. Its ratio is the first side's main figure over the second's, pair by pair;
    it has none where anything went wrong: errors are never answers."""
    samples, troubles = measured
    sides = list(dict.fromkeys(sample.side for sample in samples))
    ratio = None
    if len(sides) == 2 and not troubles:
        ours, theirs = ([one.values[main] for one in samples if one.side == side] for side in sides)
        ratio = paired_ratio(ours, theirs)
    told = [f"failed: {trouble}" for trouble in troubles]
    return Case("service", scenario, variant, main, samples, ratio, notes=(*notes, *told))
