"""Listening to a subject of core NATS, with a bound on what waits to be read."""

from __future__ import annotations

from collections.abc import Callable

from nats.aio.msg import Msg

from interlaced.transport.nats_link import Link
from interlaced.transport.nats_pull import Waker

__all__ = ["Listener"]


class Listener:
    """Takes messages of a subject. What comes while `limit` wait is dropped and counted, as is what
    nats-py drops by itself; `dropped` is told of each."""

    def __init__(self, link: Link, *, limit: int, dropped: Callable[[], None]) -> None:
        self._link = link
        self._limit = limit
        self._told = dropped
        self._wake = Waker()
        self._messages: list[Msg] = []
        self._dropped = 0
        link.watch(self._wake)
        link.watch_drops(self._drop)

    async def listen(self, subject: str, seconds: float) -> None:
        """Subscribes; returns once the server knows. Raises LinkLost or TimeoutError."""
        await self._link.listen(subject, self._took)
        await self._link.flush(seconds)

    async def take(self) -> tuple[list[Msg], int]:
        """Waits for messages, and returns them with the number of those that were dropped since.
        Raises LinkLost once all have been taken."""
        while not self._messages and not self._dropped:
            if self._link.lost is not None:
                raise self._link.lost
            await self._wake.wait()
        messages, self._messages = self._messages, []
        dropped, self._dropped = self._dropped, 0
        return messages, dropped

    async def _took(self, message: Msg) -> None:
        if len(self._messages) >= self._limit:
            self._drop()
        else:
            self._messages.append(message)
        self._wake()

    def _drop(self) -> None:
        self._dropped += 1
        self._told()
        self._wake()
