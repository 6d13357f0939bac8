"""Several workers on one port, as real processes: they share, outlive each other, and end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from command import run
from served import Process, process

from interlace import Client, InterlaceError
from interlaced.cli.serve import post_action

DESK = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: GREETING}}
  Slow: {reply: {ok: true}, delay: 1s}
"""
HANG = 30.0
OPTIONS = "(--port, --admin-port)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    write(place, "hello")
    return place


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the group makes its private folder; nothing else is in it."""
    place = Path(tempfile.mkdtemp(prefix="iw"))
    yield place
    shutil.rmtree(place)


def write(folder: Path, greeting: str, *, key: str = "operations") -> None:
    draft = folder / "desk.draft"
    draft.write_text(DESK.replace("GREETING", greeting).replace("operations", key))
    draft.replace(folder / "desk.yaml")


@contextlib.asynccontextmanager
async def group(
    folder: Path, tmp_path: Path, temporary: Path, *arguments: str
) -> AsyncIterator[Process]:
    """Two workers; whatever a test leaves of them is ended, one by one."""
    options = ("--config", str(folder), "--workers", "2", "--drain", "5", *arguments)
    environment = {"TMPDIR": str(temporary)}
    async with process("serve", *options, folder=tmp_path, environment=environment) as service:
        supervisor = psutil.Process(service.process.pid)
        try:
            yield service
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                for worker in supervisor.children():
                    worker.kill()


async def page(service: Process, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(service.addresses.admin + path) as answer,
    ):
        return answer.status, await answer.text()


async def status(service: Process) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{service.addresses.admin}/status") as answer,
    ):
        told: dict[str, Any] = await answer.json()
        return told


# Without the method, those who watch the health of their server would be counted as well.
CALLS_UNDER_WAY = 'interlace_rpc_active{rpc_method="interlace.v1.GatewayService/Call"'


async def metric(service: Process, series: str) -> float:
    """The sum of the series that begin so."""
    _, text = await page(service, "/metrics")
    lines = [line for line in text.splitlines() if line.startswith(series)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def greet(service: Process, times: int = 1) -> set[str]:
    """Calls over as many connections, one after the other."""
    heard = set()
    for _ in range(times):
        async with Client(service.addresses.grpc) as client:
            heard.add((await client.call("desk", "Hello")).json()["greeting"])
    return heard


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def pids(told: dict[str, Any]) -> list[int]:
    return [each["pid"] for each in told["workers"]]


async def serving(service: Process, *, restarts: int) -> dict[str, Any]:
    """Waits until every worker serves, and so many were started again."""
    async with asyncio.timeout(HANG):
        while True:
            told = await status(service)
            states = [each["state"] for each in told["workers"]]
            if (
                states == ["serving"] * len(states)
                and sum(each["restarts"] for each in told["workers"]) == restarts
            ):
                return told
            await asyncio.sleep(0.05)


async def gone(numbers: list[int]) -> None:
    async with asyncio.timeout(HANG):
        while any(psutil.pid_exists(number) for number in numbers):
            await asyncio.sleep(0.05)


async def test_two_workers_answer_on_one_port_and_are_told_as_one_server(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with (
        group(folder, tmp_path, temporary) as service,
        contextlib.AsyncExitStack() as stack,
    ):
        address = service.addresses.grpc
        clients = [await stack.enter_async_context(Client(address)) for _ in range(16)]
        for client in clients:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        told = await status(service)
        port = int(address.rpartition(":")[2])
        connected = [
            sum(
                each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port
                for each in psutil.Process(number).net_connections()
            )
            for number in pids(told)
        ]
        assert all(connected), "the kernel gave every connection to one worker"
        assert sum(connected) == 16
        assert told["connectors"] == {"desk": {"is_ok": True, "reason": ""}}
        assert await metric(service, 'interlace_upstream_attempts_total{connector="desk"') == 16
        assert await metric(service, "rpc_server_call_duration_seconds_count") == 16
        assert await metric(service, "interlace_workers_serving") == 2
        assert await metric(service, "interlace_build_info") == 1
        closed = 'interlace_breaker_state{worker="%d",connector="desk",state="closed"}'
        assert [await metric(service, closed % seat) for seat in (0, 1)] == [1, 1]


async def test_a_worker_that_is_killed_is_replaced_while_the_other_serves(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary) as service:
        await greet(service, 8)
        counted = 'interlace_upstream_attempts_total{connector="desk"'
        assert await metric(service, counted) == 8
        before = pids(await status(service))
        os.kill(before[0], signal.SIGKILL)
        await gone(before[:1])
        assert await greet(service, 4) == {"hello"}
        assert await page(service, "/readyz") == (200, "ready\n")
        after = pids(await serving(service, restarts=1))
        assert after[1] == before[1]
        assert after[0] not in before
        assert await greet(service, 4) == {"hello"}
        assert await metric(service, counted) == 16, "what the dead one counted is kept"
        assert await metric(service, "interlace_workers_restarts_total") == 1
        assert "worker.died" in service.log.read_text()


async def test_a_worker_that_stands_still_is_replaced(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary, "--hung-after", "3") as service:
        before = pids(await status(service))
        os.kill(before[1], signal.SIGSTOP)
        await gone(before[1:])
        after = pids(await serving(service, restarts=1))
        assert after[0] == before[0], "who answers is left alone"
        assert await greet(service, 8) == {"hello"}
        lines = service.log.read_text().splitlines()
        (told,) = [json.loads(line) for line in lines if "worker.hung" in line]
        assert (told["interlace.worker"], told["seconds"]) == (1, 3.0)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_p33_a_second_server_on_the_port_fails_loudly(
    workers: str, folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary) as service:
        port = service.addresses.grpc.rpartition(":")[2]
        arguments = ("--config", str(folder), "--port", port, "--admin-port", "0")
        ended = await asyncio.to_thread(run, "serve", *arguments, "--workers", workers)
        assert ended.code == 1
        assert ended.err.splitlines() == [
            f"interlace: cannot listen on 127.0.0.1:{port}: is the port taken? {OPTIONS}"
        ]
        assert await greet(service, 2) == {"hello"}


@pytest.mark.parametrize("is_everybody_told", [False, True])
async def test_a_group_ends_in_order_and_leaves_nothing(
    is_everybody_told: bool, folder: Path, tmp_path: Path, temporary: Path
) -> None:
    """Some that end services signal every process of them, and the supervisor asks as well."""
    async with (
        group(folder, tmp_path, temporary) as service,
        contextlib.AsyncExitStack() as stack,
    ):
        assert left_in(temporary)
        workers = pids(await status(service))
        clients = [await stack.enter_async_context(Client(service.addresses.grpc)) for _ in "1234"]
        calls = [asyncio.create_task(each.call("desk", "Slow", timeout=20)) for each in clients]
        async with asyncio.timeout(HANG):
            while await metric(service, CALLS_UNDER_WAY) < len(calls):
                await asyncio.sleep(0.02)
        for number in workers if is_everybody_told else ():
            os.kill(number, signal.SIGTERM)
        service.send(signal.SIGTERM)
        assert [(await call).json() for call in calls] == [{"ok": True}] * len(calls)
        assert await service.wait() == 0
        await gone(workers)
        assert left_in(temporary) == []


async def test_a_second_signal_ends_every_worker_at_once(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with (
        group(folder, tmp_path, temporary, "--drain", "60") as service,
        Client(service.addresses.grpc) as client,
    ):
        workers = pids(await status(service))
        call = asyncio.create_task(client.call("desk", "Slow", timeout=20))
        async with asyncio.timeout(HANG):
            while not await metric(service, CALLS_UNDER_WAY):
                await asyncio.sleep(0.02)
        service.send(signal.SIGTERM)
        async with asyncio.timeout(HANG):
            while (await page(service, "/readyz"))[0] == 200:
                await asyncio.sleep(0.02)
        service.send(signal.SIGTERM)
        assert await service.wait(10) == -signal.SIGTERM
        await gone(workers)
        assert left_in(temporary) == []
        with pytest.raises(InterlaceError):
            await call


async def test_workers_end_when_their_supervisor_is_killed(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary) as service:
        workers = pids(await status(service))
        service.send(signal.SIGKILL)
        await service.wait()
        await gone(workers)
        assert "worker.orphaned" in service.log.read_text()


async def test_all_workers_reload_or_none_does(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary) as service:
        admin = service.addresses.admin
        write(folder, "other", key="operation")
        refused = await asyncio.to_thread(post_action, admin, "reload", {})
        assert refused["result"] == "refused"
        (problem,) = refused["problems"]
        assert "desk.yaml:5:1" in problem
        assert await greet(service, 6) == {"hello"}
        write(folder, "other")
        report = await asyncio.to_thread(post_action, admin, "reload", {})
        assert report["result"] == "ok"
        assert await greet(service, 6) == {"other"}
        write(folder, "third")
        service.send(signal.SIGHUP)
        async with asyncio.timeout(HANG):
            while await greet(service, 6) != {"third"}:
                await asyncio.sleep(0.05)
        reloads = 'interlace_config_reloads_total{result="%s"}'
        assert [await metric(service, reloads % each) for each in ("ok", "refused")] == [2, 1]


async def test_a_file_that_turned_wrong_keeps_one_seat_empty_and_the_others_serving(
    folder: Path, tmp_path: Path, temporary: Path
) -> None:
    async with group(folder, tmp_path, temporary) as service:
        write(folder, "other", key="operation")
        os.kill(pids(await status(service))[1], signal.SIGKILL)
        async with asyncio.timeout(HANG):
            while "worker.not_started" not in service.log.read_text():
                await asyncio.sleep(0.05)
        assert await greet(service, 2) == {"hello"}
        assert (await page(service, "/readyz"))[0] == 200
        write(folder, "hello")
        async with asyncio.timeout(HANG):
            while {each["state"] for each in (await status(service))["workers"]} != {"serving"}:
                await asyncio.sleep(0.05)


def test_a_group_that_cannot_start_says_why_once(folder: Path) -> None:
    write(folder, "hello", key="operation")
    arguments = ("--config", str(folder), "--port", "0", "--admin-port", "0", "--workers", "2")
    ended = run("serve", *arguments)
    assert ended.code == 3
    assert ended.err.count("desk.yaml:5:1") == 1
    assert ended.err.count("the configuration is invalid") == 1
    assert "Traceback" not in ended.err


def test_a_limit_that_the_workers_cannot_share_is_refused(folder: Path) -> None:
    with (folder / "desk.yaml").open("a") as file:
        file.write("policy: {limit: {rate: 10/s, burst: 1}}\n")
    arguments = ("--config", str(folder), "--port", "0", "--admin-port", "0", "--workers", "2")
    ended = run("serve", *arguments)
    assert ended.code == 3
    assert "desk: limit.burst is 1, which 2 workers cannot share" in ended.err


def test_a_unix_socket_cannot_be_shared(folder: Path, tmp_path: Path) -> None:
    arguments = ("--config", str(folder), "--host", f"unix:{tmp_path}/x", "--workers", "2")
    ended = run("serve", *arguments, "--admin-port", "0")
    assert ended.code == 3
    assert "--workers needs a TCP port" in ended.err
