"""What the policies cost: Interlace beside Interlace with all of them off, FanOut of 8."""

from __future__ import annotations

from benchmarks.harness.results import INTERLACE, Case
from benchmarks.load.unary import ClosedLoop
from benchmarks.service import manifests, requests
from benchmarks.service.calls import close_all, contender_of
from benchmarks.service.measure import case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import rig, start_interlace

__all__ = ["OFF", "policies"]

OFF = "policies_off"
WIDTH = 8
CONNECTIONS = 4
IN_FLIGHT = 16


async def policies(plan: Plan) -> list[Case]:
    """All policies on, and in a whole run each alone, against all off."""
    return [
        await _against_off(plan, name) for name in (["all"] if plan.is_quick else manifests.ONE_ON)
    ]


async def _against_off(plan: Plan, name: str) -> Case:
    request = requests.fan_out(["Get"] * WIDTH)
    with (
        rig(plan.cores) as place,
        start_interlace(place, policy=manifests.ONE_ON[name]) as on,
        start_interlace(place, side=OFF, policy=manifests.ALL_OFF) as off,
    ):
        await requests.assert_equal(request, on, off)
        every = [(served, await served.connect(CONNECTIONS)) for served in (on, off)]
        contenders = [
            contender_of(
                place, served, ClosedLoop(connections, request, in_flight=IN_FLIGHT), WIDTH
            )
            for served, connections in every
        ]
        measured = await versus(contenders, plan.pace)
        close_all(connection for _, connections in every for connection in connections)
    notes = (f"{INTERLACE} has {name} on, the other side nothing but a deadline of 300 s",)
    return case_of("policies", {"on": name}, measured, notes=notes)
