"""Latency at a constant rate: a sweep to the knee, and what an overload of half as much does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from benchmarks.harness.results import Case
from benchmarks.load.unary import ClosedLoop, OpenLoop
from benchmarks.service import requests
from benchmarks.service.measure import Contender, Pace, case_of, versus, window
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, rig, start_baseline, start_interlace

__all__ = ["OVERLOAD", "SHARES", "rates"]

SHARES = (10, 25, 50, 70, 80, 90, 100)
OVERLOAD = 150
CONNECTIONS = 16
"""An overload has thousands of calls under way, and a connection may carry 1,000."""
IN_FLIGHT = 64
ROUNDS = 3
SAFE = 0.9
"""From this share of its ceiling on a side may refuse."""


async def rates(plan: Plan) -> list[Case]:
    """Offer both sides the same rates, shares of the higher of the two ceilings, which a closed
    loop finds first; then each one half more than its own.

    Beyond a side's own ceiling refusals are no failure of the case: they are counted, and what is
    timed is the answers that came.
    """
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        ceilings = {side: await _ceiling(place, side, plan.pace) for side in place.sides}
        told = ", ".join(f"{side} {rate:.0f}/s" for side, rate in ceilings.items())
        plan.say(f"  ceilings of a closed loop: {told}")
        highest = max(ceilings.values())
        cases = []
        for share in SHARES:
            offered = dict.fromkeys(place.sides, highest * share / 100)
            cases.append(await _offered(place, ("sweep", share), offered, ceilings, plan))
        offered = {side: rate * OVERLOAD / 100 for side, rate in ceilings.items()}
        cases.append(await _offered(place, ("overload", OVERLOAD), offered, ceilings, plan))
        return cases


async def _ceiling(place: Rig, side: str, pace: Pace) -> float:
    served = place.sides[side]
    connections = await served.connect(4)
    driver = ClosedLoop(connections, requests.call(), in_flight=IN_FLIGHT)
    contender = Contender(side, driver, served.child)
    await window(contender, pace.warming)
    sample, _ = await window(contender, pace)
    for connection in connections:
        connection.close()
    return sample.values["rate"]


async def _offered(
    place: Rig,
    name: tuple[str, int],
    offered: Mapping[str, float],
    ceilings: Mapping[str, float],
    plan: Plan,
) -> Case:
    contenders, every = [], []
    for side, served in place.sides.items():
        connections = await served.connect(CONNECTIONS)
        every += connections
        driver = OpenLoop(connections, requests.call(), rate=offered[side])
        is_beyond = offered[side] >= SAFE * ceilings[side]
        count = None if is_beyond else place.upstream_count
        contenders.append(Contender(side, driver, served.child, 1, count, allows_errors=is_beyond))
    pace = replace(plan.pace, rounds=min(ROUNDS, plan.pace.rounds))
    measured = await versus(contenders, pace)
    for connection in every:
        connection.close()
    told = ", ".join(f"{side} {rate:.0f}/s" for side, rate in offered.items())
    notes = (f"open loop, offered {told}; latency counts from the planned time",)
    scenario, share = name
    return case_of(scenario, {"share": share}, measured, notes=notes)
