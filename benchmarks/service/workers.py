"""CPU per call at two workers against one."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.harness.process import giving_way_to, tree
from benchmarks.harness.results import INTERLACE, Case
from benchmarks.load.unary import ClosedLoop
from benchmarks.service import requests
from benchmarks.service.calls import close_all, contender_of
from benchmarks.service.measure import case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import rig, start_interlace

__all__ = ["can_have_workers", "workers"]

ONE = "one_worker"
CONNECTIONS = 32
IN_FLIGHT = 64
"""For each worker: with more of them, more is asked of them."""


def can_have_workers() -> bool:
    """Return whether this Interlace knows `--workers`."""
    done = subprocess.run(
        [sys.executable, "-m", "interlaced", "serve", "--help"],
        capture_output=True,
        text=True,
        check=False,
        env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    return "--workers" in done.stdout


async def workers(plan: Plan) -> list[Case]:
    """Call at two workers against one.

    Both may use every core, since two workers on one core would prove nothing. The load and the
    upstream share these cores, and give way to both; they still are in everybody's way, which is
    why a ratio of the two is all that this gives.
    """
    variant: dict[str, str | int | float] = {"workers": 2}
    if not can_have_workers():
        note = "`interlace serve` has no --workers here"
        return [Case("service", "workers", variant, "cpu_us_per_call", notes=(note,))]
    everywhere = plan.cores.server | plan.cores.load
    request = requests.call()
    with (
        rig(plan.cores) as place,
        start_interlace(place, options=("--workers", "2"), cores=everywhere) as two,
        start_interlace(place, side=ONE, options=("--workers", "1"), cores=everywhere) as one,
    ):
        await requests.assert_equal(request, two, one)
        every = [(served, await served.connect(CONNECTIONS)) for served in (two, one)]
        contenders = [
            contender_of(
                place, served, ClosedLoop(connections, request, in_flight=IN_FLIGHT * count)
            )
            for (served, connections), count in zip(every, (2, 1), strict=True)
        ]
        with giving_way_to((two.child, one.child)) as gives_way:
            measured = await versus(contenders, plan.pace)
        close_all(connection for _, connections in every for connection in connections)
        counts = " against ".join(str(len(tree(each.child.pid))) for each in (two, one))
        load = f"{IN_FLIGHT} calls in flight for each worker"
        way = "gives way" if gives_way else "may interrupt them: the kernel refuses SCHED_BATCH"
        note = f"{INTERLACE} has two workers; {counts} processes, unpinned; {load}; the load {way}"
    return [case_of("workers", variant, measured, notes=(note,))]
