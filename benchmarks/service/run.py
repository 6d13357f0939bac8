"""The run: scenarios in their order, each result told as it comes, all of them in one file."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import signal
import statistics
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.process import NotStartedError, pin
from benchmarks.harness.results import SCHEMA, Case, Run, write_run
from benchmarks.service.plan import Plan
from benchmarks.service.requests import UnequalAnswersError
from benchmarks.service.scenarios import ALL

__all__ = ["has_failed", "run", "run_to_end", "summary_line"]


async def run(names: Sequence[str], plan: Plan, *, command: str, path: Path | None) -> Run:
    """Measure the scenarios and write the file after each, so that nothing is lost.

    This process drives the load: it is pinned to the load's cores from now on.
    """
    block = machine.describe(plan.cores.as_block())  # of the whole machine, not of our cores
    pin(plan.cores.load)
    _end_well_on_sigterm()
    if not plan.cores.are_apart:
        plan.say("server and load share one core: ratios are still fair, rates say nothing")
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    gc.collect()
    gc.freeze()
    cases: list[Case] = []
    for name in names:
        since = time.perf_counter()
        found = await _measure(name, plan)
        cases += found
        plan.say(f"{name} ({time.perf_counter() - since:.0f} s)")
        for case in found:
            plan.say("  " + summary_line(case))
        done = Run(SCHEMA, "service", started, machine.finish(block), command, tuple(cases))
        if path:
            _write(done, path)
    return Run(SCHEMA, "service", started, machine.finish(block), command, tuple(cases))


def _end_well_on_sigterm() -> None:
    """Make SIGTERM cancel the run as Ctrl-C does, so that no server is left behind."""
    task = asyncio.current_task()
    if task:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def _write(done: Run, path: Path) -> None:
    write_run(done, path)


async def _measure(name: str, plan: Plan) -> list[Case]:
    """One scenario. One that cannot be measured is a case without a ratio, and the next goes on."""
    try:
        return await ALL[name](plan)
    except (NotStartedError, UnequalAnswersError, TimeoutError, OSError) as error:
        note = f"failed: {type(error).__name__}: {error}"
        return [Case("service", name, {}, "", notes=(note,))]


def has_failed(cases: Iterable[Case]) -> bool:
    """Return whether something went wrong in any case; what was skipped is no failure."""
    return any(note.startswith("failed:") for case in cases for note in case.notes)


def summary_line(case: Case) -> str:
    """Return a case in one line, for people."""
    told = " ".join(f"{key}={value}" for key, value in case.variant.items())
    parts = [case.scenario, told]
    for side in dict.fromkeys(sample.side for sample in case.samples):
        values = [one.values[case.unit] for one in case.samples if one.side == side]
        parts.append(f"{side} {statistics.median(values):.4g}")
    if case.samples:
        parts.append(case.unit)
    if case.ratio:
        ratio = case.ratio
        parts.append(f"ratio {ratio.mid:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]")
    else:
        parts.append("; ".join(case.notes[-2:]))
    return "  ".join(part for part in parts if part)


def run_to_end(names: Sequence[str], plan: Plan, *, command: str, path: Path | None) -> Run:
    """Run all of it on a loop of its own."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run(names, plan, command=command, path=path))
