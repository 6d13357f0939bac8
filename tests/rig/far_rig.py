"""The memory kind over a broker that another process hosts, in virtual time: the host stands in
the same loop, and everything passes through its socket."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from memory_rig import DOCUMENT

from interlaced.connectors.memory.config import Config
from interlaced.connectors.memory.connector import build
from interlaced.core.model import Delivery, Effort, Event, Publication
from interlaced.core.ports import Connector, Start, StartKind, Tools
from interlaced.relay import broker_host
from interlaced.relay.broker_desk import desks
from interlaced.relay.broker_host import BrokerHost, brokers_path
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools

__all__ = ["FarCase", "FarRig", "far_connector", "far_tools"]


def far_tools(folder: Path, clock: VirtualClock | None = None) -> Tools:
    """Tools of a worker: its brokers are elsewhere."""
    tools = make_tools(clock) if clock else make_tools()
    return Tools(tools.clock, tools.random, tools.observer, shared={"desks": desks(folder)})


def far_connector(tools: Tools, document: Mapping[str, Any] = DOCUMENT) -> Connector:
    """A connector of a worker."""
    return build("orders", Config.model_validate(document), tools)


class FarRig:
    """What the source and the sink suite ask for."""

    max_deliver = 3
    wait = 12.0
    limit = 100_000

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.folder = folder
        self.clock = clock
        self.host = BrokerHost(clock=clock, random=Random(3))
        self.tools = far_tools(folder, clock)
        self.connector = far_connector(self.tools)
        self.feed = self.connector.feeds["Orders"]
        self.dead = self.connector.feeds["Orders.dead"]
        self.sink = self.connector.sinks["Orders"]
        self._publisher = far_connector(self.tools).sinks["Orders"]

    async def start(self) -> None:
        await self.host.start(brokers_path(self.folder))

    async def close(self) -> None:
        await self.connector.close()
        await self.host.close()

    async def publish(self, events: Sequence[Event]) -> None:
        publication = Publication(
            deadline=self.clock.now() + 5, effort=Effort(0), sink="Orders", events=events
        )
        results = await self._publisher.publish(publication)
        assert all(one.failure is None for one in results)

    async def expire(self) -> None:
        topic = self.host.brokers["main"].topic("Orders")
        topic._records.clear()
        topic.first, topic._size = topic.next, 0

    async def rebuild(self) -> None:
        await self.host.close()
        self.host = BrokerHost(clock=self.clock, random=Random(4))
        await self.start()

    async def cut(self) -> None:
        """Every connection ends; the topics stay."""
        kept = self.host
        await kept.close()
        self.host = BrokerHost(clock=self.clock, random=Random(3))
        self.host.brokers.update(kept.brokers)
        await self.start()

    async def stored(self, count: int) -> Sequence[Event]:
        reader = await self.feed.open(Start(StartKind.OLDEST))
        items = await reader.read() if count else []
        await reader.close()
        return [item.event for item in items if isinstance(item, Delivery)]

    async def unreach(self) -> None:
        await self.host.close()
        brokers_path(self.folder).unlink()

    async def freeze(self) -> None:
        hear, self._gate = broker_host._Client.hear, asyncio.Event()
        gate = self._gate

        async def held(client: broker_host._Client, request: list[Any]) -> None:
            await gate.wait()
            await hear(client, request)

        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(broker_host._Client, "hear", held)

    async def thaw(self) -> None:
        self._patch.undo()
        self._gate.set()


class FarCase:
    """Runs a clause in virtual time; `change` may put a saboteur into the rig."""

    def __init__(self, change: Callable[[FarRig], None] = lambda _: None) -> None:
        self._change = change

    def run(self, clause: Callable[[FarRig], Awaitable[None]]) -> None:
        clock = VirtualClock()

        async def main(folder: Path) -> None:
            rig = FarRig(folder, clock)
            await rig.start()
            self._change(rig)
            try:
                await clause(rig)
            finally:
                await rig.close()

        with tempfile.TemporaryDirectory() as folder:
            clock.run(main(Path(folder)))
