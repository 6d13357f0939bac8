"""The leases of a member's deliveries: renewed from their receipt, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from interlaced.core.ports import Clock
from interlaced.transport.nats_link import Link, LinkLost

__all__ = ["Leases"]


class Leases:
    """Tells JetStream of each delivery, returned or still buffered, that it is being worked on.

    `wait` is the broker's lease, `hold` how long one is renewed at most, both in seconds.
    """

    def __init__(self, link: Link, clock: Clock, *, wait: float, hold: float) -> None:
        self._link = link
        self._clock = clock
        self._wait = wait
        self._hold = hold
        self._since: dict[str, float] = {}
        self._renewing: asyncio.Task[None] | None = None

    @property
    def held(self) -> Collection[str]:
        """The reply subjects of what is held."""
        return self._since.keys()

    def start(self) -> None:
        """Begins to renew; whoever starts it closes it."""
        self._renewing = asyncio.create_task(self._renew())

    def add(self, reply: str) -> None:
        """Begins to renew a delivery."""
        self._since[reply] = self._clock.now()

    def drop(self, reply: str) -> None:
        """Ends it; doing it twice does nothing."""
        self._since.pop(reply, None)

    async def close(self) -> None:
        """Ends the renewing; what is held stays known."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._wait / 3)
            now = self._clock.now()
            for reply, since in list(self._since.items()):
                if now - since > self._hold:
                    del self._since[reply]
                    continue
                try:
                    await self._link.send(reply, b"+WPI")
                except LinkLost:
                    return
