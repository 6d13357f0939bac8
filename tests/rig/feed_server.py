"""The FeedService on loopback over a scripted feed and the memory kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import grpc.aio
from feed_rig import KEYS, ScriptedFeed
from google.rpc import error_details_pb2, status_pb2

from interlace.v1 import feed_service_pb2 as pb
from interlaced.connectors.memory.config import Config
from interlaced.connectors.memory.connector import build
from interlaced.core.clock import LoopClock
from interlaced.core.cursor import CursorCodec
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import Reason
from interlaced.core.feed import Hub, HubSettings
from interlaced.core.model import Event
from interlaced.core.ports import FeedBinding
from interlaced.rpc.feed import Feeds
from interlaced.rpc.frames import encode_event
from interlaced.rpc.guard import Guard
from interlaced.rpc.server import RpcServer
from interlaced.rpc.settings import RpcSettings
from interlaced.testing.fakes import FakeRpcObserver, make_tools

CONFIG = {
    "upstream": {"memory": "test"},
    "feeds": {
        "Jobs": {"ack": {"wait": "300ms", "max_deliver": 3, "backoff": "10ms..50ms"}},
        "Log": {},
    },
    "sinks": {"Jobs": {}, "Log": {}},
}


@dataclass
class FeedServer:
    """What a test needs of a running FeedService."""

    hub: Hub
    feed: ScriptedFeed
    guard: Guard
    server: RpcServer
    encoded: list[str]
    port: int = 0

    def channel(self, *options: tuple[str, Any]) -> grpc.aio.Channel:
        own = ("grpc.use_local_subchannel_pool", 1)
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=[own, *options])

    async def until_idle(self) -> None:
        """Waits until no RPC is open and nobody listens."""
        async with asyncio.timeout(10):
            while self.guard.open_rpcs or any(s.subscribers for s in self.hub.states().values()):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def feed_server(
    feed: ScriptedFeed | None = None, *, hub: HubSettings | None = None, **binding: Any
) -> AsyncIterator[FeedServer]:
    """Serves `up.Ticks` (scripted), `mem.Jobs` and `mem.Log` (the memory kind)."""
    clock, tools, dispatch = LoopClock(), make_tools(), Dispatch()
    feed = feed or ScriptedFeed()
    encoded: list[str] = []

    def encode(event: Event) -> bytes:
        encoded.append(event.id)
        return encode_event(event)

    shared = Hub(
        clock=clock,
        random=Random(1),
        observer=tools.observer,
        encode=encode,
        cursors=CursorCodec(KEYS),
        settings=hub or HubSettings(),
    )
    memory = build("mem", Config.model_validate(CONFIG), tools)
    bindings = {
        f"mem.{name}": FeedBinding(name=f"mem.{name}", feed=one, connector="mem", digest="1")
        for name, one in memory.feeds.items()
    }
    bindings["up.Ticks"] = FeedBinding(
        name="up.Ticks", feed=feed, connector="up", digest="1", **binding
    )
    await shared.swap(bindings)
    dispatch.swap({}, {f"mem.{name}": sink.publish for name, sink in memory.sinks.items()})
    guard = Guard(clock=clock, observer=FakeRpcObserver(), settings=RpcSettings())
    feeds = Feeds(guard=guard, hub=shared, dispatch=dispatch, clock=clock)
    server = RpcServer(guard=guard, services=(feeds.service(),))
    running = FeedServer(shared, feed, guard, server, encoded)
    running.port = await server.start()
    try:
        yield running
    finally:
        await shared.close()
        await server.stop(0.2)


def reason_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    """The reason of an error and the metadata of its ErrorInfo."""
    trailers = dict(tuple(error.trailing_metadata() or ()))
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            detail.Unpack(info)
    assert Reason(info.reason)
    return info.reason, dict(info.metadata)


async def first_batch(call: Any) -> pb.SubscribeResponse:
    """Reads up to the next batch."""
    while (frame := await call.read()).WhichOneof("frame") != "batch":
        pass
    return frame  # type: ignore[no-any-return]  # grpc's stubs say Any
