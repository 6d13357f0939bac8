"""The hot path reaches neither json_format nor Struct, and calls no more functions than it may.

Counts decide, never times: they are the same on a busy machine.
"""

from __future__ import annotations

import asyncio
import collections
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import CodeType, FrameType

import pytest
import uvloop
from benchmarks.load.bodies import body
from benchmarks.load.http2 import Connection, connect
from benchmarks.load.session import SessionLoad
from benchmarks.load.subscribe import FeedLoad, FeedShape
from benchmarks.load.unary import ClosedLoop, Request
from benchmarks.load.upstream import Upstream
from benchmarks.service import manifests, requests
from served import Served, served

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = ("google/protobuf/json_format.py", "google/protobuf/struct_pb2.py")
STRUCT = {"Struct", "ListValue", "_SetStructValue", "_GetStructValue"}
NOT_SERVED = (str(ROOT / "benchmarks"), str(ROOT / "tests"))
FEED = "ticks.Ticks"

MOST_PER_CALL = 93
"""Python functions that one Call may enter, resumed coroutines counted again. It only goes down."""
MOST_PER_BRANCH = 52
"""The same for each branch that a fan-out has more."""

Counts = collections.Counter[CodeType]


@contextmanager
def profiled() -> Iterator[Counts]:
    """Counts how often each function of this thread is entered."""
    counts: Counts = collections.Counter()

    def look(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            counts[frame.f_code] += 1

    sys.setprofile(look)
    try:
        yield counts
    finally:
        sys.setprofile(None)


def forbidden(counts: Counts) -> list[str]:
    """Returns what was entered of json_format and Struct."""
    found = [f"{code.co_filename}:{code.co_qualname}" for code in counts]
    return [
        name
        for name in found
        if any(part in name for part in FORBIDDEN)
        or ("well_known_types.py" in name and name.rpartition(":")[2].split(".")[0] in STRUCT)
    ]


def entered(counts: Counts) -> int:
    """Returns how many functions the serving side entered: all but the load's and the tests'."""
    return sum(
        count for code, count in counts.items() if not code.co_filename.startswith(NOT_SERVED)
    )


@asynccontextmanager
async def serving(folder: Path) -> collections.abc.AsyncIterator[Served]:
    """Serves the benchmark's own connectors in this process, before an upstream in it too."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    manifests.write_rest(folder, f"http://127.0.0.1:{port}")
    manifests.write_feeds(folder)
    async with served(folder) as service:
        yield service
    server.close()
    await server.wait_closed()


def on_uvloop(folder: Path, work: Callable[[Served], Awaitable[Counts]]) -> Counts:
    """Runs `work` as the service runs: on uvloop, whose own functions are not Python's."""

    async def main() -> Counts:
        async with serving(folder) as service:
            return await work(service)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def drive(load: ClosedLoop | SessionLoad | FeedLoad, least: int) -> None:
    """Runs a load until so many answers are in; nothing may go wrong meanwhile."""
    target = load.tally.done + least
    await load.start()
    async with asyncio.timeout(60):
        while load.tally.done < target and not load.tally.errors:
            await asyncio.sleep(0.005)
    await load.stop()
    assert load.tally.told == []


async def unary(service: Served, request: Request, least: int) -> Counts:
    """Profiles unary calls, one at a time, after some that warm everything up."""
    connection = await connect(service.address)
    load = ClosedLoop([connection], request, in_flight=1)
    await drive(load, 30)
    before = load.tally.done
    with profiled() as counts:
        await drive(load, least)
    connection.close()
    for code in counts:
        counts[code] /= load.tally.done - before  # type: ignore[assignment]  # a mean per call
    return counts


def per_call(folder: Path, request: Request) -> tuple[float, list[str]]:
    counts = on_uvloop(folder, lambda service: unary(service, request, 150))
    return entered(counts), forbidden(counts)


def test_a_call_reaches_no_json_format_and_enters_few_functions(tmp_path: Path) -> None:
    count, reached = per_call(tmp_path, requests.call())
    assert reached == []
    assert count <= MOST_PER_CALL


def test_a_fan_out_reaches_no_json_format_and_a_branch_enters_few_functions(
    tmp_path: Path,
) -> None:
    narrow, reached_narrow = per_call(tmp_path / "a", requests.fan_out(["Get"] * 2))
    wide, reached_wide = per_call(tmp_path / "b", requests.fan_out(["Get"] * 10))
    assert reached_narrow + reached_wide == []
    assert (wide - narrow) / 8 <= MOST_PER_BRANCH


def test_a_conversion_to_messagepack_reaches_no_json_format(tmp_path: Path) -> None:
    request = requests.call("Json10", expected=b"Item", accept=("application/msgpack",))
    assert per_call(tmp_path, request)[1] == []


def session_load(connection: Connection) -> SessionLoad:
    answer = body("json", requests.SMALL)
    return SessionLoad(connection, requests.one_call().SerializeToString(), answer, in_flight=32)


def test_a_session_reaches_no_json_format(tmp_path: Path) -> None:
    async def work(service: Served) -> Counts:
        connection = await connect(service.address)
        load = session_load(connection)
        with profiled() as counts:
            await drive(load, 300)
        load.close()
        connection.close()
        return counts

    assert forbidden(on_uvloop(tmp_path, work)) == []


def test_a_subscription_reaches_no_json_format(tmp_path: Path) -> None:
    async def work(service: Served) -> Counts:
        listening, publishing = await connect(service.address), await connect(service.address)
        load = FeedLoad([listening], publishing, FeedShape(FEED, FEED, 5))
        with profiled() as counts:
            await drive(load, 2_000)
        load.close()
        listening.close()
        publishing.close()
        return counts

    assert forbidden(on_uvloop(tmp_path, work)) == []


def test_the_profile_sees_json_format_and_struct_where_they_are_reached() -> None:
    from google.protobuf import json_format, struct_pb2

    with profiled() as counts:
        json_format.Parse('{"a": 1}', struct_pb2.Struct())
    assert any("json_format" in name for name in forbidden(counts))
    with profiled() as counts:
        struct_pb2.Struct().update({"a": 1})
    assert any("Struct" in name for name in forbidden(counts))


@pytest.mark.parametrize("room", ["rpc", "core", "connectors", "transport", "resilience"])
def test_no_room_of_the_hot_path_imports_them(room: str) -> None:
    files = (ROOT / "service" / "interlaced" / room).rglob("*.py")
    lines = [line for file in files for line in file.read_text().splitlines() if "import" in line]
    assert [line for line in lines if "json_format" in line or "struct_pb2" in line] == []
