"""Measures what a call costs the server on several versions of grpcio, in turn, in one run.

`python -m tools.grpcio_matrix [VERSION ...]`, from the root of a checkout, makes a virtual
environment per version under `build/matrix` (kept from run to run), serves an echo of raw bytes
from each (`grpcio_echo.py`, on the loop that the service runs on), and drives them all in rounds
with the benchmarks' own client. Handlers take bytes, as the service's do, so that protobuf has no
part in it. It prints a table and writes `build/bench/grpcio.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness.machine import describe, finish
from benchmarks.harness.process import Child, Cores, pin, split_cores
from benchmarks.harness.results import SCHEMA, Case, Run, Sample, write_run
from benchmarks.harness.stats import bootstrap, paired_ratio
from benchmarks.load.drained import DrainedLoad
from benchmarks.load.driver import Driver
from benchmarks.load.http2 import Connection, Stream, connect
from benchmarks.load.unary import ClosedLoop, Request
from benchmarks.service.measure import MAIN, Contender, Pace, window

ROOT = Path(__file__).resolve().parent.parent
MATRIX = ROOT / "build" / "matrix"
RESULT = ROOT / "build" / "bench" / "grpcio.json"
ECHO = ROOT / "tools" / "grpcio_echo.py"
VERSIONS = ("1.75.1", "1.76.0", "1.78.2", "1.80.0", "1.83.2", "1.85.1")
PINNED = version("grpcio")
BODY = b"\x00interlace\x00" * 10
LEAST = 300
"""A sample needs so many calls."""
MOST_WINDOWS = 6
LIMIT = 200.0
"""No round begins later than this many seconds after the first."""


class PingPong(DrainedLoad):
    """Keeps one message under way on each of some streams: what comes back is a call, and is sent
    again."""

    def __init__(self, connection: Connection, *, streams: int) -> None:
        super().__init__()
        self._connection = connection
        self._count = streams
        self._echoes: list[_Echo] = []

    async def start(self) -> None:
        """Send the first message on each stream."""
        while len(self._echoes) < self._count:
            echo = _Echo(self)
            echo.stream = self._connection.open(b"/echo.Echo/Stream", echo)
            self._echoes.append(echo)
        self._is_on = True
        for echo in self._echoes:
            self._send(echo)

    def came(self, echo: _Echo, message: bytes) -> None:
        """Count a message, and answer it while the load is on."""
        self._ended(echo)
        if message != BODY:
            self._tally.fail("not the message that was sent")
            return
        self._tally.done += 1
        self._tally.land(echo.since)
        if self._is_on:
            self._send(echo)

    def broke(self, echo: _Echo, why: str) -> None:
        """Count a stream that ended by itself, with a message under way or without."""
        self._tally.fail(why or "a stream ended")
        self._ended(echo)

    def _send(self, echo: _Echo) -> None:
        self._drained.begin()
        echo.is_waiting, echo.since = True, time.perf_counter()
        echo.stream.send(BODY)

    def _ended(self, echo: _Echo) -> None:
        if echo.is_waiting:
            echo.is_waiting = False
            self._drained.end()


class _Echo:
    """One stream of a PingPong."""

    stream: Stream

    def __init__(self, load: PingPong) -> None:
        self._load = load
        self.is_waiting = False
        self.since = 0.0

    def on_message(self, message: bytes) -> None:
        """Hand it on."""
        self._load.came(self, message)

    def on_end(self, error: str) -> None:
        """A stream ends only where something is wrong."""
        self._load.broke(self, error)


async def _unary(address: str, in_flight: int) -> Driver:
    request = Request(b"/echo.Echo/Unary", BODY, lambda message: message == BODY)
    return ClosedLoop([await connect(address)], request, in_flight=in_flight)


async def _stream(address: str, streams: int) -> Driver:
    return PingPong(await connect(address), streams=streams)


SHAPES: Mapping[str, Callable[[str], Awaitable[Driver]]] = {
    "unary, one at a time": lambda address: _unary(address, 1),
    "unary, 16 in flight": lambda address: _unary(address, 16),
    "stream, a message in and out on each of 8": lambda address: _stream(address, 8),
}


@dataclass(frozen=True, slots=True)
class Side:
    """A version that serves."""

    name: str
    child: Child
    address: str


def environment_of(number: str) -> Path:
    """Make the environment of a version, unless it is there; end the program where it cannot be
    installed from a wheel."""
    place = MATRIX / f"grpcio-{number}-{sys.version_info.major}.{sys.version_info.minor}"
    if (place / ".ready").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=True)
    done = subprocess.run(install(place, number), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"grpcio {number} cannot be installed\n{done.stderr}")
    (place / ".ready").touch()
    return place


def install(place: Path, number: str) -> list[str]:
    """Return the command that installs a version, and the uvloop that the service has."""
    options = ("--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:")
    wanted = (f"grpcio=={number}", f"uvloop=={version('uvloop')}")
    return [str(place / "bin" / "python"), "-m", "pip", "install", *options, *wanted]


def serve(stack: ExitStack, python: Path, folder: Path, *, name: str, cores: Cores) -> Side:
    """Start the echo with an interpreter and return where it answers."""
    ports = folder / f"{name}.ports"
    command = (str(python), str(ECHO), "--ports-file", str(ports))
    child = stack.enter_context(Child(command, cores=cores.server, log=folder / f"{name}.log"))
    return Side(name, child, child.await_file(ports))


async def measure(
    sides: Sequence[Side], pace: Pace, *, limit: float = LIMIT, least: int = LEAST
) -> list[Case]:
    """Drive all sides in every shape, round by round, each round in another order."""
    drivers = {
        shape: [Contender(side.name, await make(side.address), side.child) for side in sides]
        for shape, make in SHAPES.items()
    }
    samples: dict[str, list[Sample]] = {shape: [] for shape in SHAPES}
    troubles: dict[str, list[str]] = {shape: [] for shape in SHAPES}
    for contenders in drivers.values():
        for contender in contenders:
            await window(contender, pace.warming)
    until = time.monotonic() + limit
    for number in range(pace.rounds):
        if number and time.monotonic() > until:
            break
        for shape, contenders in drivers.items():
            for contender in _turned(contenders, number):
                sample, wrong = await _enough(contender, pace, least=least)
                samples[shape].append(sample)
                troubles[shape] += wrong
    return [
        Case(
            "service", "grpcio", {"shape": shape}, MAIN, tuple(found), notes=tuple(troubles[shape])
        )
        for shape, found in samples.items()
    ]


async def _enough(contender: Contender, pace: Pace, *, least: int) -> tuple[Sample, list[str]]:
    """Time windows until they hold enough calls, and return their sum; none is thrown away.

    On a busy machine a window may hold a handful of calls, whose cost is that of waking up.
    """
    calls = errors = spent = 0.0
    for _ in range(MOST_WINDOWS):
        sample, wrong = await window(contender, pace)
        calls += sample.values["calls"]
        errors += sample.values["errors"]
        spent += sample.values[MAIN] * sample.values["calls"]
        if errors:
            return sample, wrong
        if calls >= least:
            break
    values = {MAIN: spent / calls if calls else 0.0, "calls": calls, "errors": errors}
    few = [] if calls >= least else [f"{contender.side}: {calls:.0f} calls, too few to tell"]
    return Sample(contender.side, values), few


def _turned(contenders: Sequence[Contender], number: int) -> list[Contender]:
    """Return them beginning with another one each round, backwards in every second."""
    start = number % len(contenders)
    turned = [*contenders[start:], *contenders[:start]]
    return turned[::-1] if number % 2 else turned


def table(cases: Sequence[Case], *, against: str) -> list[str]:
    """Return a Markdown table: CPU-µs of the server per call, and beside the version `against`."""
    lines = ["| grpcio | shape | CPU-µs per call | beside " + against + " |", "|---|---|---|---|"]
    for case in cases:
        found: dict[str, list[float]] = {}
        for sample in case.samples:
            found.setdefault(sample.side, []).append(sample.values[MAIN])
        for side, values in found.items():
            own = bootstrap(values)
            is_whole = against in found and all(found[against])
            ratio = paired_ratio(values, found[against]) if is_whole else None
            beside = f"{ratio.mid:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio else ""
            cost = f"{own.mid:.0f} [{own.low:.0f}, {own.high:.0f}]"
            lines.append(f"| {side} | {case.variant['shape']} | {cost} | {beside} |")
        lines += [f"failed: {note}" for note in case.notes]
    return lines


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="what is compared")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.6, help="the length of a window")
    parser.add_argument("--json", type=Path, default=RESULT)
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for; exit with 1 where a call failed."""
    asked = _asked()
    places = {number: environment_of(number) for number in asked.versions}
    cores = split_cores()
    pin(cores.load)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    machine = describe(cores=cores.as_block(), loop="uvloop")
    pace = Pace(seconds=asked.seconds, rounds=asked.rounds, ramp=0.15, warm=0.3)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        sides = [
            serve(
                stack,
                place / "bin" / "python",
                Path(folder),
                name=number,
                cores=cores,
            )
            for number, place in places.items()
        ]
        cases = asyncio.run(measure(sides, pace))
    command = f"python -m tools.grpcio_matrix {' '.join(asked.versions)}"
    write_run(Run(SCHEMA, "grpcio", started, finish(machine), command, tuple(cases)), asked.json)
    print("\n".join(table(cases, against=PINNED)))  # noqa: T201  # what a tool has found
    if any(case.notes for case in cases):
        sys.exit(1)


if __name__ == "__main__":
    main()
