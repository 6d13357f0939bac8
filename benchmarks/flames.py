"""`python -m benchmarks.flames` samples the stacks of both sides under load, for the page.

A process that is sampled is slower, so that this is no part of any timed window; the figures of the
page are from runs without it. It needs py-spy, and the right to look into a process of one's own:
root, or `kernel.yama.ptrace_scope` at 0.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.machine import describe, finish
from benchmarks.harness.process import Cores, pin, split_cores
from benchmarks.harness.results import INTERLACE
from benchmarks.harness.stacks import Call, NotSampledError, from_json, sample, to_json, tree_of
from benchmarks.load.bodies import body
from benchmarks.load.driver import Driver
from benchmarks.load.session import SessionLoad
from benchmarks.load.unary import ClosedLoop
from benchmarks.service import requests
from benchmarks.service.calls import close_all
from benchmarks.service.rig import Served, rig, start_baseline, start_interlace
from benchmarks.summary import FOLDER

__all__ = ["FILE", "Flame", "main", "read_flames", "write_flames"]

FILE = "flames.json"
SECONDS = 4
WARM = 1.0
NAMES = ("Call", "FanOut of 8", "Session")
"""What is looked at, as the page calls it."""
_IN_FLIGHT: Mapping[str, int] = {"Call": 32, "FanOut of 8": 16, "Session": 256}


@dataclass(frozen=True, slots=True)
class Flame:
    """The tree of one side in one scenario."""

    name: str
    side: str
    root: Call


async def measure(seconds: int, cores: Cores) -> list[Flame]:
    """Sample both sides, one after the other; a session has but one."""
    with ExitStack() as stack:
        place = stack.enter_context(rig(cores))
        both = [stack.enter_context(start(place)) for start in (start_interlace, start_baseline)]
        asked = [(name, one) for name in NAMES for one in (both[:1] if name == "Session" else both)]
        return [Flame(name, one.side, await _look(name, one, seconds)) for name, one in asked]


async def _look(name: str, served: Served, seconds: int) -> Call:
    count = 1 if name == "Session" else 4
    connections = await served.connect(count)
    driver: Driver
    if name == "Session":
        asked = requests.one_call().SerializeToString()
        answer = body("json", requests.SMALL)
        driver = SessionLoad(connections[0], asked, answer, in_flight=_IN_FLIGHT[name])
    else:
        request = requests.call() if name == "Call" else requests.fan_out(["Get"] * 8)
        driver = ClosedLoop(connections, request, in_flight=_IN_FLIGHT[name])
    await driver.start()
    try:
        await asyncio.sleep(WARM)
        folded = await asyncio.to_thread(sample, served.child.pid, seconds)
    finally:
        await driver.stop()
        close_all(connections)
    if driver.tally.errors:
        raise NotSampledError(f"{name}: {driver.tally.errors} calls went wrong")
    return tree_of(folded)


def write_flames(path: Path, flames: Sequence[Flame], about: Mapping[str, Any]) -> None:
    """Write them as JSON with what is to be known about the run."""
    shown = [{"name": one.name, "side": one.side, "root": to_json(one.root)} for one in flames]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**about, "flames": shown}, separators=(",", ":"), allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def read_flames(path: Path) -> list[Flame]:
    """Read what `write_flames` wrote; none where there is no such file."""
    if not path.is_file():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    return [Flame(one["name"], one["side"], from_json(one["root"])) for one in document["flames"]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Sample, and write `flames.json`; end with 1 where that cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flames", description=__doc__)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="how long each is sampled")
    parser.add_argument("--json", type=Path, default=FOLDER / FILE, help="where the trees go")
    asked = parser.parse_args(arguments)
    cores = split_cores()
    block = describe(cores.as_block())
    pin(cores.load)
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    try:
        flames = asyncio.run(measure(asked.seconds, cores))
    except NotSampledError as error:
        print(error, file=sys.stderr)
        return 1
    command = "python -m benchmarks.flames"
    about = {"started": started, "machine": finish(block), "command": command}
    write_flames(asked.json, flames, about)
    ours = [one for one in flames if one.side == INTERLACE]
    print(f"{len(flames)} trees, {len(ours)} of ours, written to {asked.json}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
