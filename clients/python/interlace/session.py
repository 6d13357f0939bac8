"""Many calls in flight over one stream, batched both ways."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, Unpack

import grpc

from interlace.backoff import Backoff, Reconnect
from interlace.calls import Argument, Call, CallOptions, CallResult, Outcome, duration, read_outcome
from interlace.errors import (
    DeadlineExceeded,
    ErrorFacts,
    InterlaceError,
    Reached,
    SessionLost,
    TooLarge,
)
from interlace.streams import Duplex, LinkOwner
from interlace.v1 import call_pb2
from interlace.v1 import gateway_service_pb2 as pb

__all__ = ["Session"]

_ENVELOPE = 32
_MARGIN = 0.02

OpenStream: TypeAlias = Callable[[], Any]


class _Ask:
    """One call on its way."""

    __slots__ = ("deadline", "future", "id", "is_sent", "message")

    def __init__(self, number: int, message: call_pb2.Call, deadline: float) -> None:
        self.id = number
        self.message = message
        self.deadline = deadline
        self.is_sent = False
        self.future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def fail(self, error: InterlaceError) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def give_up(self) -> None:
        """The time is over; whether the call was performed depends on whether it was sent."""
        reached = Reached.MAYBE if self.is_sent else Reached.NOT_SENT
        self.fail(
            DeadlineExceeded(
                ErrorFacts(
                    code=grpc.StatusCode.DEADLINE_EXCEEDED,
                    message="the session's answer did not come in time",
                    metadata={"reached": reached.value},
                )
            )
        )


class _Link:
    """One stream. What waits and what is in flight dies with it."""

    def __init__(self, call: Any, lost: Callable[[_Link, InterlaceError | None], None]) -> None:
        self._lost = lost
        self._waiting: deque[_Ask] = deque()  # as many as there are callers, who all wait
        self._cancels: deque[int] = deque()
        self._sent: dict[int, _Ask] = {}
        self._limits: pb.SessionLimits | None = None
        self.is_over = False
        self.duplex: Duplex[pb.SessionRequest, pb.SessionResponse] = Duplex(call, self)

    @property
    def has_answered(self) -> bool:
        """Whether the service has said anything."""
        return self._limits is not None

    def add(self, ask: _Ask) -> None:
        self._waiting.append(ask)
        self.duplex.wake()

    def abandon(self, ask: _Ask) -> None:
        """Nobody waits for this call any more; it holds its place until its outcome comes."""
        if ask.id in self._sent and not self.is_over:
            self._cancels.append(ask.id)
            self.duplex.wake()

    # what the stream asks

    def take(self) -> pb.SessionRequest | None:
        """Packs what waits, within the limits that the service has told."""
        if self._limits is None:
            return None
        request = pb.SessionRequest()
        while self._cancels:
            number = self._cancels.popleft()
            if number in self._sent:
                request.items.add(id=number, cancel=pb.SessionCancel())
        room = self._limits.message_bytes - _ENVELOPE * (len(request.items) + 1)
        while self._waiting and len(self._sent) < self._limits.in_flight:
            ask = self._waiting[0]
            if ask.future.done():
                self._waiting.popleft()
                continue
            room -= self._size(ask)
            if room < 0 and request.items:
                break
            self._waiting.popleft()
            self._pack(ask, request, fits=room >= 0)
        return request if request.items else None

    def _size(self, ask: _Ask) -> int:
        return ask.message.ByteSize() + _ENVELOPE

    def _pack(self, ask: _Ask, request: pb.SessionRequest, *, fits: bool) -> None:
        if not fits:
            ask.fail(_too_large(ask, self._limits))
            return
        # The service's own answer shall come before ours; a tenth at most is given up for that.
        left = ask.deadline - asyncio.get_running_loop().time()
        ask.message.timeout.CopyFrom(duration(max(0.001, left - min(_MARGIN, left / 10))))
        request.items.add(id=ask.id, call=ask.message)
        ask.is_sent = True
        self._sent[ask.id] = ask

    def receive(self, message: pb.SessionResponse) -> None:
        """Settles what has landed."""
        if message.HasField("limits"):
            self._limits = message.limits
        for reply in message.replies:
            ask = self._sent.pop(reply.id, None)
            if ask is not None and not ask.future.done():
                ask.future.set_result(read_outcome(reply.outcome))
        self.duplex.wake()

    def ended(self, error: InterlaceError | None) -> None:
        """Fails everything: what never left, and what may have been performed."""
        self.is_over = True
        # A draining service has answered whatever it had begun.
        is_begun = error is None or error.reason != "DRAINING"
        for ask in (*self._waiting, *self._sent.values()):
            reached = Reached.MAYBE if ask.is_sent and is_begun else Reached.NOT_SENT
            ask.fail(_lost(error, reached))
        self._waiting.clear()
        self._sent.clear()
        self._lost(self, error)


class Session(LinkOwner[_Link]):
    """Many calls in flight over one stream; cheaper per call than `Client.call`.

    Use it as an async context manager. A clean exit waits for the calls in flight; any other, like
    `close`, fails them with SessionLost, and so does the loss of the stream: `reached` says whether
    a call may have been performed, and nothing is repeated. The next call opens a new stream, after
    a back-off when the one before never answered; with `reconnect=None` it fails instead.
    """

    def __init__(
        self, open_stream: OpenStream, *, deadline: float, reconnect: Reconnect | None
    ) -> None:
        super().__init__()
        self._open_stream = open_stream
        self._deadline = deadline
        self._reconnect = reconnect
        self._numbers = itertools.count(1)
        self._backoff = Backoff(reconnect or Reconnect())
        self._last: InterlaceError | None = None
        self._not_before = 0.0

    async def call(
        self,
        connector: str,
        operation: str,
        parameters: Mapping[str, Argument] | None = None,
        **options: Unpack[CallOptions],
    ) -> CallResult:
        """Performs one operation of one connector; raises InterlaceError.

        `timeout` covers everything, the wait for a place included. Cancelling the caller cancels
        the call, and nothing else on the stream.
        """
        call = Call(connector, operation, parameters or {}, **options)
        loop = asyncio.get_running_loop()
        timeout = self._deadline if call.timeout is None else call.timeout
        ask = _Ask(next(self._numbers), call.message(), loop.time() + timeout)
        timer = loop.call_at(ask.deadline, ask.give_up)
        link = None
        try:
            link = await self._connected(ask)
            link.add(ask)
            return (await ask.future).unwrap()
        finally:
            timer.cancel()
            if link is not None:
                link.abandon(ask)

    async def _connected(self, ask: _Ask) -> _Link:
        """Returns the stream, opening one if there is none."""
        while True:
            if self._is_over:
                raise _lost(None, Reached.NOT_SENT)
            if self._link is not None and not self._link.is_over:
                return self._link
            loop = asyncio.get_running_loop()
            wait = self._not_before - loop.time()
            if wait <= 0:
                self._link = _Link(self._begin(), self._note_loss)
            else:
                await asyncio.wait({ask.future}, timeout=wait)
                if ask.future.done():
                    ask.future.result()

    def _begin(self) -> Any:
        if self._last is not None and self._reconnect is None:
            raise _lost(self._last, Reached.NOT_SENT)
        return self._open_stream()

    def _note_loss(self, link: _Link, error: InterlaceError | None) -> None:
        self._last = error or _lost(None, Reached.NOT_SENT)
        if self._reconnect is None or link is not self._link:
            return
        now = asyncio.get_running_loop().time()
        retry_after = error.retry_after if error is not None else None
        if link.has_answered:
            self._backoff.succeeded()
            self._not_before = now + self._backoff.after(retry_after or 0.0)
            return
        wait = self._backoff.wait(now, retry_after)
        self._not_before = now + (self._reconnect.maximum if wait is None else wait)


def _lost(error: InterlaceError | None, reached: Reached) -> SessionLost:
    facts = error.facts if error is not None else None
    lost = SessionLost(
        ErrorFacts(
            code=grpc.StatusCode.UNAVAILABLE,
            reason=facts.reason if facts is not None else "",
            message="the session's stream is lost" if facts is None else facts.message,
            metadata={**(facts.metadata if facts is not None else {}), "reached": reached.value},
            retry_after=facts.retry_after if facts is not None else None,
        )
    )
    lost.__cause__ = error
    return lost


def _too_large(ask: _Ask, limits: pb.SessionLimits | None) -> TooLarge:
    size, limit = ask.message.ByteSize(), limits.message_bytes if limits is not None else 0
    return TooLarge(
        ErrorFacts(
            code=grpc.StatusCode.RESOURCE_EXHAUSTED,
            reason="TOO_LARGE",
            message=f"the call has {size} bytes; the limit is {limit} bytes, less its envelope",
            metadata={"reached": "not_sent", "size": str(size), "limit": str(limit)},
        )
    )
