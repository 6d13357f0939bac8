"""Programs that are not ours against the whole service: what it serves, and how they are run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import google.rpc.error_details_pb2
import pytest
from served import Served, served

__all__ = ["BUF", "LIMIT", "ROOT", "Ran", "need_node", "node_command", "run", "running", "serving"]

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"
LIMIT = 60.0
"""Seconds after which a program hangs; a loaded machine stays far below."""
NODE = ROOT / "build" / "node"

MANIFESTS = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: "grüß dich"}}
  Echo: {echo: true}
  Slow: {delay: 120s}
policy: {deadline: 120s, attempt_timeout: 120s}
---
interlace: 1
connector: limited
upstream: {memory: limited}
operations:
  Limited: {fail: {reason: UPSTREAM_RATE_LIMITED, retry_after: 600s}}
---
interlace: 1
connector: line
upstream: {memory: line}
feeds: {Counted: {}}
sinks: {Counted: {}}
"""


@contextlib.asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """Serves the desk, the line and the upstream that is limited."""
    (folder / "foreign.yaml").write_text(MANIFESTS)
    async with served(folder) as service:
        yield service


@dataclass(frozen=True)
class Ran:
    """What a program said, and how it ended."""

    code: int
    out: str
    err: str

    def documents(self) -> list[dict]:
        """The JSON documents that it printed, one after the other."""
        return list(_documents(self.out))


def _documents(text: str) -> Iterator[dict]:
    decoder, place = json.JSONDecoder(), 0
    text = text.rstrip()
    while place < len(text):
        document, place = decoder.raw_decode(text, place)
        yield document
        place += len(text[place:]) - len(text[place:].lstrip())


@contextlib.asynccontextmanager
async def running(
    *command: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a program, and kills it if it is still there at the end."""
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **(environment or {})}
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def run(
    *command: str, environment: Mapping[str, str] | None = None, entered: str = ""
) -> Ran:
    """Runs a program to its end, within LIMIT."""
    async with asyncio.timeout(LIMIT), running(*command, environment=environment) as started:
        out, err = await started.communicate(entered.encode())
        assert started.returncode is not None
        return Ran(started.returncode, out.decode(), err.decode())


def need_node() -> None:
    """Skips the test where Node and its modules are missing; in CI that is a failure."""
    if (NODE / "node").exists() and (NODE / "node_modules" / "@grpc" / "grpc-js").is_dir():
        return
    why = "no Node with grpc-js: run tools/fetch_node_modules.py"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(why)
    pytest.skip(why)


def node_command(address: str) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The command of the client in Node and its environment."""
    details = Path(google.rpc.error_details_pb2.__file__).parents[2]
    script = ROOT / "tests" / "foreign" / "node" / "client.js"
    command = (NODE / "node", script, address, ROOT / "protos", details)
    return tuple(map(str, command)), {"NODE_PATH": str(NODE / "node_modules")}
