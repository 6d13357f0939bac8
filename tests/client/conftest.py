"""A fake service for every test, and the real one for what both must do alike."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from served import served

from interlace import Call, Client, Event
from interlace.testing import Failed, FakeServer

DESK = """
interlace: 1
connector: desk
description: What both services offer.
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: hello}}
  Echo: {echo: true}
  Slow: {reply: {ok: true}, delay: 30s}
  Missing: {fail: {reason: UPSTREAM_NOT_FOUND}}
feeds: {Orders: {ack: {wait: 30s, max_deliver: 5, backoff: 10ms..20ms}}}
sinks: {Orders: {}}
"""


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as fake:
        yield fake


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[Client]:
    async with Client(server.target) as connected:
        yield connected


def echo(call: Call) -> object:
    return call.payload if call.payload is not None else dict(call.parameters)


def script_desk(fake: FakeServer) -> None:
    """Gives the fake the same desk as the manifest above gives the service."""
    import asyncio

    async def slow(call: Call) -> object:
        await asyncio.sleep(30)
        return {"ok": True}

    fake.on("desk", "Hello", {"greeting": "hello"})
    fake.on("desk", "Echo", echo)
    fake.on("desk", "Slow", slow)
    fake.on("desk", "Missing", Failed("UPSTREAM_NOT_FOUND", reached="replied"))
    feed, sink = fake.feed("desk.Orders"), fake.sink("desk.Orders")
    take = sink.take

    def take_and_tell(event: Event) -> object:
        outcome = take(event)
        if not outcome.duplicate and not outcome.HasField("status"):
            feed.emit(event)
        return outcome

    sink.take = take_and_tell  # type: ignore[method-assign, assignment]  # joins sink and feed


@pytest.fixture(params=["fake", "real"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The address of a service that offers the desk."""
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "fake":
            fake = await stack.enter_async_context(FakeServer())
            script_desk(fake)
            yield fake.target
            return
        folder = tmp_path / "connectors"
        folder.mkdir()
        (folder / "desk.yaml").write_text(DESK)
        real = await stack.enter_async_context(served(folder))
        yield real.address
