"""What calls that are given up leave behind, in bytes of native memory and blocks of Python.

The resident memory of a short run cannot show it: it jumps by more than a leak of a hundred bytes a
call adds up to. What `malloc` has given out is exact, so a few thousand calls tell.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import statistics
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.process import ROOT
from benchmarks.load.http2 import Connection, connect, framed
from interlace.v1 import gateway_service_pb2 as pb

__all__ = ["ALLOWED_BLOCKS", "ALLOWED_BYTES", "GivenUp", "measure_given_up"]

ALLOWED_BYTES = 40.0
"""Of native memory a call, in the median of the rounds. Noise is some 20 about 0; a batch of gRPC
that nobody frees is at least 96 bytes and comes with most of these calls."""
ALLOWED_BLOCKS = 0.5
"""Of Python a call: less than one object with every second call."""
ROUNDS = 8
WARM_UP = 2
CALLS = 1_500
WIDTH = 16
_PATH = b"/interlace.v1.GatewayService/Call"
_START_LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What a call that was given up left behind, in the median of the rounds."""

    native_bytes: float
    python_blocks: float

    @property
    def passed(self) -> bool:
        """Whether it is so little that it is noise."""
        return self.native_bytes <= ALLOWED_BYTES and self.python_blocks <= ALLOWED_BLOCKS


class _Leaver:
    """Whatever comes, its caller has left or is about to."""

    def on_message(self, message: bytes) -> None:
        """Take an answer that was quicker."""

    def on_end(self, error: str) -> None:
        """Take its end."""


async def _leave(connection: Connection, calls: int) -> None:
    """Begin calls, sixteen at a time, and give each up after 0 to 4 ms."""
    message = pb.CallRequest()
    message.call.connector, message.call.operation = "web", "Get"
    message.call.parameters.add(name="id", string_value="1")
    frame, numbers = framed(message.SerializeToString()), iter(range(calls))

    async def one_by_one() -> None:
        for number in numbers:
            stream = connection.open(_PATH, _Leaver())
            connection.send_data(stream, frame, is_last=True)
            await asyncio.sleep(0.001 * (number % 5))
            stream.cancel()

    async with asyncio.TaskGroup() as group:
        for _ in range(WIDTH):
            group.create_task(one_by_one())


class _Heap:
    """Asks a service under `benchmarks.heap` what it holds."""

    def __init__(self, service: Process, told: Path) -> None:
        self._service = service
        self._told = told

    async def look(self) -> Mapping[str, int]:
        """Return what it holds now, without its garbage."""
        self._told.unlink(missing_ok=True)
        self._service.send_signal(signal.SIGUSR1)
        await _file(self._told, self._service)
        held: dict[str, int] = json.loads(self._told.read_text(encoding="ascii"))
        return held

    async def settled(self) -> Mapping[str, int]:
        """Return the least of what a few looks see: the last calls end in their own time."""
        looks = []
        for _ in range(3):
            await asyncio.sleep(0.1)
            looks.append(await self.look())
        return min(looks, key=lambda held: held["native_bytes"])


async def measure_given_up(
    folder: Path, manifests: str, *, origin: str, without: str = "nothing"
) -> GivenUp:
    """Serve `manifests` with the upstream at `origin` and a lever taken away, give calls of
    `web.Get` up, and return what they left behind. `folder` is empty and may be filled."""
    ports, told = folder / "ports.json", folder / "held.json"
    (folder / "given_up").mkdir()
    (folder / "given_up" / "all.yaml").write_text(manifests)
    command = [
        *(sys.executable, "-m", "benchmarks.heap", str(told), without, "serve"),
        *("--log-level", "error", "--config", str(folder / "given_up"), "--port", "0"),
        *("--admin-port", "0", "--ports-file", str(ports)),
    ]
    environment = {"URL": origin, "PATH": "/usr/bin:/bin"}
    service = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT)
    try:
        await _file(ports, service)
        connection = await connect(json.loads(ports.read_text())["grpc"])
        return await _rounds(connection, _Heap(service, told))
    finally:
        if service.returncode is None:
            service.terminate()
        await service.wait()


async def _rounds(connection: Connection, heap: _Heap) -> GivenUp:
    held = []
    for number in range(WARM_UP + ROUNDS + 1):
        await _leave(connection, CALLS)
        if number >= WARM_UP:
            held.append(await heap.settled())
    connection.close()

    def each(key: str) -> float:
        grown = [after[key] - before[key] for before, after in itertools.pairwise(held)]
        return statistics.median(grown) / CALLS

    return GivenUp(round(each("native_bytes"), 1), round(each("python_blocks"), 3))


async def _file(path: Path, service: Process) -> None:
    """Wait for a file. Raise ChildProcessError where the service ends before it is there."""
    async with asyncio.timeout(_START_LIMIT):
        while not path.exists():  # noqa: ASYNC240  # a file tells nobody that it came
            if service.returncode is not None:
                raise ChildProcessError(f"the service ended with {service.returncode}")
            await asyncio.sleep(0.02)
