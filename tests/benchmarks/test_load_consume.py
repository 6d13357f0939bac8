"""The broker load counts what is delivered once and settled, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.load.bodies import event_data
from benchmarks.load.consume import BrokerLoad
from benchmarks.load.http2 import Connection, connect
from benchmarks.service import manifests
from served import served

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb


async def test_events_are_published_delivered_and_settled(tmp_path: Path) -> None:
    manifests.write_feeds(tmp_path)
    async with served(tmp_path) as service:
        consuming, publishing = await connect(service.address), await connect(service.address)
        load = BrokerLoad(
            consuming, publishing, name="ticks.Ticks", group="bench", batch=4, window=16
        )
        await load.start()
        async with asyncio.timeout(60):
            while load.tally.done < 200 and not load.tally.errors:
                await asyncio.sleep(0.005)
        await load.stop()
        done = load.tally.done
        await load.start()
        await load.stop()
        load.close()
        assert load.tally.told == []
        assert load.tally.done == done + 16
        assert len(load.tally.latencies) == load.tally.done
        consuming.close()
        publishing.close()


class Nowhere:
    """A connection that keeps what is sent to itself."""

    def open(self, _path: bytes, _listener: object) -> Any:
        return SimpleNamespace(send=lambda _message: None, cancel=lambda: None)

    def send_data(self, _stream: object, _data: bytes, *, is_last: bool) -> None:
        return None


async def begun() -> BrokerLoad:
    nowhere = cast("Connection", Nowhere())
    load = BrokerLoad(nowhere, nowhere, name="f", group="g", batch=2, window=2)
    await load.start()
    return load


def delivery(tag: int, name: str, data: bytes) -> bytes:
    event = event_pb2.Event(id=name, data=data)
    batch = pb.DeliveryBatch(deliveries=[pb.Delivery(tag=tag, event=event)])
    return pb.ConsumeResponse(deliveries=batch).SerializeToString()


def settled(tag: int, code: int = 0) -> bytes:
    result = pb.SettleResult(tag=tag)
    result.status.code = code
    return pb.ConsumeResponse(results=pb.SettleResults(results=[result])).SerializeToString()


async def test_an_event_with_other_data_is_an_error() -> None:
    load = await begun()
    load.on_message(delivery(1, "g-0", b"{}"))
    assert load.tally.told == ["an event with other data"]


async def test_an_event_that_comes_twice_is_an_error() -> None:
    load = await begun()
    for tag in (1, 2):
        load.on_message(delivery(tag, "g-0", event_data()))
        load.on_message(settled(tag))
    assert (load.tally.done, load.tally.told) == (1, ["an event was delivered twice"])


async def test_a_settlement_that_failed_is_an_error() -> None:
    load = await begun()
    load.on_message(delivery(1, "g-0", event_data()))
    load.on_message(settled(1, code=9))
    assert (load.tally.done, load.tally.errors) == (0, 1)
