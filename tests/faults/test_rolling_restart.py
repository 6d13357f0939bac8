"""F22: two instances behind one client; one of them gets SIGTERM under load.

Real processes, real signals, and a real NATS server behind both, so that a cursor of one instance
means the same to the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fault_broker import QUICK, nats_manifest
from fault_feed import listening
from fault_rig import GOOD, OPERATIONS, POLICY, eventually, write_manifest
from nats_server import NatsServer, need_server
from raw_http import Answer, RawServer
from served import Process, process

from interlace import Client, Event, InterlaceError, Payload, Reached, Start

pytestmark = pytest.mark.live
DRAIN = 6


@dataclass
class Fleet:
    """Instances that share their manifests, their broker and the keys of their cursors."""

    folder: Path
    upstream: RawServer
    instances: list[Process] = field(default_factory=list)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start_one(self, name: str) -> Process:
        """Starts another instance."""
        own = self.folder / name
        await asyncio.to_thread(own.mkdir)
        keys, config = self.folder / "keys", self.folder / "connectors"
        started = await self.stack.enter_async_context(
            process(
                *("serve", "--config", str(config), "--cursor-keys", str(keys)),
                *("--drain", str(DRAIN)),
                folder=own,
            )
        )
        self.instances.append(started)
        return started

    def client(self) -> Client:
        """A client of all instances so far."""
        addresses = ",".join(each.addresses.grpc for each in self.instances)
        return Client(f"ipv4:{addresses}")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    need_server()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "keys").write_text("k" * 32 + "\n")
    nats = await asyncio.to_thread(NatsServer(tmp_path / "store").start)
    try:
        async with RawServer(default=Answer(GOOD.data, before=0.02)) as upstream:
            rest = {"rest": upstream.origin, "allow_private": ["127.0.0.1/32"]}
            shop = {"upstream": rest, "policy": POLICY, "operations": OPERATIONS}
            write_manifest(tmp_path / "connectors", "shop", shop)
            write_manifest(tmp_path / "connectors", "orders", nats_manifest(nats.url))
            fleet = Fleet(tmp_path, upstream)
            async with fleet.stack:
                await asyncio.gather(fleet.start_one("a"), fleet.start_one("b"))
                yield fleet
    finally:
        await asyncio.to_thread(nats.__exit__)


async def test_calls_finish_or_are_refused_before_they_are_sent(fleet: Fleet) -> None:
    """No read of a retrying caller fails; every write was answered, or never reached the upstream;
    the instance leaves in time with code 0."""
    outcomes: Counter[str] = Counter()
    unsent: set[bytes] = set()
    done: set[bytes] = set()
    over = asyncio.Event()
    async with fleet.client() as client:

        async def read() -> None:
            while not over.is_set():
                for attempt in range(5):
                    try:
                        await client.call("shop", "Read", {"id": "1"}, timeout=5)
                    except InterlaceError as error:
                        assert error.can_retry(is_idempotent=True), error
                        await asyncio.sleep(0.05 * attempt)
                        continue
                    outcomes["read"] += 1
                    break
                else:
                    outcomes["read failed"] += 1

        async def write(name: int) -> None:
            number = 0
            while not over.is_set():
                body = b"%d.%d" % (name, number := number + 1)
                payload = Payload("application/json", body)
                try:
                    await client.call("shop", "Old", payload=payload, timeout=5)
                except InterlaceError as error:
                    outcomes[error.reason or error.code.name] += 1
                    assert error.reason == "DRAINING" or error.is_from_network, error
                    if error.reason:
                        assert error.reached is Reached.NOT_SENT
                    unsent.add(body)
                else:
                    outcomes["write"] += 1
                    done.add(body)

        tasks = [asyncio.ensure_future(read()) for _ in range(8)]
        tasks += [asyncio.ensure_future(write(name)) for name in range(8)]
        await asyncio.sleep(0.5)
        fleet.instances[0].send(signal.SIGTERM)
        assert await fleet.instances[0].wait(DRAIN + 5) == 0
        await asyncio.sleep(0.3)
        over.set()
        await asyncio.gather(*tasks)
    assert outcomes["read failed"] == 0
    assert outcomes["read"] > 50
    assert outcomes["write"] > 50
    arrived = Counter(seen.body for seen in fleet.upstream.requests)
    assert all(arrived[body] == 1 for body in done)
    assert not unsent & set(arrived), "refused before it was sent"


async def test_a_subscriber_goes_on_at_the_other_instance(fleet: Fleet) -> None:
    """GoingAway with a cursor, and the other instance knows it: nothing is lost or seen twice."""
    async with (
        fleet.client() as client,
        listening(client, "orders.Orders", 6, start=Start.oldest(), reconnect=QUICK) as everybody,
    ):
        names = [f"a{number}" for number in range(150)]
        publishing = asyncio.ensure_future(publish(client, names))
        await eventually(lambda: all(len(each.names) > 20 for each in everybody))
        fleet.instances[0].send(signal.SIGTERM)
        assert await fleet.instances[0].wait(DRAIN + 5) == 0
        await publishing
        await eventually(lambda: all(len(each.names) >= len(names) for each in everybody))
        for each in everybody:
            assert each.names == names
            assert each.gaps == []


async def test_a_group_goes_on_and_nothing_is_dead(fleet: Fleet) -> None:
    """P7: what the leaving instance's members had not settled comes to the others; nothing is lost
    and nothing is among the dead letters."""
    acked: set[str] = set()
    unknown: dict[str, str] = {}
    async with fleet.client() as client:

        async def work() -> None:
            async with client.consume("orders.Orders", "work", credit=8, reconnect=QUICK) as member:
                async for delivery in member:
                    await asyncio.sleep(0.01)
                    name = delivery.event.id
                    try:
                        await delivery.ack()
                        acked.add(name)
                    except InterlaceError as error:
                        unknown[name] = f"{delivery.attempt} {error!r}"

        members = [asyncio.ensure_future(work()) for _ in range(4)]
        names = [f"a{number}" for number in range(200)]
        publishing = asyncio.ensure_future(publish(client, names))
        await eventually(lambda: len(acked) > 30)
        fleet.instances[0].send(signal.SIGTERM)
        assert await fleet.instances[0].wait(DRAIN + 5) == 0
        await publishing
        await eventually(
            lambda: acked == set(names),
            limit=10,
            what=lambda: {name: unknown.get(name) for name in set(names) - acked},
        )
        for member in members:
            member.cancel()
        await asyncio.gather(*members, return_exceptions=True)
        async with listening(client, "orders.Orders.dead", start=Start.oldest()) as (graveyard,):
            await asyncio.sleep(0.3)
            assert graveyard.names == []


async def publish(client: Client, names: list[str]) -> None:
    """One after the other, again under the same id where it is not known to be there."""
    for name in names:
        event = Event(id=name, source="faults", type="test.v1", data=b"1")
        for _ in range(100):
            with contextlib.suppress(InterlaceError):
                (outcome,) = await client.publish("orders.Orders", [event], timeout=3)
                if outcome.is_ok:
                    break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.004)
