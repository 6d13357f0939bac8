"""Broker load: events are published, delivered to one consumer, and settled."""

from __future__ import annotations

import asyncio
import time

from benchmarks.load.bodies import event_data
from benchmarks.load.driver import Tally
from benchmarks.load.http2 import Connection, Stream
from benchmarks.load.publish import publish
from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["BrokerLoad"]

CONSUME = b"/interlace.v1.FeedService/Consume"
_LIMIT = 60.0


class BrokerLoad:
    """Keeps `window` events between publication and settlement, published `batch` at a time.

    `tally.done` counts events that were delivered once and whose settlement was confirmed; a
    latency is that of an event, from its publication to its confirmation.
    """

    def __init__(
        self,
        consuming: Connection,
        publishing: Connection,
        *,
        name: str,
        group: str,
        batch: int = 16,
        window: int = 256,
    ) -> None:
        self._consuming = consuming
        self._publishing = publishing
        self._name = name
        self._group = group
        self._batch = batch
        self._window = window
        self._next = 0
        self._begun: dict[str, float] = {}
        self._tags: dict[int, str] = {}
        self._since_publish = 0
        self._stream: Stream | None = None
        self._is_on = False
        self._idle = asyncio.Event()
        self._tally = Tally()

    @property
    def tally(self) -> Tally:
        """The counters."""
        return self._tally

    def fail(self, why: str) -> None:
        """Count an error; there is no use in waiting for the rest then."""
        self._tally.fail(why)
        self._idle.set()

    def published(self) -> None:
        """Nothing waits for it: a batch follows what was settled."""

    async def start(self) -> None:
        """Open the consumer unless it is open, and publish a window full."""
        if self._stream is None:
            self._stream = self._consuming.open(CONSUME, self)
            opening = pb.ConsumeOpen(feed=self._name, group=self._group, credit=self._window)
            self._stream.send(pb.ConsumeRequest(open=opening).SerializeToString())
        self._is_on = True
        for _ in range(self._window // self._batch):
            self._publish()

    async def stop(self) -> None:
        """Publish nothing more and await every settlement. Raise TimeoutError after a minute."""
        self._is_on = False
        async with asyncio.timeout(_LIMIT):
            while self._begun and not self._tally.errors:
                self._idle.clear()
                await self._idle.wait()

    def close(self) -> None:
        """End the consumer."""
        if self._stream:
            self._stream.cancel()

    def on_message(self, message: bytes) -> None:
        """Settle what is delivered, and count what is settled."""
        response = pb.ConsumeResponse.FromString(message)
        if response.WhichOneof("frame") == "deliveries":
            self._settle(list(response.deliveries.deliveries))
        for result in response.results.results:
            self._settled(result)

    def on_end(self, error: str) -> None:
        """A consumer ends only when we end it."""
        self.fail(f"the consumer ended: {error or 'OK'}")

    def _settle(self, deliveries: list[pb.Delivery]) -> None:
        settlements = []
        for delivery in deliveries:
            if delivery.event.data != event_data():
                self.fail("an event with other data")
            self._tags[delivery.tag] = delivery.event.id
            settlements.append(pb.Settlement(tag=delivery.tag, ack=pb.Ack()))
        more = pb.ConsumeCredit(more=len(deliveries))
        if self._stream:
            settle = pb.ConsumeRequest(settle=pb.ConsumeSettle(settlements=settlements))
            self._stream.send(settle.SerializeToString())
            self._stream.send(pb.ConsumeRequest(credit=more).SerializeToString())

    def _settled(self, result: pb.SettleResult) -> None:
        name = self._tags.pop(result.tag, "")
        since = self._begun.pop(name, None)
        if result.status.code:
            self.fail(f"not settled: {result.status.message}")
        elif since is None:
            self.fail("an event was delivered twice")
        else:
            self._tally.done += 1
            self._tally.land(since)
        self._since_publish += 1
        if self._is_on and self._since_publish >= self._batch:
            self._since_publish -= self._batch
            self._publish()
        elif not self._begun:
            self._idle.set()
            self._since_publish = 0

    def _publish(self) -> None:
        now = time.perf_counter()
        events = []
        for number in range(self._next, self._next + self._batch):
            name = f"{self._group}-{number}"
            self._begun[name] = now
            events.append(
                event_pb2.Event(
                    id=name,
                    source="bench",
                    type="order",
                    media_type="application/json",
                    data=event_data(),
                )
            )
        self._next += self._batch
        request = pb.PublishRequest(sink=self._name, events=events)
        publish(self._publishing, request, self)
