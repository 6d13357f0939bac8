"""An answer of the lean transport whose body is handed over while it comes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Final

from interlaced.core.failure import Failure
from interlaced.transport.http_wire import Answered, Wire

__all__ = ["LeanStream"]

_MOST_AHEAD: Final = 256 * 1024
"""So many bytes may wait for whoever iterates before the connection is read no more."""
_FEW_AHEAD: Final = 64 * 1024
"""From so many on down it is read again."""


class LeanStream:
    """Stands between the connection, which is its, and one reader. See `HttpStream` and `Sink`."""

    __slots__ = (
        "_ahead",
        "_end",
        "_is_held",
        "_pieces",
        "_waiter",
        "_wire",
        "headed",
        "headers",
        "over",
        "status",
    )

    def __init__(self, wire: Wire, loop: asyncio.AbstractEventLoop) -> None:
        self._wire = wire
        self._pieces: deque[bytes] = deque()
        self._ahead = 0
        self._is_held = False
        self._end: Answered | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self.headed: asyncio.Future[None] = loop.create_future()
        """Is done when there is a head, or never will be."""
        self.over: asyncio.Future[Answered] = loop.create_future()
        """Has what became of the request, once the connection is done with it."""

    # What the wire calls.

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Takes the head."""
        self.status, self.headers = status, headers
        if not self.headed.done():
            self.headed.set_result(None)

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the body."""
        self._add(piece)
        if self._ahead > _MOST_AHEAD and not self._is_held:
            self._is_held = True
            self._wire.hold()

    def end(self, answer: Answered) -> None:
        """Takes the rest of the answer, or what went wrong."""
        self._end = answer
        self._go_on()  # the next one whose connection it is finds it reading
        if not isinstance(answer, Failure):
            self.begin(answer.status, answer.headers)
            self._add(answer.body)
        if not self.over.done():
            self.over.set_result(answer)
        for each in (self.headed, self._waiter):
            if each is not None and not each.done():
                each.set_result(None)

    def _add(self, piece: bytes) -> None:
        if not piece:
            return
        self._pieces.append(piece)
        self._ahead += len(piece)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _go_on(self) -> None:
        if self._is_held:
            self._is_held = False
            self._wire.go_on()

    # What the reader calls.

    def check(self) -> None:
        """Raises what went wrong, if it did."""
        if isinstance(self._end, Failure):
            raise self._end

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            self.check()
            if self._end is not None:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        self._ahead -= len(piece)
        if self._ahead <= _FEW_AHEAD:
            self._go_on()
        return piece
