"""A pull consumer of JetStream on a link: asks, takes, and notices when nothing comes any more.

nats-py's own fetch forgets the messages that it holds when it is cancelled, and stays dead after a
reconnect or when the consumer was deleted. This one keeps nothing back, and judges by what comes,
not by whether the connection stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from interlaced.core.ports import Clock, TimerHandle
from interlaced.transport.nats_link import Link, LinkLost

__all__ = ["PullEnded", "PullSettings", "PullState", "Puller", "Waker"]

_NANO = 1_000_000_000


class PullEnded(Exception):  # noqa: N818  # what the server said, not an error of ours
    """The server ended the pull for good; `status` is its code, such as `409`, or empty when it
    fell silent."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSettings:
    """What to ask for at a time, in messages and bytes, and how often an idle consumer has to say
    that it is alive, in seconds."""

    batch: int
    max_bytes: int
    heartbeat: float

    @property
    def silence(self) -> float:
        """How long the server may say nothing while it owes us something, in seconds."""
        return 2.5 * self.heartbeat


class PullState:
    """What is asked of a consumer and has not come yet, one request at a time. Pure.

    The server answers a request with messages, heartbeats while it has none, and a status at the
    end; silence means that the consumer is gone.
    """

    def __init__(self, settings: PullSettings) -> None:
        self._settings = settings
        self._number = 0
        self._left = 0

    @property
    def is_asking(self) -> bool:
        """Whether the server owes us something."""
        return self._left > 0

    def ask(self, limit: int | None = None) -> tuple[str, bytes]:
        """Begins a request: its number, which ends the subject to answer to, and its text."""
        batch = self._settings.batch
        self._number += 1
        self._left = batch if limit is None else max(1, min(limit, batch))
        wanted = {
            "batch": self._left,
            "max_bytes": self._settings.max_bytes,
            "expires": round(6 * self._settings.heartbeat * _NANO),
            "idle_heartbeat": round(self._settings.heartbeat * _NANO),
        }
        return str(self._number), json.dumps(wanted).encode()

    def received(self) -> None:
        """Counts a message."""
        self._left = max(0, self._left - 1)

    def told(self, subject: str, status: str, description: str) -> bool:
        """Takes in a status; returns whether it ends not only the request but the consumer."""
        if status == "100" or subject.rpartition(".")[2] != str(self._number):
            return False
        is_full = status == "409" and "maxbytes" in description.lower().replace(" ", "")
        if status in ("404", "408") or is_full:
            self._left = 0
            return False
        return True


class Waker:
    """Wakes the one task that waits; a call that comes before the wait is not lost."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[None] | None = None
        self._is_called = False

    def __call__(self) -> None:
        self._is_called = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Waits for a call since the last wait."""
        if not self._is_called:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._is_called = False


class Puller:
    """Pulls from one consumer. `took` is called with each message as it comes; `fault` says why
    nothing more will come."""

    def __init__(
        self, link: Link, clock: Clock, *, settings: PullSettings, took: Callable[[Msg], None]
    ) -> None:
        self.fault: LinkLost | PullEnded | None = None
        self.wake = Waker()
        self._link = link
        self._clock = clock
        self._settings = settings
        self._took = took
        self._state = PullState(settings)
        self._inbox = link.new_inbox()
        self._subject = ""
        self._heard = clock.now()
        self._watchdog: TimerHandle | None = None
        self._subscription: Subscription | None = None

    async def bind(self, stream: str, consumer: str) -> None:
        """Listens for what the consumer will send. Raises LinkLost."""
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._subscription = await self._link.listen(f"{self._inbox}.*", self._on_message)
        self._link.watch(self._on_lost)

    async def more(self, limit: int | None = None) -> None:
        """Asks for more, but not for more than `limit`, unless the server owes us something
        already, and waits for a change. Look at what has come before you call."""
        if not self._state.is_asking:
            number, request = self._state.ask(limit)
            self._heard = self._clock.now()
            self._watch()
            try:
                await self._link.send(self._subject, request, reply=f"{self._inbox}.{number}")
            except LinkLost as error:
                self.fail(error)
        if self.fault is None:
            await self.wake.wait()

    def fail(self, fault: LinkLost | PullEnded) -> None:
        """Ends it; the first fault is the one that is told."""
        self.fault = self.fault or fault
        self.wake()

    async def silence(self, seconds: float) -> None:
        """Ends the pull; returns once all that the server had sent has come, or time is over."""
        if self._subscription is not None and self._link.lost is None:
            with contextlib.suppress(LinkLost, TimeoutError):
                await self._link.silence(self._subscription, seconds)

    def stop(self) -> None:
        """Ends the watchdog; doing it twice does nothing."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None

    async def _on_message(self, message: Msg) -> None:
        self._heard = self._clock.now()
        headers = message.headers or {}
        if "Status" in headers and not message.reply.startswith("$JS.ACK."):
            status = headers["Status"]
            if self._state.told(message.subject, status, headers.get("Description", "")):
                self.fail(PullEnded(status))
        else:
            self._state.received()
            self._took(message)
        self.wake()

    def _on_lost(self) -> None:
        self.fail(self._link.lost or LinkLost())

    def _watch(self) -> None:
        if self._watchdog is None:
            until = self._heard + self._settings.silence
            self._watchdog = self._clock.call_at(until, self._check)

    def _check(self) -> None:
        self._watchdog = None
        if not self._state.is_asking:
            return
        if self._clock.now() >= self._heard + self._settings.silence:
            self.fail(PullEnded(""))
        else:
            self._watch()
