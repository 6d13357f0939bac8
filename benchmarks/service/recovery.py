"""How soon a service is well again after its upstream was gone, and how soon it gave up on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from urllib.parse import urlsplit

from benchmarks.harness.results import Case, Sample
from benchmarks.load.bodies import body
from benchmarks.service import requests
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, rig, start_baseline, start_interlace
from interlace import ChannelConfig, Client, InterlaceError
from interlaced.testing.fault_proxy import FaultProxy, Faults

__all__ = ["recovery"]

OUTAGES = (0.2, 3.0)
"""Seconds for which connections are reset and refused: a restart, and a longer one."""
QUICK_OUTAGES = (0.2,)
ROUNDS = 5
RATE = 100
"""Calls per second on each side: a moment is known to 10 ms."""
PATIENCE = 2.0
LEAD = 0.5
"""Seconds before an outage, in which every call must go well."""
STEADY = 1.0
"""It is well again when every call of so many seconds went well."""
LIMIT = 30.0
"""Seconds after which a side that does not recover is a failure of the case."""
_OPEN = "BREAKER_OPEN"
_HOW = (
    f"open loop, {RATE} calls/s on each side at once, who wait {PATIENCE:g} s; "
    "connections are reset, and new ones refused, by a proxy in between"
)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call: when it began and ended, and why it failed; empty where it did not."""

    began: float
    ended: float
    why: str


@dataclass(slots=True)
class _Side:
    """One side, its client, and what became of the calls of one outage."""

    name: str
    client: Client
    calls: list[_Call] = field(default_factory=list)

    async def ask(self, answer: bytes) -> None:
        """Make one call, and note what becomes of it."""
        began, why = time.perf_counter(), ""
        try:
            found = await self.client.call("api", "Get", timeout=PATIENCE)
            if found.data != answer:
                why = "another answer"
        except InterlaceError as error:
            why = error.facts.reason or error.facts.code.name
        self.calls.append(_Call(began, time.perf_counter(), why))

    def is_steady(self, since: float) -> bool:
        """Return whether every call of the last while went well, and there were some."""
        start = max(since, time.perf_counter() - STEADY)
        last = [call for call in self.calls if call.ended >= start]
        return start > since and bool(last) and not any(call.why for call in last)


async def recovery(plan: Plan) -> list[Case]:
    """Reset every connection to the upstream and refuse new ones for a while; both sides at once.

    The breaker gives up on an upstream within moments, and asks it again after five seconds by
    default: that is what it costs when the upstream is back sooner. The peer has none.
    """
    cases = []
    async with _behind_a_proxy(plan) as (sides, proxy):
        for outage in QUICK_OUTAGES if plan.is_quick else OUTAGES:
            samples: list[Sample] = []
            troubles: list[str] = []
            for _ in range(1 if plan.is_quick else ROUNDS):
                for sample, wrong in await _go_through(sides, proxy, outage):
                    samples.append(sample)
                    troubles += wrong
            failed = (f"failed: {trouble}" for trouble in dict.fromkeys(troubles))
            case = Case(
                suite="service",
                scenario="recovery",
                variant={"outage_s": outage},
                unit="recovered_ms",
                samples=tuple(samples),
                notes=(_HOW, *failed),
            )
            cases.append(case)
    return cases


@asynccontextmanager
async def _behind_a_proxy(plan: Plan) -> AsyncIterator[tuple[list[_Side], FaultProxy]]:
    """Run both sides against one upstream, with one proxy before it."""
    async with AsyncExitStack() as stack:
        place: Rig = stack.enter_context(rig(plan.cores))
        there = urlsplit(place.upstream)
        proxy = FaultProxy(there.hostname or "127.0.0.1", there.port or 80)
        await stack.enter_async_context(proxy)
        behind = replace(place, upstream=f"http://127.0.0.1:{proxy.port}")
        config = ChannelConfig(checks_health=False)  # the peer serves no health
        sides = []
        for start in (start_interlace, start_baseline):
            served = stack.enter_context(start(behind))
            client = await stack.enter_async_context(Client(served.address, config))
            sides.append(_Side(served.side, client))
        yield sides, proxy


async def _go_through(
    sides: Sequence[_Side], proxy: FaultProxy, outage: float
) -> list[tuple[Sample, list[str]]]:
    """Go through one outage, until both sides are well again."""
    for side in sides:
        side.calls.clear()
    load = asyncio.create_task(_load(sides))
    try:
        await asyncio.sleep(LEAD)
        down = time.perf_counter()
        proxy.script(Faults(refuse=True))
        proxy.cut()
        await asyncio.sleep(outage)
        proxy.heal()
        up = time.perf_counter()
        until = up + LIMIT
        while time.perf_counter() < until and not all(one.is_steady(up) for one in sides):  # noqa: ASYNC110  # a while without a failure is what is waited for
            await asyncio.sleep(0.05)
    finally:
        proxy.heal()
        load.cancel()
        await asyncio.wait({load})
    return [_judge(side, down, up) for side in sides]


async def _load(sides: Sequence[_Side]) -> None:
    """Call at a constant rate, until it is cancelled."""
    answer, began, number = body("json", requests.SMALL), time.perf_counter(), 0
    async with asyncio.TaskGroup() as group:
        while True:
            for side in sides:
                group.create_task(side.ask(answer))
            number += 1
            await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))


def _judge(side: _Side, down: float, up: float) -> tuple[Sample, list[str]]:
    """Return the figures of one outage, and what must not be."""
    failed = [call for call in side.calls if call.why]
    troubles = [
        f"{side.name}: {call.why} before the outage" for call in failed if call.ended < down
    ]
    right = [call.ended - up for call in side.calls if not call.why and call.ended >= up]
    if not right or not side.is_steady(up):
        troubles.append(f"{side.name}: not well again {LIMIT:g} s after its upstream was")
    opened = [call.ended - down for call in failed if call.why == _OPEN]
    values = {
        "recovered_ms": min(right, default=LIMIT) * 1e3,
        "whole_ms": max([0.0, *(call.ended - up for call in failed)]) * 1e3,
        "failed": float(len(failed)),
        "calls": float(len(side.calls)),
    }
    if failed:
        values["failed_p50_ms"] = median(call.ended - call.began for call in failed) * 1e3
    if opened:
        values["opened_ms"] = min(opened) * 1e3
    return Sample(side.name, values), troubles
