"""One connection to a NATS server that never mends itself: once lost it stays lost, and says so.

nats-py would reconnect by itself, keep subscriptions whose consumers are gone, and buffer what is
published meanwhile. The house wants exactly one layer that reconnects (the pump of a feed, the
publisher of a sink), and a publication that is either on the wire or not. So that is switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from interlaced.core.clock import TimeLimit
from interlaced.core.ports import Clock
from interlaced.core.secret import Secret
from interlaced.core.tasks import outlast

__all__ = ["Link", "LinkLost", "LinkSettings"]

ResultT = TypeVar("ResultT")

_CLOSING = 1.0
"""How long an orderly close may take, in seconds, before the connection is cut."""
_DROPPED_AT = 1024 * 1024 * 1024
"""nats-py drops messages over this many unread bytes; readers stop asking long before."""


class LinkLost(Exception):  # noqa: N818  # a state of the connection; its cause is the error
    """The connection is lost; `__cause__` is what nats-py said about it, if anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Where and how to connect; times in seconds. `ping` is the interval of the pings that find a
    dead connection, which is given up when the second goes unanswered."""

    servers: tuple[str, ...]
    user: str = ""
    password: Secret = field(default=Secret(""))
    token: Secret = field(default=Secret(""))
    tls: ssl.SSLContext | None = None
    tls_hostname: str = ""
    connect_timeout: float = 2.0
    ping: float = 5.0
    name: str = "interlace"


class Link:
    """A connection, the requests that wait on it, and those who want to hear of its end."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._client = Client()
        self._lost: LinkLost | None = None
        self._last_error: Exception | None = None
        self._watchers: set[Callable[[], None]] = set()
        self._dropped: set[Callable[[], None]] = set()
        self._answers: dict[str, asyncio.Future[Msg]] = {}
        self._inbox = ""
        self._asked = 0

    @classmethod
    async def open(cls, settings: LinkSettings, clock: Clock, random: Random) -> Link:
        """Connects to one of the servers, in random order, each tried within its timeout.

        Raises what the last of them gave: an OSError, a TimeoutError or a nats.errors.Error.
        """
        servers = random.sample(settings.servers, len(settings.servers))
        for server in servers[:-1]:
            with contextlib.suppress(OSError, TimeoutError, nats.errors.Error):
                return await cls._open_one(server, settings, clock)
        return await cls._open_one(servers[-1], settings, clock)

    @classmethod
    async def _open_one(cls, server: str, settings: LinkSettings, clock: Clock) -> Link:
        link = cls(clock)
        try:
            with TimeLimit(clock, clock.now() + settings.connect_timeout):
                await link._connect(server, settings)
        except BaseException:
            await link.close()
            raise
        return link

    async def _connect(self, server: str, settings: LinkSettings) -> None:
        try:
            await _honestly(
                self._client.connect(
                    server,
                    name=settings.name,
                    allow_reconnect=False,
                    # Any count below 1 makes nats-py try for ever.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=max(1, round(settings.connect_timeout)),
                    ping_interval=settings.ping,  # type: ignore[arg-type]  # it only sleeps so long
                    max_outstanding_pings=1,
                    user=settings.user or None,
                    password=settings.password.reveal() or None,
                    token=settings.token.reveal() or None,
                    tls=settings.tls,
                    tls_hostname=settings.tls_hostname or None,
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                )
            )
        except nats.errors.NoServersError:
            # It hides the refusal, which nats-py told the error callback alone.
            if isinstance(self._last_error, OSError):
                raise self._last_error from None
            raise
        except nats.errors.Error as error:
            # All that the protocol has for a refusal is this text.
            if "authorization violation" in str(error).lower():
                raise nats.errors.AuthorizationError from error
            raise
        self._inbox = self._client.new_inbox()
        await self.listen(f"{self._inbox}.*", self._on_answer)

    @property
    def lost(self) -> LinkLost | None:
        """Why the connection is no more, or None while it stands."""
        return self._lost

    @property
    def max_payload(self) -> int:
        """The most bytes of headers and data that the server takes in one message."""
        return self._client.max_payload

    def watch(self, callback: Callable[[], None]) -> None:
        """Calls `callback` when the connection is lost."""
        self._watchers.add(callback)

    def watch_drops(self, callback: Callable[[], None]) -> None:
        """Calls `callback` for each message that nats-py dropped since it was not read in time."""
        self._dropped.add(callback)

    def new_inbox(self) -> str:
        """Returns a subject that nobody else listens to."""
        return self._client.new_inbox()

    async def send(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        reply: str = "",
    ) -> None:
        """Puts a message on the wire, behind those before it. Raises LinkLost."""
        self._check()
        try:
            sending = self._client.publish(subject, data, reply, dict(headers) if headers else None)
            await _honestly(sending)
        except nats.errors.ConnectionClosedError as error:
            raise LinkLost from error

    async def submit(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> asyncio.Future[Msg]:
        """Puts a request on the wire, behind those before it, and returns its answer to come.

        Raises LinkLost, also through the future; an answer that is not waited for is cancelled.
        """
        self._check()
        answer = self._expect()
        try:
            reply = f"{self._inbox}.{self._asked}"
            await self.send(subject, data, headers=headers, reply=reply)
        except BaseException:
            answer.cancel()
            raise
        return answer

    async def ask(
        self,
        subject: str,
        data: bytes = b"",
        *,
        seconds: float,
        headers: Mapping[str, str] | None = None,
    ) -> Msg:
        """Sends a request and waits for its answer. Raises LinkLost, TimeoutError, or
        NoRespondersError where nobody listens."""
        answer = await self.submit(subject, data, headers)
        try:
            with TimeLimit(self._clock, self._clock.now() + seconds):
                return await answer
        finally:
            answer.cancel()

    async def listen(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Subscription:
        """Subscribes; messages come to `callback` one after the other. Raises LinkLost."""
        self._check()
        try:
            listening = self._client.subscribe(
                subject, queue, cb=callback, pending_bytes_limit=_DROPPED_AT
            )
            return await _honestly(listening)
        except nats.errors.ConnectionClosedError as error:
            raise LinkLost from error

    async def flush(self, seconds: float) -> None:
        """Waits until the server has read all that was sent. Raises LinkLost or TimeoutError.

        A message to ourselves does it: the PING of nats-py's own flush overtakes what waits to be
        written, and giving up on its PONG ends the reading of the connection.
        """
        answer = self._expect()
        try:
            with TimeLimit(self._clock, self._clock.now() + seconds):
                await self.send(f"{self._inbox}.{self._asked}", b"")
                await answer
        finally:
            answer.cancel()

    async def silence(self, subscription: Subscription, seconds: float) -> None:
        """Ends a subscription once everything that the server had sent has come to its callback.
        Raises LinkLost or TimeoutError."""
        self._check()
        await _honestly(self._client._send_unsubscribe(subscription._id))  # noqa: SLF001  # drain() has flush's flaw
        await self.flush(seconds)
        with TimeLimit(self._clock, self._clock.now() + seconds):
            await subscription._pending_queue.join()  # noqa: SLF001  # as above
            with contextlib.suppress(nats.errors.Error):
                await _honestly(subscription.unsubscribe())

    async def close(self) -> None:
        """Sends what waits, closes, and cuts the connection where that takes too long. A
        cancellation meanwhile is raised only when the connection is closed."""
        closing = asyncio.ensure_future(self._client.close())
        limit = self._clock.call_at(self._clock.now() + _CLOSING, closing.cancel)
        try:
            await outlast([closing])
        finally:
            limit.cancel()
            error = None if closing.cancelled() else closing.exception()
            if closing.cancelled() or error is not None:
                self._cut()
            self._end()
            if error is not None and not isinstance(error, (OSError, nats.errors.Error)):
                raise error

    def _cut(self) -> None:
        """Ends the connection without the good-bye that a dead peer never lets through."""
        transport = self._client._transport  # noqa: SLF001  # nats-py has no abort of its own
        writer = getattr(transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def _expect(self) -> asyncio.Future[Msg]:
        """Returns the answer to come of the request with the number `_asked`."""
        self._asked += 1
        token = str(self._asked)
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answers[token] = answer
        answer.add_done_callback(lambda _: self._answers.pop(token, None))
        return answer

    def _check(self) -> None:
        if self._lost is not None:
            raise LinkLost from self._lost.__cause__

    async def _on_error(self, error: Exception) -> None:
        self._last_error = error
        if isinstance(error, nats.errors.SlowConsumerError):
            for told in tuple(self._dropped):
                told()
        elif "permissions violation" in str(error).lower():
            # The server only denies the one subject, and whoever waits on it would wait for ever.
            self._end()

    async def _on_closed(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._lost is not None:
            return
        self._lost = LinkLost()
        self._lost.__cause__ = self._client.last_error or self._last_error
        for answer in tuple(self._answers.values()):
            if not answer.done():
                failed = LinkLost()
                failed.__cause__ = self._lost.__cause__
                answer.set_exception(failed)
        for watcher in tuple(self._watchers):
            watcher()

    async def _on_answer(self, message: Msg) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is None or answer.done():
            return
        if message.headers and message.headers.get("Status") == "503":
            answer.set_exception(nats.errors.NoRespondersError())
        else:
            answer.set_result(message)


async def _honestly(work: Awaitable[ResultT]) -> ResultT:
    """Raises the cancellation that nats-py swallows when it comes while it flushes or waits for an
    answer. Whoever was cancelled would go on, holding what nobody asks for any more."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    result = await work
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return result
