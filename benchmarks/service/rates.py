"""Latency at a constant rate: a sweep to the knee, and what an overload of half as much does."""

from __future__ import annotations

from collections.abc import Mapping

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


async def rates(plan: Plan) -> list[Case]:
    """Offer each side shares of its own ceiling, which a closed loop finds first.

    In the overload refusals are no failure of the case: they are counted, and what is timed is
    the answers that came.
    """
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        ceilings = {side: await _ceiling(place, side, plan.pace) for side in place.sides}
        told = ", ".join(f"{side} {rate:.0f}/s" for side, rate in ceilings.items())
        plan.say(f"  ceilings of a closed loop: {told}")
        return [await _offered(place, ceilings, share, plan) for share in (*SHARES, OVERLOAD)]


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


async def _offered(place: Rig, ceilings: Mapping[str, float], share: int, plan: Plan) -> Case:
    is_overload = share > 100
    contenders, every = [], []
    for side, served in place.sides.items():
        connections = await served.connect(CONNECTIONS)
        every += connections
        driver = OpenLoop(connections, requests.call(), rate=ceilings[side] * share / 100)
        served_count = None if is_overload else place.upstream_count
        contenders.append(
            Contender(side, driver, served.child, 1, served_count, allows_errors=is_overload)
        )
    pace = Pace(plan.pace.seconds, min(ROUNDS, plan.pace.rounds), plan.pace.ramp, plan.pace.warm)
    measured = await versus(contenders, pace)
    for connection in every:
        connection.close()
    offered = ", ".join(f"{side} {ceilings[side] * share / 100:.0f}/s" for side in place.sides)
    notes = (f"open loop, offered {offered}; latency counts from the planned time",)
    scenario = "overload" if is_overload else "rate"
    return case_of(scenario, {"share": share}, measured, notes=notes)
