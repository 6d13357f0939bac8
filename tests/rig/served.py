"""The whole service, for tests: in this process, or as a process that can be killed for real."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from interlaced.admin.server import Action
from interlaced.app import Addresses, App
from interlaced.settings import Ingress, Settings

HANG = 30.0


@dataclass
class Served:
    """A service that runs in this process."""

    app: App
    address: str
    admin: str


@contextlib.asynccontextmanager
async def served(
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    settings: Mapping[str, object] | None = None,
    actions: Mapping[str, Action] | None = None,
) -> AsyncIterator[Served]:
    """Serves the manifests of `folder` on free ports of 127.0.0.1."""
    options: dict[str, object] = {
        "ingress": Ingress(port=0),
        "admin_port": 0,
        "has_reflection": True,
        "drain_limit": 5.0,
        **(settings or {}),
    }
    app = App(
        Settings(config=(folder,), **options),  # type: ignore[arg-type]  # a test's own settings
        environment=environment or {},
        actions=actions,
    )
    addresses = await app.start()
    try:
        yield Served(app, addresses.grpc, addresses.admin)
    finally:
        await app.stop()


@dataclass
class Process:
    """A service that runs in a process of its own."""

    process: asyncio.subprocess.Process
    addresses: Addresses
    log: Path

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to it, and to nothing else."""
        self.process.send_signal(number)

    async def wait(self, limit: float = HANG) -> int:
        """Waits for its end and returns its exit code."""
        async with asyncio.timeout(limit):
            return await self.process.wait()


@contextlib.asynccontextmanager
async def process(
    verb: str,
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """Runs `interlace VERB` on free ports; `folder` holds its ports file and its log."""
    ports, log = folder / "ports.json", folder / "service.log"
    ports.unlink(missing_ok=True)
    command: Sequence[str] = (
        *(sys.executable, "-m", "interlaced", verb, "--port", "0", "--admin-port", "0"),
        *("--ports-file", str(ports), "--log-format", "json", *arguments),
    )
    with log.open("wb") as output:
        started = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env={**os.environ, **(environment or {})}
        )
    try:
        await _wait_for(ports, started, log)
        yield Process(started, Addresses(**json.loads(ports.read_text())), log)
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def _wait_for(ports: Path, started: asyncio.subprocess.Process, log: Path) -> None:
    """Waits for the file that is written once everything is bound."""
    async with asyncio.timeout(HANG):
        while not _is_there(ports):
            if started.returncode is not None:
                raise RuntimeError(f"the service ended: {_told(log)}")
            await asyncio.sleep(0.02)


def _is_there(path: Path) -> bool:
    return path.exists()


def _told(log: Path) -> str:
    return log.read_text()
