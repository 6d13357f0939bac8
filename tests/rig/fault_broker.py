"""A broker of either kind behind the whole service, with the proxy before the real one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fault_rig import POLICY, write_manifest
from nats_server import NatsServer, need_server
from served import Served, served

from interlace import Client, Event, InterlaceError, Overflow, Reconnect, Start
from interlaced.testing.fault_proxy import FaultProxy

__all__ = ["QUICK", "Broker", "broker", "memory_manifest", "nats_manifest", "one", "stored_in"]

QUICK = Reconnect(initial=0.05, maximum=0.2, patience=30.0)
"""How clients of ours reconnect in these tests."""

ACK: Mapping[str, object] = {"wait": "1s", "max_deliver": 3, "backoff": "10ms..50ms"}
BROKER_POLICY = {**POLICY, "deadline": "2s", "attempt_timeout": "600ms"}


def memory_manifest(ack: Mapping[str, object], **upstream: object) -> dict[str, object]:
    """A topic of the embedded broker with a feed and a sink."""
    return {
        "upstream": {"memory": "faults", **upstream},
        "policy": BROKER_POLICY,
        "feeds": {"Orders": {"ack": ack}},
        "sinks": {"Orders": {}},
    }


def nats_manifest(address: str, ack: Mapping[str, object] = ACK) -> dict[str, object]:
    """A stream of a NATS server with a feed and a sink."""
    return {
        "upstream": {
            "nats": address,
            "connect_timeout": "500ms",
            "timeout": "400ms",
            "heartbeat": "300ms",
        },
        "policy": BROKER_POLICY,
        "streams": {"ORDERS": {"subjects": ["orders.>"]}},
        "feeds": {"Orders": {"stream": "ORDERS", "subject": "orders.>", "ack": ack}},
        "sinks": {"Orders": {"subject": "orders.new", "stream": "ORDERS"}},
    }


@dataclass
class Broker:
    """What a test of columns E and F holds; `server` and `proxy` are there for nats alone."""

    service: Served
    client: Client
    server: NatsServer | None
    proxy: FaultProxy | None

    @property
    def nats(self) -> NatsServer:
        """The real server."""
        assert self.server is not None
        return self.server

    @property
    def wire(self) -> FaultProxy:
        """What is between the service and the real server."""
        assert self.proxy is not None
        return self.proxy

    async def publish(self, *names: str, timeout: float = 5.0, size: int = 0) -> list[str]:
        """Publishes events with these ids; returns `ok`, `again` for a duplicate, or the reason,
        per event."""
        events = [one(name, size) for name in names]
        try:
            outcomes = await self.client.publish("orders.Orders", events, timeout=timeout)
        except InterlaceError as error:
            return [error.reason or error.code.name] * len(names)
        return [
            each.error.reason if each.error else "again" if each.is_duplicate else "ok"
            for each in outcomes
        ]


def one(name: str, size: int = 0) -> Event:
    """An event with this id."""
    return Event(
        id=name, source="faults", type="test.v1", key=name[:1], data=b'"' + b"x" * size + b'"'
    )


@contextlib.asynccontextmanager
async def broker(
    kind: str,
    folder: Path,
    *,
    settings: Mapping[str, object] | None = None,
    upstream: Mapping[str, object] | None = None,
    ack: Mapping[str, object] | None = None,
) -> AsyncIterator[Broker]:
    """Serves the connector `orders` of the kind `memory` or `nats`; `ack` is laid over ACK."""
    settle = {**ACK, **(ack or {})}
    async with contextlib.AsyncExitStack() as stack:
        server = proxy = None
        if kind == "nats":
            need_server()
            server = await asyncio.to_thread(NatsServer(folder / "store").start)
            stack.callback(server.__exit__)
            proxy = await stack.enter_async_context(FaultProxy("127.0.0.1", server.port))
            document = nats_manifest(f"nats://127.0.0.1:{proxy.port}", settle)
        else:
            document = memory_manifest(settle, **(upstream or {}))
        manifests = folder / "connectors"
        manifests.mkdir()  # a test's own folder
        write_manifest(manifests, "orders", document)
        service = await stack.enter_async_context(served(manifests, settings=settings))
        client = await stack.enter_async_context(Client(service.address))
        yield Broker(service, client, server, proxy)


async def stored_in(
    client: Client, feed: str = "orders.Orders", *, quiet: float = 0.4, at_least: int = 0
) -> Sequence[str]:
    """Reads a feed from its oldest event until it has been quiet for so long; returns the ids."""
    names: list[str] = []
    options = {"start": Start.oldest(), "overflow": Overflow.block(30.0)}
    async with client.subscribe(feed, reconnect=QUICK, **options) as items:  # type: ignore[arg-type]  # typed options
        while True:
            try:
                async with asyncio.timeout(quiet if len(names) >= at_least else 10.0):
                    item = await anext(items)
            except TimeoutError:
                return names
            if isinstance(item, Event):
                names.append(item.id)
