"""One member of a group that shares a feed, and settles what it is handed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import grpc

from interlace.backoff import Backoff, Reconnect
from interlace.calls import duration
from interlace.errors import DeliveryLost, ErrorFacts, InterlaceError, error_from_status
from interlace.events import Event, read_event
from interlace.feed import lost_stream
from interlace.streams import Duplex, LinkOwner
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["Consumer", "Delivery"]

OpenStream: TypeAlias = Callable[[], Any]

_MOST_SETTLEMENTS = 1000
_SILENCE = 45.0  # three of the service's heartbeats


class Delivery:
    """An event that this member must settle: `ack`, `nack` or `reject`.

    Each returns once the broker has taken the verdict. They raise DeliveryLost when the stream that
    brought the delivery is gone, so that the event comes again, to some member of the group; and
    another InterlaceError when the broker did not take it. Settling again changes nothing.
    """

    __slots__ = ("_link", "_tag", "attempt", "event")

    def __init__(self, link: _Link, message: pb.Delivery) -> None:
        self._link = link
        self._tag = message.tag
        self.event: Event = read_event(message.event)
        """What happened."""
        self.attempt: int = message.attempt
        """How often it has been delivered, this time included."""

    async def ack(self) -> None:
        """Done."""
        await self._link.settle(pb.Settlement(tag=self._tag, ack=pb.Ack()))

    async def nack(self, delay: float | None = None) -> None:
        """Not now: deliver it again, after so many seconds or after the feed's own back-off."""
        verdict = pb.Nack() if delay is None else pb.Nack(delay=duration(delay))
        await self._link.settle(pb.Settlement(tag=self._tag, nack=verdict))

    async def reject(self, cause: str = "") -> None:
        """Never: to the dead letters, with the cause."""
        await self._link.settle(pb.Settlement(tag=self._tag, reject=pb.Reject(cause=cause)))


class _Link:
    """One stream: its tags mean nothing on the next one."""

    def __init__(self, call: Any, opening: pb.ConsumeOpen) -> None:
        self.ready: deque[Delivery] = deque()  # as many as the credit allows
        self.going_away: float | None = None
        self.is_over = False
        self.is_joined = False
        self.error: InterlaceError | None = None
        self.news = asyncio.Event()
        self._out: deque[pb.ConsumeRequest] = deque([pb.ConsumeRequest(open=opening)])
        self._settlements: deque[pb.Settlement] = deque()
        self._results: dict[int, asyncio.Future[None]] = {}
        self.duplex: Duplex[pb.ConsumeRequest, pb.ConsumeResponse] = Duplex(call, self)

    async def settle(self, settlement: pb.Settlement) -> None:
        """Sends a verdict and waits for what became of it."""
        if self.is_over:
            raise _delivery_lost(self.error)
        result = self._results.get(settlement.tag)
        if result is None:
            result = asyncio.get_running_loop().create_future()
            result.add_done_callback(_look)
            self._results[settlement.tag] = result
            self._settlements.append(settlement)
            self.duplex.wake()
        # A member that is cancelled here has decided all the same.
        await asyncio.shield(result)

    def allow(self, more: int) -> None:
        """Asks for more deliveries at once."""
        self._out.append(pb.ConsumeRequest(credit=pb.ConsumeCredit(more=more)))
        self.duplex.wake()

    # what the stream asks

    def take(self) -> pb.ConsumeRequest | None:
        """Returns what is to be said, verdicts in batches."""
        if self._out:
            return self._out.popleft()
        if not self._settlements:
            return None
        count = min(len(self._settlements), _MOST_SETTLEMENTS)
        batch = [self._settlements.popleft() for _ in range(count)]
        return pb.ConsumeRequest(settle=pb.ConsumeSettle(settlements=batch))

    def receive(self, message: pb.ConsumeResponse) -> None:
        """Takes deliveries and results."""
        self.is_joined = True
        self.ready.extend(Delivery(self, one) for one in message.deliveries.deliveries)
        for one in message.results.results:
            self._conclude(one)
        if message.HasField("going_away"):
            self.going_away = message.going_away.reconnect_after.ToNanoseconds() / 1e9
        self.news.set()

    def _conclude(self, one: pb.SettleResult) -> None:
        result = self._results.pop(one.tag, None)
        if result is None or result.done():
            return
        if one.HasField("status"):
            result.set_exception(error_from_status(one.status))
        else:
            result.set_result(None)

    def ended(self, error: InterlaceError | None) -> None:
        """Deliveries that were not settled are somebody else's now."""
        self.is_over, self.error = True, self.error or error
        self.ready.clear()
        for result in self._results.values():
            if not result.done():
                result.set_exception(_delivery_lost(self.error))
        self._results.clear()
        self.news.set()


class Consumer(LinkOwner[_Link]):
    """Yields deliveries; at most `credit` of them are unsettled at a time.

    It never ends by itself: when the stream is lost it joins the group again, after a back-off, and
    what was unsettled comes again, to some member. Use it as an async context manager: its exit
    sends the verdicts that are under way, and leaves what was not settled to the group.
    """

    def __init__(
        self, open_stream: OpenStream, opening: pb.ConsumeOpen, reconnect: Reconnect | None
    ) -> None:
        super().__init__()
        self._open_stream = open_stream
        self._opening = opening
        self._reconnect = reconnect
        self._backoff = Backoff(reconnect or Reconnect())
        self._not_before = 0.0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        while not self._is_over:
            link = await self._connected()
            if link.ready:
                return link.ready.popleft()
            if link.is_over:
                self._plan(link)
                continue
            await self._wait(link)
        raise StopAsyncIteration

    async def _wait(self, link: _Link) -> None:
        """Waits for news; a service that misses its heartbeats counts as lost."""
        link.news.clear()
        try:
            async with asyncio.timeout(_SILENCE):
                await link.news.wait()
        except TimeoutError:
            link.error = lost_stream("the service has been silent for too long")
            await link.duplex.close()

    def allow(self, more: int) -> None:
        """Allows so many more unsettled deliveries from now on."""
        self._opening.credit += more
        if self._link is not None and not self._link.is_over:
            self._link.allow(more)

    async def close(self) -> None:
        """Leaves the group; nothing of it is left when this returns."""
        if self._link is not None:
            self._link.news.set()
        await super().close()

    async def _connected(self) -> _Link:
        if self._link is None:
            await asyncio.sleep(max(0.0, self._not_before - _now()))
            self._link = _Link(self._open_stream(), self._opening)
        return self._link

    def _plan(self, link: _Link) -> None:
        """Says when to join again, or raises what cannot be mended so."""
        error = link.error or lost_stream("the service ended the stream")
        wait: float | None = None
        if link.is_joined:
            self._backoff.succeeded()
        if link.going_away is not None:
            wait = self._backoff.after(link.going_away)
        elif self._reconnect is not None and error.can_reconnect:
            wait = self._backoff.wait(_now(), error.retry_after)
        if wait is None:
            self._is_over = True
            raise error
        self._link = None
        self._not_before = _now() + wait


def _delivery_lost(error: InterlaceError | None) -> DeliveryLost:
    lost = DeliveryLost(
        ErrorFacts(
            code=grpc.StatusCode.UNAVAILABLE,
            reason=error.reason if error is not None else "",
            message="the stream that brought this delivery is gone; it comes again",
            metadata={"reached": "maybe"},
        )
    )
    lost.__cause__ = error
    return lost


def _look(result: asyncio.Future[None]) -> None:
    """Looks at how it ended, since the member that asked may have been cancelled."""
    if not result.cancelled():
        result.exception()


def _now() -> float:
    return asyncio.get_running_loop().time()
