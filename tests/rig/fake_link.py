"""A link that remembers what is sent, and whose far side the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from interlaced.transport.nats_link import LinkLost

__all__ = ["FakeLink", "FakeMessage"]


@dataclass
class FakeMessage:
    """A message as nats-py gives it."""

    subject: str = ""
    data: bytes = b""
    reply: str = ""
    headers: dict[str, str] | None = None


@dataclass
class FakeLink:
    """Stands in for a Link."""

    sent: list[tuple[str, bytes, str]] = field(default_factory=list)
    lost: LinkLost | None = None
    answers: list[asyncio.Future[FakeMessage]] = field(default_factory=list)
    callbacks: dict[str, Callable[[FakeMessage], Awaitable[None]]] = field(default_factory=dict)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    drops: list[Callable[[], None]] = field(default_factory=list)
    is_closed: bool = False

    def new_inbox(self) -> str:
        return "_INBOX.fake"

    def watch(self, callback: Callable[[], None]) -> None:
        self.watchers.append(callback)

    def watch_drops(self, callback: Callable[[], None]) -> None:
        self.drops.append(callback)

    async def listen(self, subject: str, callback: Callable[[FakeMessage], Awaitable[None]]) -> str:
        self.callbacks[subject] = callback
        return subject

    async def send(self, subject: str, data: bytes, *, reply: str = "", **_: object) -> None:
        if self.lost is not None:
            raise self.lost
        self.sent.append((subject, data, reply))

    async def submit(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> asyncio.Future[FakeMessage]:
        await self.send(subject, data)
        answer: asyncio.Future[FakeMessage] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        return answer

    async def flush(self, seconds: float) -> None:
        if self.lost is not None:
            raise self.lost

    async def silence(self, subscription: str, seconds: float) -> None:
        if self.lost is not None:
            raise self.lost
        self.callbacks.pop(subscription)

    async def close(self) -> None:
        self.is_closed = True

    def lose(self) -> None:
        """Cuts the connection."""
        self.lost = LinkLost()
        for watcher in self.watchers:
            watcher()
