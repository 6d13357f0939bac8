"""`python -m benchmarks.levers [LEVER ...]`: what a call costs with each lever and without it.

Both sides are Interlace, run in turn, A B B A. A ratio of 0.80 says that what costs 1 without the
lever costs 0.80 with it. Writes `build/bench/levers.json`; ends with 1 where a call failed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import machine
from benchmarks.harness.process import Child, pin, split_cores
from benchmarks.harness.results import SCHEMA, Case, Run, write_run
from benchmarks.levers.without import LEVERS
from benchmarks.load.bodies import body
from benchmarks.load.driver import Driver
from benchmarks.load.session import SessionLoad
from benchmarks.load.subscribe import FeedLoad, FeedShape
from benchmarks.load.unary import ClosedLoop
from benchmarks.service import manifests, requests
from benchmarks.service.measure import Contender, Pace, case_of, versus
from benchmarks.service.rig import Rig, Served, rig

__all__ = ["SHAPES", "main", "measure", "start_without"]

RESULT = Path("build") / "bench" / "levers.json"
WIDTH = 8
IN_FLIGHT = 64
SUBSCRIBERS = 20


async def _call(served: Served) -> Driver:
    return ClosedLoop(await served.connect(4), requests.call(), in_flight=32)


async def _fan_out(served: Served) -> Driver:
    request = requests.fan_out(["Get"] * WIDTH)
    return ClosedLoop(await served.connect(4), request, in_flight=16)


async def _session(served: Served) -> Driver:
    [one] = await served.connect(1)
    asked, answer = requests.one_call().SerializeToString(), body("json", requests.SMALL)
    return SessionLoad(one, asked, answer, in_flight=IN_FLIGHT)


async def _subscribe(served: Served) -> Driver:
    listening = await served.connect(1)
    [telling] = await served.connect(1)
    return FeedLoad(listening, telling, FeedShape("ticks.Ticks", "ticks.Ticks", SUBSCRIBERS))


SHAPES = {"call": _call, "fanout of 8": _fan_out, "session": _session, "subscribe": _subscribe}
OF_LEVER = {"feed_batches": ("subscribe",), "session_batches": ("session",)}
"""Which shapes tell something about a lever; the others tell it of calls and fan-outs."""


@contextlib.contextmanager
def start_without(place: Rig, lever: str, *, side: str) -> Iterator[Served]:
    """Run `interlace serve` without a lever, with the suite's connectors of REST and memory."""
    folder = place.folder / side
    connectors, ports = folder / "connectors", folder / "ports.json"
    manifests.write_rest(connectors, place.upstream)
    manifests.write_feeds(connectors)
    with Child.python(
        *("-m", "benchmarks.levers.without", lever, "serve", "--config", str(connectors)),
        *("--log-format", "json", "--port", "0", "--admin-port", "0", "--ports-file", str(ports)),
        cores=place.cores.server,
        log=folder / "log",
    ) as child:
        found = json.loads(child.await_file(ports))
        yield Served(side, child, found["grpc"], found["admin"])


async def measure(lever: str, pace: Pace) -> list[Case]:
    """Measure one lever in every shape that tells something about it."""
    cases = []
    with (
        rig(split_cores()) as place,
        start_without(place, "nothing", side="with") as kept,
        start_without(place, lever, side="without") as put_back,
    ):
        for shape in OF_LEVER.get(lever, ("call", "fanout of 8")):
            contenders = [
                Contender(served.side, await SHAPES[shape](served), served.child)
                for served in (kept, put_back)
            ]
            measured = await versus(contenders, pace)
            cases.append(case_of("lever", {"lever": lever, "shape": shape}, measured))
    return cases


def _line(case: Case) -> str:
    ratio = case.ratio
    told = f"{ratio.mid:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else "failed"
    return f"{case.variant['lever']}: {case.variant['shape']} {told}"


async def _run(asked: argparse.Namespace, command: str) -> int:
    cores = split_cores()
    pin(cores.load)
    block, started = machine.describe(cores.as_block()), dt.datetime.now(dt.UTC)
    pace = Pace(seconds=asked.seconds, rounds=asked.rounds, ramp=0.2, warm=0.6)
    cases: list[Case] = []
    for lever in asked.levers:
        found = await measure(lever, pace)
        cases += found
        print("\n".join(map(_line, found)), flush=True)
    when = started.isoformat(timespec="seconds")
    write_run(Run(SCHEMA, "levers", when, machine.finish(block), command, tuple(cases)), asked.json)
    return int(any(case.ratio is None for case in cases))


def main() -> None:
    """Measure the levers that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.levers", description=__doc__)
    parser.add_argument("levers", nargs="*", help=f"of {', '.join(LEVERS)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="the length of a window")
    parser.add_argument("--json", type=Path, default=RESULT)
    asked = parser.parse_args()
    asked.levers = asked.levers or list(LEVERS)
    unknown = [each for each in asked.levers if each not in LEVERS]
    if unknown:
        parser.error(f"no such lever: {', '.join(unknown)}")
    command = "python -m benchmarks.levers " + " ".join(sys.argv[1:])
    sys.exit(asyncio.run(_run(asked, command.strip())))


if __name__ == "__main__":
    main()
