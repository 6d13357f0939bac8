"""P30, L7, L8: memory stays flat and everything is given back, over a short soak."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import psutil
from raw_http import RawServer, ok
from served import process

from interlace import Client, Event, InterlaceError, Overflow

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
WARM_UP = 3
ROUNDS = 8
ALLOWED_GROWTH = 12 * 1024 * 1024


async def test_p30_memory_and_descriptors_stay_flat_under_mixed_load(tmp_path: Path) -> None:
    folder = tmp_path / "connectors"
    folder.mkdir()
    (folder / "all.yaml").write_text(MANIFESTS)
    body = b'{"data": "' + b"x" * 2000 + b'"}'
    async with RawServer(default=ok(body)) as upstream:
        environment = {"URL": upstream.origin}
        arguments = ("serve", "--config", str(folder), "--log-level", "error")
        async with process(*arguments, folder=tmp_path, environment=environment) as service:
            watched = psutil.Process(service.process.pid)
            descriptors, threads = watched.num_fds(), watched.num_threads()
            sizes: list[int] = []
            for number in range(WARM_UP + ROUNDS):
                await one_round(service.addresses.grpc)
                if number >= WARM_UP:
                    sizes.append(watched.memory_info().rss)
            assert sizes[-1] - sizes[0] <= ALLOWED_GROWTH, sizes
            await given_back(watched, descriptors)
            assert watched.num_threads() <= threads + 8


async def given_back(watched: psutil.Process, descriptors: int) -> None:
    """Waits until everything is closed again; idle connections to upstreams live for seconds."""
    gc.collect()  # gRPC keeps a caller's connection open while its closed channel is garbage
    async with asyncio.timeout(20):
        while watched.num_fds() > descriptors + 2:
            await asyncio.sleep(0.1)


async def one_round(address: str) -> None:
    """Calls, a session, calls that are cancelled, and subscribers that leave in the middle."""
    async with Client(address) as client:
        await asyncio.gather(*(client.call("web", "Get", {"id": str(n)}) for n in range(150)))
        async with client.session() as session:
            for _ in range(2):
                calls = (session.call("web", "Get", {"id": str(n)}) for n in range(150))
                await asyncio.gather(*calls)
        await asyncio.gather(*(give_up(client, number) for number in range(100)))
        listeners = [asyncio.create_task(listen(client)) for _ in range(30)]
        for _ in range(10):
            events = [Event(source="t", type="t", data=b"y" * 200) for _ in range(50)]
            await client.publish("line.Calls", events)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)


async def give_up(client: Client, number: int) -> None:
    task = asyncio.create_task(client.call("web", "Get", {"id": str(number)}))
    await asyncio.sleep(0.001 * (number % 5))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def listen(client: Client) -> None:
    try:
        async with client.subscribe("line.Calls", overflow=Overflow.drop_oldest()) as events:
            async for _ in events:
                pass
    except InterlaceError:
        raise AssertionError("no subscriber may fail") from None
