"""The soak: mixed load for a long time, and everything given back afterwards.

Run `python -m benchmarks.soak --minutes 20`. It serves an upstream of its own, starts the service
as a process, and drives calls, fan-outs, sessions, calls that are cancelled, and subscribers that
leave in the middle. Memory, file descriptors, threads and tasks are read all the time; it ends with
1 if the memory still grows in the second half, or if anything is not given back in the end.

Before it, some thousand calls are given up and what they leave behind is counted to the byte, which
the resident memory cannot show.

`--without finished_batches` soaks a service whose calls that are given up leak: that it must end
with 1 is how to see that a soak can fail.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import gc
import json
import shlex
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types

from benchmarks.given_up import GivenUp, measure_given_up
from benchmarks.harness.machine import describe, finish
from benchmarks.harness.process import ROOT
from benchmarks.levers.without import LEVERS
from interlace import Branch, Call, Client, Event, InterlaceError, Overflow

__all__ = ["MANIFESTS", "Look", "growth_per_hour", "one_round", "record", "upstream", "verdict"]

MANIFESTS = """
interlace: 1
connector: web
upstream: {rest: "${env:URL}", allow_private: [127.0.0.1/32]}
operations:
  Get: {get: "/things/{id}"}
---
interlace: 1
connector: line
upstream: {memory: line}
feeds: {Calls: {}}
sinks: {Calls: {}}
"""
"""What is served: one REST upstream at `URL`, and a feed on the embedded broker."""

_BODY = b'{"data": "' + b"x" * 2000 + b'"}'
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(_BODY),
    _BODY,
)
_ALLOWED_PER_HOUR = 8.0
_GIVEN_BACK_IN = 60.0
_LOOK_EVERY = 10.0
_SHORTEST = 2.0


@dataclass(frozen=True, slots=True)
class Look:
    """What the process held at a moment: seconds since the start, resident megabytes, and the rest
    as counts."""

    at: float
    rss_mb: float
    descriptors: int
    threads: int
    tasks: int
    rounds: int


class _Upstream(asyncio.Protocol):
    """Answers every request alike."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_ANSWER * data.count(b"\r\n\r\n"))


@contextlib.asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """Serves the upstream on a free port; yields its origin."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Upstream, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def one_round(address: str) -> None:
    """Calls, fan-outs, a session, calls that are cancelled, and subscribers that leave in the
    middle. Raises what no caller may see."""
    async with Client(address) as client:
        await asyncio.gather(*(client.call("web", "Get", {"id": str(n)}) for n in range(150)))
        branches = [Branch(f"b{n}", Call("web", "Get", {"id": str(n)})) for n in range(8)]
        await asyncio.gather(*(client.fan_out(branches) for _ in range(10)))
        async with client.session() as session:
            for _ in range(2):
                calls = (session.call("web", "Get", {"id": str(n)}) for n in range(150))
                await asyncio.gather(*calls)
        await asyncio.gather(*(_give_up(client, number) for number in range(100)))
        listeners = [asyncio.create_task(_listen(client)) for _ in range(30)]
        for _ in range(10):
            events = [Event(source="t", type="t", data=b"y" * 200) for _ in range(50)]
            await client.publish("line.Calls", events)
        for listener in listeners:
            listener.cancel()
        for ended in await asyncio.gather(*listeners, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _give_up(client: Client, number: int) -> None:
    task = asyncio.create_task(client.call("web", "Get", {"id": str(number)}))
    await asyncio.sleep(0.001 * (number % 5))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _listen(client: Client) -> None:
    async with client.subscribe("line.Calls", overflow=Overflow.drop_oldest()) as events:
        async for _ in events:
            pass


def growth_per_hour(looks: Sequence[Look]) -> float:
    """Returns how many megabytes an hour the memory grew in the second half, by least squares."""
    half = [look for look in looks if look.at >= looks[-1].at / 2]
    if len(half) < 3:
        return 0.0
    slope = statistics.linear_regression([look.at for look in half], [x.rss_mb for x in half]).slope
    return slope * 3600


class _Watch:
    """Reads what a served process holds."""

    def __init__(self, pid: int, admin: str) -> None:
        self._process = psutil.Process(pid)
        self._metrics = f"{admin}/metrics"
        self._since = time.monotonic()

    def look(self, rounds: int) -> Look:
        """Reads it now."""
        with urllib.request.urlopen(self._metrics, timeout=10) as page:  # noqa: S310  # loopback
            lines = page.read().decode().splitlines()
        tasks = [line.split()[-1] for line in lines if line.startswith("interlace_loop_tasks")]
        return Look(
            at=round(time.monotonic() - self._since, 1),
            rss_mb=round(self._process.memory_info().rss / 1e6, 2),
            descriptors=self._process.num_fds(),
            threads=self._process.num_threads(),
            tasks=int(float(tasks[0])),
            rounds=rounds,
        )


async def _soak(address: str, watch: _Watch, minutes: float) -> list[Look]:
    """Drives load until the time is over; the first look is before it, the last after it."""
    looks, rounds = [await asyncio.to_thread(watch.look, 0)], 0
    until, due = time.monotonic() + minutes * 60, 0.0
    while time.monotonic() < until:
        await one_round(address)
        rounds += 1
        if time.monotonic() >= due:
            due = time.monotonic() + _LOOK_EVERY
            looks.append(await asyncio.to_thread(watch.look, rounds))
            print(looks[-1], flush=True)
    gc.collect()  # gRPC keeps a caller's connection open while its closed channel is garbage
    first, last = looks[0], await asyncio.to_thread(watch.look, rounds)
    over = time.monotonic() + _GIVEN_BACK_IN
    while time.monotonic() < over and not _is_given_back(first, last):
        await asyncio.sleep(0.5)
        last = await asyncio.to_thread(watch.look, rounds)
    return [*looks, last]


def _is_given_back(first: Look, last: Look) -> bool:
    return (
        last.descriptors <= first.descriptors + 2
        and last.tasks <= first.tasks + 1
        and last.threads <= first.threads + 8
    )


def verdict(looks: Sequence[Look]) -> dict[str, object]:
    """Returns what a soak found: it passed if memory stays and the rest is given back. The first
    look is the one before the load, the last the one after it."""
    growth = growth_per_hour(looks[1:-1])
    is_back = _is_given_back(looks[0], looks[-1])
    return {
        "rounds": looks[-1].rounds,
        "growth_mb_per_hour": round(growth, 2),
        "allowed_mb_per_hour": _ALLOWED_PER_HOUR,
        "is_given_back": is_back,
        "passed": growth <= _ALLOWED_PER_HOUR and is_back,
        "looks": [asdict(look) for look in looks],
    }


def record(
    found: Mapping[str, object], left: GivenUp, *, machine: Mapping[str, object], command: str
) -> dict[str, object]:
    """Returns what is written of a soak: it passed if both of its parts did."""
    return {
        "kind": "soak",
        "machine": dict(machine),
        "command": command,
        "native_bytes_per_given_up_call": left.native_bytes,
        "python_blocks_per_given_up_call": left.python_blocks,
        **found,
        "passed": bool(found["passed"]) and left.passed,
    }


async def _give_up_many(folder: Path, without: str) -> GivenUp:
    place = folder / "given-up"
    place.mkdir()
    async with upstream() as origin:
        return await measure_given_up(place, MANIFESTS, origin=origin, without=without)


async def _serve(folder: Path, minutes: float, without: str) -> dict[str, object]:
    ports = folder / "ports.json"
    (folder / "connectors").mkdir()
    (folder / "connectors" / "all.yaml").write_text(MANIFESTS)
    async with upstream() as origin:
        command = [
            *(sys.executable, "-m", *_program(without), "serve", "--log-level", "error"),
            *("--config", str(folder / "connectors"), "--port", "0", "--admin-port", "0"),
            *("--ports-file", str(ports)),
        ]
        environment = {"URL": origin, "PATH": "/usr/bin:/bin"}
        service = await asyncio.create_subprocess_exec(*command, env=environment, cwd=ROOT)
        try:
            async with asyncio.timeout(60):
                while not ports.exists():  # noqa: ASYNC110  # a file tells nobody that it came
                    await asyncio.sleep(0.05)
            addresses: Mapping[str, str] = json.loads(ports.read_text())
            watch = _Watch(service.pid, addresses["admin"])
            return verdict(await _soak(addresses["grpc"], watch, minutes))
        finally:
            with contextlib.suppress(ProcessLookupError):
                service.send_signal(signal.SIGTERM)
            await service.wait()


def _program(without: str) -> tuple[str, ...]:
    return ("interlaced",) if without == "nothing" else ("benchmarks.levers.without", without)


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long the load lasts")
    parser.add_argument("--json", type=Path, default=Path("build/bench/soak.json"))
    parser.add_argument("--without", choices=LEVERS, default="nothing", help="a lever to take away")
    asked = parser.parse_args()
    if asked.minutes < _SHORTEST:
        parser.error(f"less than {_SHORTEST:.0f} minutes tell nothing of memory")
    command = ["python", "-m", "benchmarks.soak", "--minutes", f"{asked.minutes:g}"]
    command += ["--without", asked.without] if asked.without != "nothing" else []
    started, machine = dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), describe()
    with tempfile.TemporaryDirectory() as folder:
        left = asyncio.run(_give_up_many(Path(folder), asked.without))
        print(left, flush=True)
        found = asyncio.run(_serve(Path(folder), asked.minutes, asked.without))
    found = record(found, left, machine=finish(machine), command=shlex.join(command)) | {
        "started": started
    }
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(found, indent=1))
    print({name: value for name, value in found.items() if name not in ("looks", "machine")})
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    try:
        sys.exit(_main())
    except InterlaceError as failed:
        sys.exit(f"a caller saw {failed}")
