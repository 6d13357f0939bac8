"""What going through adds to one call's latency, beside asking the upstream itself."""

from __future__ import annotations

from benchmarks.harness.results import DIRECT, Case
from benchmarks.load.bodies import body
from benchmarks.load.direct import DirectLoop
from benchmarks.load.unary import ClosedLoop
from benchmarks.service import manifests, requests
from benchmarks.service.calls import close_all, contender_of
from benchmarks.service.measure import Contender, case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import rig, start_baseline, start_interlace

__all__ = ["added_latency"]


async def added_latency(plan: Plan) -> list[Case]:
    """One call at a time: straight to the upstream, through Interlace, through the baseline.

    Nothing waits for anything but itself, so that the difference of two medians is what the one in
    between adds: its own work, a further hop over loopback, and waking up twice.
    """
    request, path = requests.call(), manifests.ROUTES["Get"]
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        await requests.assert_equal(request, place.interlace, place.baseline)
        every = [(one, await one.connect(1)) for one in (place.interlace, place.baseline)]
        straight = DirectLoop(f"{place.upstream}{path}", body("json", requests.SMALL))
        through = [
            contender_of(place, served, ClosedLoop(connections, request, in_flight=1))
            for served, connections in every
        ]
        direct = Contender(DIRECT, straight, place.serving, 1, place.upstream_count)
        measured = await versus([*through, direct], plan.pace)
        straight.close()
        close_all(connection for _, connections in every for connection in connections)
    notes = (
        "closed loop, 1 call in flight on 1 connection; the CPU time of `direct` is the upstream's",
    )
    return [case_of("added_latency", {"in_flight": 1}, measured, main="p50_ms", notes=notes)]
