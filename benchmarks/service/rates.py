"""Latency at a constant rate: a sweep to the knee, and what an overload of half as much does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from benchmarks.harness.results import Case, Sample
from benchmarks.load.unary import ClosedLoop, OpenLoop
from benchmarks.service import requests
from benchmarks.service.calls import close_all
from benchmarks.service.measure import Contender, Pace, case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, rig, start_baseline, start_interlace

__all__ = ["OVERLOAD", "SHARES", "late_notes", "overload_pace", "rates"]

SHARES = (10, 25, 50, 70, 80, 90, 100)
QUICK_SHARES = (50,)
OVERLOAD = 150
OVERLOAD_SECONDS = 10.0
"""At least so long in a whole run: a queue that grows must have the time to show."""
PATIENCE = 1.0
"""Seconds after which a caller wants no answer any more; both servers are told."""
CONNECTIONS = 16
"""An overload has thousands of calls under way, and a connection may carry 1,000."""
IN_FLIGHT = 64
ROUNDS = 3
CEILING_ROUNDS = 5
"""A ceiling is the best of so many windows: one that was found while the machine was slow for a
while would make an overload of what is none."""
SAFE = 0.9
"""From this share of its ceiling on a side may refuse."""
SMALL = 0.25
"""The load's own lateness is small where its p99 is no more than this share of the p99 shown."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What each side is offered per second, and how long its callers wait for an answer."""

    scenario: str
    share: int
    rates: Mapping[str, float]
    patience: float = 0.0


async def rates(plan: Plan) -> list[Case]:
    """Offer both sides the same rates, shares of the higher of the two ceilings, which a closed
    loop finds first; then each one half more than its own, from callers who wait a second.

    Beyond a side's own ceiling refusals are no failure of the case: they are counted, and what is
    timed is the answers that came. Such a case has no ratio.
    """
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        ceilings = await _ceilings(place, plan.pace)
        plan.say(f"  ceilings of a closed loop: {_told(ceilings)}")
        highest = max(ceilings.values())
        cases = []
        for share in QUICK_SHARES if plan.is_quick else SHARES:
            same = dict.fromkeys(place.sides, highest * share / 100)
            cases.append(await _offered(place, Offer("sweep", share, same), ceilings, plan))
        ceilings = await _ceilings(place, plan.pace)
        beyond = {side: rate * OVERLOAD / 100 for side, rate in ceilings.items()}
        offer = Offer("overload", OVERLOAD, beyond, PATIENCE)
        longer = replace(plan, pace=overload_pace(plan))
        cases.append(await _offered(place, offer, ceilings, longer))
        return cases


def overload_pace(plan: Plan) -> Pace:
    """Return the pace of an overload: that of the plan, in a whole run with longer windows."""
    if plan.is_quick:
        return plan.pace
    return replace(plan.pace, seconds=max(OVERLOAD_SECONDS, plan.pace.seconds))


def _told(rates: Mapping[str, float]) -> str:
    return ", ".join(f"{side} {rate:.0f}/s" for side, rate in rates.items())


async def _ceilings(place: Rig, pace: Pace) -> dict[str, float]:
    """Find the most that each side answers per second, in windows that take turns."""
    contenders, every = [], []
    for side, served in place.sides.items():
        connections = await served.connect(4)
        every += connections
        driver = ClosedLoop(connections, requests.call(), in_flight=IN_FLIGHT)
        contenders.append(Contender(side, driver, served.child))
    samples, _ = await versus(contenders, replace(pace, rounds=min(CEILING_ROUNDS, pace.rounds)))
    close_all(every)
    return {
        side: max(one.values["rate"] for one in samples if one.side == side) for side in place.sides
    }


async def _offered(place: Rig, offer: Offer, ceilings: Mapping[str, float], plan: Plan) -> Case:
    contenders, every = [], []
    request = replace(requests.call(), patience=offer.patience)
    for side, served in place.sides.items():
        connections = await served.connect(CONNECTIONS)
        every += connections
        driver = OpenLoop(connections, request, rate=offer.rates[side])
        is_beyond = offer.rates[side] >= SAFE * ceilings[side]
        contenders.append(
            Contender(
                *(side, driver, served.child),
                served=None if is_beyond else place.upstream_count,
                allows_errors=is_beyond,
                patience=offer.patience,
                ceiling=ceilings[side],
            )
        )
    pace = replace(plan.pace, rounds=min(ROUNDS, plan.pace.rounds))
    samples, troubles = await versus(contenders, pace)
    close_all(every)
    notes = [
        f"open loop, offered {_told(offer.rates)}; latency counts from the planned time",
        f"ceilings of a closed loop: {_told(ceilings)}",
        *late_notes(samples),
    ]
    if offer.patience:
        notes.append(
            f"callers wait {offer.patience:g} s and tell so; goodput is the right answers per "
            "second that came in time, its share that of the side's own ceiling"
        )
    return case_of(offer.scenario, {"share": offer.share}, (samples, troubles), notes=notes)


def late_notes(samples: Sequence[Sample]) -> list[str]:
    """Return what to say where the load itself was late by more than a little of what is shown."""
    notes = []
    for side in dict.fromkeys(sample.side for sample in samples):
        own = [one.values for one in samples if one.side == side]
        late = [values["late_p99_ms"] for values in own if "late_p99_ms" in values]
        shown = [values["p99_ms"] for values in own if "p99_ms" in values]
        if late and shown and median(late) > SMALL * median(shown):
            notes.append(
                f"{side}: the load itself was {median(late):.2g} ms late (p99) beside a p99 of "
                f"{median(shown):.2g} ms, which is therefore in part its own"
            )
    return notes
