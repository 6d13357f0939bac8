"""Raw unary calls by load generators that others wrote: a check of our own generator."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections.abc import Callable

from benchmarks.harness.results import Case, Sample
from benchmarks.load.tools import Outcome, ToolError, find, run_ghz, run_h2load
from benchmarks.load.unary import Request
from benchmarks.service import requests
from benchmarks.service.measure import case_of
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, Served, rig, start_baseline, start_interlace

__all__ = ["failures_in", "raw_unary"]

TOOLS: dict[str, Callable[..., Outcome]] = {"h2load": run_h2load, "ghz": run_ghz}
PER_SECOND = 1_500
"""How many calls make about a second's window."""
_VARYING = 12
"""Bytes by which right answers differ: Interlace tells a latency of its own in each."""
_NOT_OK = re.compile(
    r'^rpc_server_call_duration_seconds_count\{.*rpc_response_status_code="(?!OK").*\} ([\d.e+]+)$',
    re.MULTILINE,
)


async def raw_unary(plan: Plan) -> list[Case]:
    """Call by each tool that is on the PATH; which are not is said in the case."""
    cases = []
    for name in TOOLS:
        variant: dict[str, str | int | float] = {"tool": name}
        if find(name) is None:
            note = f"{name} is not on the PATH"
            cases.append(Case("service", "raw_unary", variant, "cpu_us_per_call", notes=(note,)))
            continue
        with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
            cases.append(await _with(place, name, plan))
    return cases


async def _with(place: Rig, name: str, plan: Plan) -> Case:
    request = requests.call()
    await requests.assert_equal(request, place.interlace, place.baseline)
    samples: list[Sample] = []
    troubles: list[str] = []
    sides = [place.interlace, place.baseline]
    calls = max(200, round(PER_SECOND * plan.pace.seconds))
    for number in range(-1, plan.pace.rounds):
        for served in sides if number % 2 == 0 else reversed(sides):
            size = len(await requests.answer_of(served, request)) + 5
            sample, wrong = await asyncio.to_thread(_window, place, served, request, name, calls)
            troubles += wrong + _missing(sample, size, served.side)
            if number >= 0:
                samples.append(sample)
    notes = ("the tool's whole run is charged, from its connections to its last answer",)
    variant: dict[str, str | int | float] = {"tool": name}
    samples.sort(key=lambda sample: sample.side == place.baseline.side)
    return case_of("raw_unary", variant, (tuple(samples), tuple(troubles)), notes=notes)


def _window(
    place: Rig, served: Served, request: Request, name: str, calls: int
) -> tuple[Sample, list[str]]:
    before, refused = place.upstream_count(), _failures(served)
    cpu = served.child.cpu_ns()
    try:
        outcome = TOOLS[name](served.address, request, calls=calls, folder=place.folder)
    except ToolError as error:
        return Sample(served.side, {"errors": 1.0, "calls": 0.0, "cpu_us_per_call": 0.0}), [
            str(error)
        ]
    spent = served.child.cpu_ns() - cpu
    errors = outcome.errors + _failures(served) - refused
    troubles = [f"{served.side}: {errors} errors"] if errors else []
    if (reached := place.upstream_count() - before) != calls:
        troubles.append(f"{served.side}: {reached} requests upstream for {calls} calls")
    values = {
        "cpu_us_per_call": spent / 1e3 / max(1, outcome.calls),
        "rate": outcome.calls / outcome.seconds,
        "busy": spent / 1e9 / outcome.seconds,
        "rss_mb": served.child.rss_bytes() / 1e6,
        "errors": float(errors),
        "calls": float(outcome.calls),
        "data_bytes": float(outcome.data),
    }
    return Sample(served.side, values), troubles


def _missing(sample: Sample, size: int, side: str) -> list[str]:
    """Say so where the answers had too few bytes: a gRPC error has none."""
    least = sample.values["calls"] * (size - _VARYING)
    found = sample.values.get("data_bytes", 0.0)
    return [f"{side}: {found:.0f} bytes of answers, not {least:.0f}"] if 0 < found < least else []


def _failures(served: Served) -> int:
    """How many RPCs a server says that it answered with an error; 0 where it keeps no count."""
    if not served.admin:
        return 0
    with urllib.request.urlopen(f"{served.admin}/metrics", timeout=30) as answer:  # noqa: S310  # our own
        return failures_in(answer.read().decode())


def failures_in(metrics: str) -> int:
    """Return how many RPCs ended with anything but OK, by the text of `/metrics`."""
    return round(sum(float(count) for count in _NOT_OK.findall(metrics)))
