"""Calls, fan-outs and sessions beside the baseline, in a closed loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.harness.results import Case, VariantValue
from benchmarks.load.bodies import body
from benchmarks.load.driver import Driver
from benchmarks.load.http2 import Connection
from benchmarks.load.session import SessionLoad
from benchmarks.load.unary import ClosedLoop, Request
from benchmarks.service import requests
from benchmarks.service.measure import Contender, case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, Served, rig, start_baseline, start_interlace

__all__ = [
    "Shot",
    "call",
    "close_all",
    "closed",
    "contender_of",
    "fanout",
    "session",
    "slow_branch",
]

CONNECTIONS = 4
CALLS_IN_FLIGHT = 32
LEAST_SLOW = 0.7
"""Seconds; a window below them may hold no whole wave of calls that take half a second each."""
SLOW_IN_FLIGHT = 128
"""With 8 branches each they all have room in the bulkhead and its queue, also if none has begun."""
BRANCHES_IN_FLIGHT = 128
"""A fan-out of 8 with 16 in flight, of 32 with 4: as many branches under way whatever the width."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One unary case: what is asked, and how many are under way."""

    request: Request
    scenario: str
    variant: dict[str, VariantValue]
    in_flight: int
    upstream_per_call: int = 1
    notes: tuple[str, ...] = ()


async def closed(rig: Rig, shot: Shot, plan: Plan) -> Case:
    """Measure one request on both sides, in a closed loop."""
    await requests.assert_equal(shot.request, rig.interlace, rig.baseline)
    count = min(CONNECTIONS, shot.in_flight)
    contenders, every = [], []
    for served in (rig.interlace, rig.baseline):
        connections = await served.connect(count)
        every += connections
        driver = ClosedLoop(connections, shot.request, in_flight=shot.in_flight)
        contenders.append(contender_of(rig, served, driver, shot.upstream_per_call))
    measured = await versus(contenders, plan.pace)
    close_all(every)
    told = f"closed loop, {shot.in_flight} in flight on {count} connections"
    return case_of(shot.scenario, shot.variant, measured, notes=(told, *shot.notes))


def close_all(connections: Iterable[Connection]) -> None:
    """Close the connections of a case, so that the next one finds the servers without them."""
    for connection in connections:
        connection.close()


def contender_of(rig: Rig, served: Served, driver: Driver, upstream_per_call: int = 1) -> Contender:
    """Return a served side with its load; what reaches the upstream is counted."""
    return Contender(served.side, driver, served.child, upstream_per_call, rig.upstream_count)


async def call(plan: Plan) -> list[Case]:
    """Call to one REST upstream, passed through."""
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        return [
            await closed(
                place,
                Shot(
                    request=requests.call(),
                    scenario="call",
                    variant={"upstreams": 1},
                    in_flight=CALLS_IN_FLIGHT,
                ),
                plan,
            )
        ]


async def fanout(plan: Plan) -> list[Case]:
    """FanOut of several widths."""
    cases = []
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        for width in (8, 32) if plan.is_quick else (1, 4, 8, 16, 32):
            case = await closed(
                place,
                Shot(
                    request=requests.fan_out(["Get"] * width),
                    scenario="fanout",
                    variant={"width": width},
                    in_flight=min(CALLS_IN_FLIGHT, BRANCHES_IN_FLIGHT // width),
                    upstream_per_call=width,
                ),
                plan,
            )
            cases.append(case)
    return cases


async def slow_branch(plan: Plan) -> list[Case]:
    """FanOut of 8, one branch of which takes 500 ms longer; a window has room for a wave."""
    pace = replace(plan.pace, seconds=max(LEAST_SLOW, plan.pace.seconds))
    plan = replace(plan, pace=replace(pace, warm=max(LEAST_SLOW, pace.warm)))
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        return [
            await closed(
                place,
                Shot(
                    request=requests.fan_out(["Get"] * 7 + ["Slow"]),
                    scenario="slow_branch",
                    variant={"width": 8, "slow_ms": 500},
                    in_flight=SLOW_IN_FLIGHT,
                    upstream_per_call=8,
                ),
                plan,
            )
        ]


async def session(plan: Plan) -> list[Case]:
    """Session with several numbers of calls in flight, beside the baseline's unary calls with as
    many; in a whole run beside its own stream of one message per call as well."""
    cases = []
    encoded = requests.one_call().SerializeToString()
    answer = body("json", requests.SMALL)
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        await requests.assert_equal(requests.call(), place.interlace, place.baseline)
        for in_flight in (64, 256) if plan.is_quick else (1, 16, 64, 256):
            for peer in ("unary",) if plan.is_quick else ("unary", "stream"):
                [one] = await place.interlace.connect(1)
                ours = SessionLoad(one, encoded, answer, in_flight=in_flight)
                theirs, connections = await _peer(place.baseline, peer, in_flight)
                contenders = [
                    contender_of(place, place.interlace, ours, 1),
                    contender_of(place, place.baseline, theirs, 1),
                ]
                measured = await versus(contenders, plan.pace)
                close_all([one, *connections])
                scenario = "session" if peer == "unary" else "session_beside_stream"
                cases.append(
                    case_of(
                        scenario,
                        {"in_flight": in_flight},
                        measured,
                        notes=(f"one session beside the baseline's {peer} calls",),
                    )
                )
    return cases


async def _peer(served: Served, peer: str, in_flight: int) -> tuple[Driver, list[Connection]]:
    if peer == "unary":
        connections = await served.connect(min(CONNECTIONS, in_flight))
        return ClosedLoop(connections, requests.call(), in_flight=in_flight), connections
    connections = await served.connect(1)
    session = SessionLoad(
        connections[0],
        requests.one_call().SerializeToString(),
        body("json", requests.SMALL),
        in_flight=in_flight,
        is_batched=False,
    )
    return session, connections
