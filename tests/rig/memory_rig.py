"""The memory kind under test, in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

from interlaced.connectors.memory.config import Config
from interlaced.connectors.memory.connector import build
from interlaced.connectors.memory.recipe import Broker
from interlaced.core.model import Delivery, Effort, Event, Publication
from interlaced.core.ports import Capability, Connector, Durability, Order, Start, StartKind
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools

__all__ = [
    "FEED",
    "SINK",
    "MemoryCase",
    "MemoryRig",
    "memory_connector",
]

FEED = Capability(
    durability=Durability.MEMORY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
SINK = Capability(durability=Durability.MEMORY, order=Order.TOTAL)

DOCUMENT: Mapping[str, Any] = {
    "upstream": {"memory": "main", "keep_bytes": "100kB"},
    "feeds": {"Orders": {"ack": {"wait": "10s", "max_deliver": 3, "backoff": "100ms..1s"}}},
    "sinks": {"Orders": {}},
}


def memory_connector(clock: VirtualClock, document: Mapping[str, Any] = DOCUMENT) -> Connector:
    """Builds a connector on a broker of its own."""
    return build("orders", Config.model_validate(document), make_tools(clock))


class MemoryRig:
    """What the source and the sink suite ask for."""

    max_deliver = 3
    wait = 12.0
    limit = 100_000

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._tools = make_tools(clock)
        self._build()

    def _build(self) -> None:
        self.connector = build("orders", Config.model_validate(DOCUMENT), self._tools)
        self.feed = self.connector.feeds["Orders"]
        self.dead = self.connector.feeds["Orders.dead"]
        self.sink = self.connector.sinks["Orders"]

    async def publish(self, events: Sequence[Event]) -> None:
        publication = Publication(
            deadline=self.clock.now() + 5, effort=Effort(0), sink="Orders", events=events
        )
        results = await self.sink.publish(publication)
        assert all(one.failure is None for one in results)

    async def expire(self) -> None:
        brokers = cast("Mapping[str, Broker]", self._tools.shared["brokers"])
        topic = brokers["main"].topic("Orders")
        topic._records.clear()
        topic.first, topic._size = topic.next, 0

    async def rebuild(self) -> None:
        cast("dict[str, Broker]", self._tools.shared["brokers"]).clear()
        self._build()

    async def cut(self) -> None:
        raise AssertionError("memory has no connection")

    async def stored(self, count: int) -> Sequence[Event]:
        reader = await self.feed.open(Start(StartKind.OLDEST))
        items = await reader.read() if count else []
        return [item.event for item in items if isinstance(item, Delivery)]

    async def unreach(self) -> None:
        raise AssertionError("memory has no connection")

    freeze = thaw = unreach


class MemoryCase:
    """Runs a clause in virtual time; `change` may put a saboteur into the rig."""

    def __init__(self, change: Callable[[MemoryRig], None] = lambda _: None) -> None:
        self._change = change

    def run(self, clause: Callable[[MemoryRig], Awaitable[None]]) -> None:
        clock = VirtualClock()

        async def main() -> None:
            rig = MemoryRig(clock)
            self._change(rig)
            await clause(rig)

        clock.run(main())
