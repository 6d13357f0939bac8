"""Two workers as real processes, and subscribers of which it is known who serves them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import grpc.aio
import psutil
from served import Process, process

from interlace.v1 import feed_service_pb2 as pb
from interlace.v1.feed_service_pb2_grpc import FeedServiceStub

__all__ = ["Group", "Hearer", "group", "until"]

HANG = 20.0
_LOCAL = [("grpc.use_local_subchannel_pool", 1)]


async def until(is_so: Callable[[], bool], what: str = "") -> None:
    """Waits until something has come about."""
    try:
        async with asyncio.timeout(HANG):
            while not is_so():
                await asyncio.sleep(0.01)
    except TimeoutError as error:
        raise AssertionError(f"it did not come about: {what}") from error


@dataclass
class Hearer:
    """A subscriber of one worker, on a connection of its own; it remembers."""

    worker: int
    channel: grpc.aio.Channel
    got: list[int] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    error: grpc.aio.AioRpcError | None = None

    def listen(self, feed: str, cursor: str = "") -> None:
        self.task = asyncio.create_task(self._listen(feed, cursor))

    async def _listen(self, feed: str, cursor: str) -> None:
        request = pb.SubscribeRequest(feed=feed)
        if cursor:
            request.start.cursor = cursor
        stream = FeedServiceStub(self.channel).Subscribe(request)
        try:
            async for frame in stream:
                if frame.WhichOneof("frame") == "gap":
                    self.gaps.append(frame.gap.why)
                for event in frame.batch.events:
                    self.got.append(json.loads(event.data)["seq"])
                if frame.cursor:
                    self.cursors.append(frame.cursor)
        except grpc.aio.AioRpcError as error:
            self.error = error

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        await self.channel.close()


@dataclass
class Group:
    """A running group; `workers` are process ids by seat."""

    service: Process
    workers: list[int]
    hearers: list[Hearer] = field(default_factory=list)

    async def connect(self, worker: int) -> grpc.aio.Channel:
        """Connects until the kernel gives a connection to this worker."""
        for _ in range(200):
            before = self._connections()
            channel = grpc.aio.insecure_channel(self.service.addresses.grpc, options=_LOCAL)
            await channel.channel_ready()
            after = self._connections()
            if after[worker] > before[worker]:
                return channel
            await channel.close()
        raise AssertionError("the kernel never chose this worker")

    async def hear(self, worker: int, feed: str, cursor: str = "") -> Hearer:
        """Subscribes at one worker and returns once the first frame is there."""
        hearer = Hearer(worker, await self.connect(worker))
        self.hearers.append(hearer)
        hearer.listen(feed, cursor)
        await until(lambda: bool(hearer.cursors or hearer.error), "the first frame")
        assert hearer.error is None
        return hearer

    def _connections(self) -> list[int]:
        port = int(self.service.addresses.grpc.rpartition(":")[2])
        return [_accepted(number, port) for number in self.workers]

    def kill(self, worker: int) -> None:
        """kill -9."""
        os.kill(self.workers[worker], signal.SIGKILL)

    def log(self) -> str:
        return self.service.log.read_text()


def _accepted(worker: int, port: int) -> int:
    """How many connections a worker has; one that was killed has none."""
    try:
        found = psutil.Process(worker).net_connections()
    except psutil.NoSuchProcess:
        return 0
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found)


async def _told(service: Process) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{service.addresses.admin}/status") as answer,
    ):
        told: dict[str, Any] = await answer.json()
        return told


@contextlib.asynccontextmanager
async def group(
    tmp_path: Path, manifests: dict[str, str], *, arguments: Sequence[str] = ()
) -> AsyncIterator[Group]:
    """Serves manifests, by file name, with two workers; leaves no process and no folder."""
    folder, temporary = tmp_path / "connectors", Path(tempfile.mkdtemp(prefix="ig"))
    folder.mkdir()
    for name, text in manifests.items():
        (folder / name).write_text(text)
    options = ("--config", str(folder), "--workers", "2", "--drain", "2", *arguments)
    try:
        async with process(
            "serve", *options, folder=tmp_path, environment={"TMPDIR": str(temporary)}
        ) as service:
            supervisor = psutil.Process(service.process.pid)
            running = Group(service, [each["pid"] for each in (await _told(service))["workers"]])
            try:
                yield running
            finally:
                for hearer in running.hearers:
                    await hearer.close()
                service.send(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await service.wait(15)
                with contextlib.suppress(psutil.NoSuchProcess):
                    for worker in supervisor.children():
                        worker.kill()
    finally:
        shutil.rmtree(temporary)
