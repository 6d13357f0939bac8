"""Windows: timed, in turn, and worth nothing with a single error in them."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.harness.process import Child
from benchmarks.harness.results import Case, Sample, VariantValue
from benchmarks.harness.stats import few_pairs, paired_ratio, percentile
from benchmarks.load.driver import Driver, Tally

__all__ = ["Contender", "Pace", "case_of", "latency_values", "versus", "window"]

MAIN = "cpu_us_per_call"
PERCENTILES = (
    ("p50_ms", 50.0, 1),
    ("p90_ms", 90.0, 10),
    ("p99_ms", 99.0, 100),
    ("p999_ms", 99.9, 1_000),
    ("max_ms", 100.0, 1),
)
"""Each percentile, and how many latencies it takes to tell it from the worst one."""


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
    `served` counts what reached it. Without `served` nothing is checked. With `patience`, in
    seconds, the answers that came in time are counted, also as a share of `ceiling` per second.
    """

    side: str
    driver: Driver
    child: Child
    upstream_per_call: int = 1
    served: Callable[[], int] | None = None
    allows_errors: bool = False
    patience: float = 0.0
    ceiling: float = 0.0


async def window(contender: Contender, pace: Pace) -> tuple[Sample, list[str]]:
    """Time one window; return it with what went wrong from its start to its last answer.

    CPU and rate are of the answers that came in the window. Latencies are of the calls that began
    in it, whenever they came back: what an overload leaves waiting is not cut off.
    """
    driver, child = contender.driver, contender.child
    tally = driver.tally
    errors_before, done_before = tally.errors, tally.done
    served_before = contender.served() if contender.served else 0
    gc.collect()
    await driver.start()
    await asyncio.sleep(pace.ramp)
    done = tally.done
    own, cpu, since = time.process_time_ns(), child.cpu_ns(), time.perf_counter()
    await asyncio.sleep(pace.seconds)
    spent, until = child.cpu_ns() - cpu, time.perf_counter()
    own, calls, seconds = time.process_time_ns() - own, tally.done - done, until - since
    await driver.stop()
    drained = time.perf_counter() - until
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
    latencies = _of_window(zip(tally.begun, tally.latencies, strict=True), since, until)
    values = {
        MAIN: spent / 1e3 / calls if calls else 0.0,
        "rate": calls / seconds,
        "busy": spent / 1e9 / seconds,
        # Near 1 it was the load that could do no more: then the rate says nothing of the server.
        "load_busy": own / 1e9 / seconds,
        **latency_values(latencies),
        "rss_mb": child.rss_bytes() / 1e6,
        "errors": float(errors),
        "calls": float(calls),
    }
    if tally.offered:
        late = _of_window(tally.planned, since, until)
        values |= {"offered": tally.offered, **_late_values(late), "drain_ms": drained * 1e3}
    if contender.patience:
        values |= _goodput(contender, latencies, seconds) | _kinds(tally)
    tally.forget()
    return Sample(contender.side, values), troubles


def _of_window(each: Iterable[tuple[float, float]], since: float, until: float) -> list[float]:
    """Return the figures of what began in the window."""
    return [figure for began, figure in each if since <= began < until]


def latency_values(latencies: Sequence[float]) -> dict[str, float]:
    """Return percentiles in ms, from an HdrHistogram of microseconds with three digits.

    One that so few latencies cannot have is left out: 99 of 100 are not told from all by 50 calls.
    """
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it ships no types

    histogram = HdrHistogram(1, 120_000_000, 3)
    for latency in latencies:
        histogram.record_value(max(1, round(latency * 1e6)))
    return {
        name: histogram.get_value_at_percentile(share) / 1e3
        for name, share, least in PERCENTILES
        if len(latencies) >= least
    }


def _late_values(late: Sequence[float]) -> dict[str, float]:
    """How late the load itself was, at worst and for all but one of a hundred calls."""
    if not late:
        return {}
    return {"late_ms": max(late) * 1e3, "late_p99_ms": percentile(late, 0.99) * 1e3}


def _goodput(contender: Contender, latencies: Sequence[float], seconds: float) -> dict[str, float]:
    """Right answers to calls of the window that came while somebody still wanted them."""
    in_time = sum(latency <= contender.patience for latency in latencies) / seconds
    share = {"goodput_share": in_time / contender.ceiling} if contender.ceiling else {}
    return {"goodput": in_time, **share, "too_late": len(latencies) - in_time * seconds}


def _kinds(tally: Tally) -> dict[str, float]:
    """How many calls were refused with which status, from the window's start to its last answer."""
    told = ((kind.replace("grpc-status", "status").replace(" ", "_"), number)
            for kind, number in tally.kinds.items())  # fmt: skip
    return {kind.lower(): float(number) for kind, number in told}


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
    it has none where anything went wrong, allowed or not: errors are never answers."""
    samples, troubles = measured
    sides = list(dict.fromkeys(sample.side for sample in samples))
    told = [f"failed: {trouble}" for trouble in troubles]
    ratio = None
    if len(sides) == 2 and not troubles:
        ours, theirs = ([one.values[main] for one in samples if one.side == side] for side in sides)
        if any(one.values.get("errors") for one in samples):
            told.append("calls were refused in a window, so that there is no ratio")
        else:
            ratio = paired_ratio(ours, theirs)
            told += few_pairs(len(ours))
    return Case("service", scenario, variant, main, samples, ratio, notes=(*notes, *told))
