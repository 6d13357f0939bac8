"""The websocket kind as the source suite wants it: a server of somebody else's that broadcasts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from websocket_rig import connector_to, eventually, scripted
from websockets.asyncio.server import ServerConnection

from interlaced.core.clock import LoopClock
from interlaced.core.model import Event
from interlaced.core.ports import Clock, Feed
from interlaced.testing.source_suite import SourceRig

FEED = {
    "match": {"$.op": "event"},
    "id": "$.id",
    "source": "$.source",
    "type": "$.type",
    "subject": "$.subject",
    "time": "$.time",
    "key": "$.key",
    "attributes": {"traceparent": "$.traceparent"},
    "data": "$.data",
    "data_as": "text",
}


def frame_of(event: Event) -> str:
    facts = {name: getattr(event, name) for name in ("id", "source", "type", "subject", "time")}
    return json.dumps(
        {
            "op": "event",
            **facts,
            "key": event.key,
            "traceparent": event.attributes["traceparent"],
            "data": event.data.decode(),
        }
    )


@dataclass
class WebSocketRig:
    """A feed, and the connections behind it."""

    clock: Clock
    feed: Feed
    dead: Feed
    sockets: set[ServerConnection]
    max_deliver: int = 1
    wait: float = 1.0

    async def publish(self, events: Sequence[Event]) -> None:
        for socket in self.sockets:
            for event in events:
                await socket.send(frame_of(event))

    async def expire(self) -> None:
        """There is no history to forget."""

    async def rebuild(self) -> None:
        """There is no history to begin anew."""

    async def cut(self) -> None:
        for socket in self.sockets:
            socket.transport.abort()
        await eventually(lambda: not self.sockets)


class WebSocketCase:
    """Runs a clause on a server and a connector of its own."""

    def run(self, clause: Callable[[SourceRig], Awaitable[None]]) -> None:
        asyncio.run(self._run(clause))

    async def _run(self, clause: Callable[[SourceRig], Awaitable[None]]) -> None:
        sockets: set[ServerConnection] = set()

        async def attend(socket: ServerConnection) -> None:
            await socket.recv()  # the subscription, after which the ack says that it stands
            sockets.add(socket)
            await socket.send('{"op": "subscribed"}')
            try:
                await socket.wait_closed()
            finally:
                sockets.discard(socket)

        async with (
            scripted(attend) as server,
            connector_to(
                server.url,
                feeds={"Events": FEED},
                on_open={"op": "subscribe"},
                ack={"match": {"$.op": "subscribed"}},
            ) as connector,
        ):
            feed = connector.feeds["Events"]
            await clause(WebSocketRig(LoopClock(), feed, feed, sockets))
