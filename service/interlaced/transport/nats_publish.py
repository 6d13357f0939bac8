"""Publishing over one shared link: many messages in order, each with the answer that it got."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from nats.aio.msg import Msg

from interlaced.core.clock import TimeLimit
from interlaced.core.ports import Clock
from interlaced.transport.nats_link import Link, LinkLost

__all__ = ["Outgoing", "SharedLink", "publish_all"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way."""

    subject: str
    headers: Mapping[str, str]
    data: bytes

    @property
    def size(self) -> int:
        """Its size as the server counts it, in bytes; nats-py counts the data alone."""
        lines = sum(
            len(name.encode()) + len(value.encode()) + 4 for name, value in self.headers.items()
        )
        return len(b"NATS/1.0\r\n\r\n") + lines + len(self.data)


async def publish_all(
    link: Link, clock: Clock, outgoing: Mapping[int, Outgoing], *, until: float
) -> Mapping[int, Msg | BaseException | None]:
    """Sends messages in their order and waits for every answer until a time of the clock.

    Returns for each its answer, or the error that came instead, or None where neither came. What
    was not sent, since the link was lost before, is left out. Cancelling it forgets the answers.
    """
    waiting: dict[int, asyncio.Future[Msg]] = {}
    try:
        with TimeLimit(clock, until):
            for number, message in outgoing.items():
                waiting[number] = await link.submit(message.subject, message.data, message.headers)
            if waiting:
                await asyncio.wait(waiting.values())
    except (TimeoutError, LinkLost):
        pass
    finally:
        answers = {number: _taken(answer) for number, answer in waiting.items()}
    return answers


def _taken(answer: asyncio.Future[Msg]) -> Msg | BaseException | None:
    if not answer.done():
        answer.cancel()
        return None
    return answer.exception() or answer.result()


class SharedLink:
    """A link that is opened when it is needed, and opened anew once it was lost."""

    def __init__(self, open_link: Callable[[], Awaitable[Link]]) -> None:
        self.is_closed = False
        self._open_link = open_link
        self._link: Link | None = None
        self._opening = asyncio.Lock()

    async def get(self) -> Link:
        """Returns the link. Raises what opening it raises, and LinkLost after the close."""
        async with self._opening:
            if self.is_closed:
                raise LinkLost
            if self._link is None or self._link.lost is not None:
                await self._drop()
                self._link = await self._open_link()
            return self._link

    async def give_up(self, link: Link) -> None:
        """Closes a link on which answers stayed out."""
        async with self._opening:
            if self._link is link:
                await self._drop()

    async def close(self) -> None:
        """Closes for good; doing it twice does nothing."""
        async with self._opening:
            self.is_closed = True
            await self._drop()

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.close()
