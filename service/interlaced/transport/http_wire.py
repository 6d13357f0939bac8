"""One connection that speaks HTTP/1.1: a request out, its answer in, nothing else."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpResponseParser

from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Effort
from interlaced.transport.decoding import Body, body_for, too_large
from interlaced.transport.http import HttpResponse
from interlaced.transport.http_chunks import ChunkGuard
from interlaced.transport.http_head import (
    CHUNKED,
    UNTIL_CLOSE,
    Head,
    check_begun,
    idle_limit,
    read_head,
    read_plain,
)
from interlaced.transport.wire_errors import is_settled, lost_failure, malformed, truncated

__all__ = ["Answered", "Receive", "Sink", "Wire"]

Answered = HttpResponse | Failure
"""What becomes of a request: a result, and no exception that nobody might collect."""
Receive = Callable[[Answered], None]
"""Is called with what became of a request."""

_END: Final = b"\r\n\r\n"
"""What is behind a head."""
_MOST_INTERIM: Final = 64
_MAYBE: Final = Reached.MAYBE
_REPLIED: Final = Reached.REPLIED


class Sink(Protocol):
    """Takes an answer as it comes. Whatever becomes of it, `end` is called once, and last."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Is told the head, unless the whole answer comes at once."""
        ...

    def feed(self, piece: bytes) -> None:
        """Is given the next bytes of the decoded body."""
        ...

    def end(self, answer: Answered) -> None:
        """Is given the answer with the rest of its body, or what went wrong."""
        ...


class _End:
    """What llhttp calls: it says where the body ends. It has no `on_body`, so that nothing of the
    body is copied for it."""

    __slots__ = ("is_there",)

    def __init__(self) -> None:
        self.is_there = False

    def on_message_complete(self) -> None:
        """Is told that the body is at its end."""
        self.is_there = True


class Wire(asyncio.Protocol):
    """A connection with at most one request on it.

    The strict reader of this house reads every answer. llhttp reads along wherever two readers
    could differ, which is wherever the head is not plain (see Head): what only one of them takes is
    refused, and so is an answer that ends elsewhere for the other. It sees every byte of an answer
    or none, so that it stands between two answers either way. After a refusal, after bytes that
    nobody asked for and after an answer that ends the connection, `is_open` is False for good.
    `idle_limit` is for how many seconds it may be idle by the server's word; `stale_at`, which is
    the pool's to set, is the time from which it has been that for too long.
    """

    __slots__ = (
        "_blocked",
        "_body",
        "_effort",
        "_end_of_other",
        "_guard",
        "_head",
        "_held",
        "_interim",
        "_is_bodiless",
        "_is_full",
        "_left",
        "_limit",
        "_loop",
        "_on_free",
        "_on_lost",
        "_parser",
        "_pieces",
        "_receive",
        "_sink",
        "_transport",
        "error",
        "idle_limit",
        "is_open",
        "is_sent",
        "stale_at",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        on_lost: Callable[[Wire], None],
        on_free: Callable[[Wire], None],
    ) -> None:
        """`limit` bounds a decoded body, in bytes; `on_lost` is called once, at the end, `on_free`
        whenever an answer is there after which it may be asked again, just before the answer is
        handed over."""
        self._loop = loop
        self._limit = limit
        self._on_lost = on_lost
        self._on_free = on_free
        self._pieces: list[bytes] = []
        self._end_of_other = _End()
        self._parser = HttpResponseParser(self._end_of_other)
        self._transport: asyncio.Transport | None = None
        self._receive: Receive | None = None
        self._sink: Sink | None = None
        self._blocked: asyncio.Future[None] | None = None
        self._effort: Effort | None = None
        self._head: Head | None = None
        self._body: Body | None = None
        self._guard: ChunkGuard | None = None
        self._held = bytearray()
        self._interim = 0
        self._left = 0
        self._is_bodiless = False
        self._is_full = False
        self.error: Exception | None = None
        self.is_open = False
        self.is_sent = False
        self.idle_limit = math.inf
        self.stale_at = 0.0

    # What the pool and the transport call.

    def ask(
        self, data: bytes, effort: Effort, *, is_head: bool, is_whole: bool
    ) -> asyncio.Future[Answered]:
        """Writes a request, or the begin of one, and returns what will hold its answer.

        `is_whole` is False if `more` of it follows. The future never raises but for a cancel.
        """
        waiter = self._loop.create_future()

        def receive(answer: Answered) -> None:
            if not waiter.done():
                waiter.set_result(answer)

        self.begin(data, effort, receive)
        self._is_bodiless = is_head
        self.is_sent = is_whole
        return waiter

    def begin(self, data: bytes, effort: Effort, receive: Receive) -> None:
        """Writes a whole request that is none for a head alone; `receive` is called with its
        answer, once and later."""
        self._is_bodiless = False
        self.is_sent = True
        self._receive = receive
        self._effort = effort
        effort.reached = _MAYBE
        assert self._transport is not None  # noqa: S101  # it is open
        self._transport.write(data)

    def stream(
        self, data: bytes, effort: Effort, sink: Sink, *, is_head: bool, is_whole: bool
    ) -> None:
        """As `ask`, with an answer that is handed over as it comes."""
        self.begin(data, effort, sink.end)
        self._is_bodiless = is_head
        self.is_sent = is_whole
        self._sink = sink

    def hold(self) -> None:
        """Reads no more until `go_on`."""
        if self.is_open and self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Reads again."""
        if self.is_open and self._transport is not None:
            self._transport.resume_reading()

    def more(self, piece: memoryview) -> asyncio.Future[None] | None:
        """Writes the next piece of a request. Returns what to wait for before the next one, or
        None. Does nothing once the answer is there."""
        if self._receive is not None and self._transport is not None:
            self._transport.write(piece)
            if self._is_full:
                self._blocked = self._loop.create_future()
                return self._blocked
        return None

    def drop(self) -> None:
        """Closes the connection at once, with whatever is on it."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    @property
    def tls(self) -> object:
        """The `ssl.SSLObject` of the connection, or None."""
        return self._transport and self._transport.get_extra_info("ssl_object")

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is told that there is a connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self.is_open = True

    def connection_lost(self, error: Exception | None) -> None:
        """Is told that there is none any more."""
        self.error = error
        self.is_open = False
        self._transport = None
        self._on_lost(self)  # first: whoever closes the transport must not wait for it in vain
        self._end(error)

    def eof_received(self) -> None:
        """Is told that the far side has ended. In good order, and only so, this is the end of a
        body that has no length."""
        head = self._head
        if head is not None and head.length == UNTIL_CLOSE and _is_said(self.tls):
            try:
                self._finish(head)
            except Failure as failure:
                self._fail(failure.but(reached=Reached.MAYBE))
        else:
            self._end(None)
        self.drop()

    def pause_writing(self) -> None:
        """Is told that enough is under way."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Is told that more may be written."""
        self._is_full = False
        self._release()

    def data_received(self, data: bytes) -> None:
        """Is given what came."""
        effort = self._effort
        if effort is None:
            self.drop()  # nobody asked, so it would be the next caller's answer
            return
        try:
            if self._head is None:
                self._read_head(data, effort)
            else:
                self._read_body(data, 0, self._head)
        except Failure as failure:
            self._fail(failure.but(reached=effort.reached))
        except HttpParserError as error:
            nonsense = malformed(effort.reached)
            nonsense.__cause__ = error
            self._fail(nonsense)

    def _read_head(self, data: bytes, effort: Effort) -> None:
        held = self._held
        if held:
            seen = len(held)
            held += data
            if held.find(_END, max(0, seen - 3)) < 0:
                check_begun(held, seen)
                return
            data = bytes(held)
            held.clear()
        raw, end, rest = data.partition(_END)
        if not end:
            check_begun(data, 0)
            held += data
            return
        start = len(raw) + len(end)
        plain = None if self._is_bodiless else read_plain(raw)
        if plain is None:
            head = read_head(raw, is_bodiless=self._is_bodiless)
        else:
            status, headers, length = plain
            if len(rest) == length <= self._limit and self.is_sent:
                # All of it, and no more: nothing is left to read.
                effort.reached = _REPLIED
                self._interim = 0
                if "keep-alive" in headers:
                    self.idle_limit = idle_limit(headers["keep-alive"])
                receive, self._receive, self._effort = self._receive, None, None
                self._sink = None
                self._on_free(self)
                if receive is not None:
                    receive(HttpResponse(status, headers, rest))
                return
            head = Head(status, headers, length, is_kept=True, is_plain=True)
            data, start = rest, 0  # nobody is shown the head again, or copies the body once more
        if head.status < 200:
            self._skip_interim(head, rest, effort)
            return
        self._head = head
        if is_settled(head.status):
            effort.reached = _REPLIED
        self._begin_body(head)
        self._read_body(data, start, head)

    def _skip_interim(self, head: Head, rest: bytes, effort: Effort) -> None:
        """Passes over 100, 102, 103 and their like; 101 would be another protocol."""
        self._interim += 1
        if head.status == 101 or self._interim > _MOST_INTERIM:
            raise malformed()
        if rest:
            self._read_head(rest, effort)

    def _begin_body(self, head: Head) -> None:
        coding, length = head.coding, head.length
        self._left = length
        if coding or length < 0:
            self._body = body_for(coding, self._limit)
        elif length > self._limit:
            raise too_large(self._limit)
        if length == CHUNKED:
            self._guard = ChunkGuard(self._pieces)
        if self._sink is not None:
            self._sink.begin(head.status, head.headers)

    def _read_body(self, data: bytes, start: int, head: Head) -> None:
        """Takes a piece of the answer, whose body begins at `start` in it."""
        pieces = self._pieces
        end, stop = -1, len(data)
        if self._guard is not None:
            end = self._guard.feed(data, start)
        else:
            if head.length != UNTIL_CLOSE:
                here = stop - start
                if here >= self._left:
                    end = stop = start + self._left
                self._left -= here
            if stop > start:
                pieces.append(data[start:stop])
        if end >= 0 and end != len(data):
            head = head._replace(is_kept=False)  # who sends more is not trusted again
            data = data[:end]
        # llhttp cannot be told that an answer to HEAD has no body: it is not shown those.
        if not (head.is_plain or self._is_bodiless):
            self._parser.feed_data(data)
            if self._end_of_other.is_there is not (end >= 0):
                raise malformed()
        if self._body is not None and pieces:
            self._body.feed(self._take())
        if end >= 0:
            self._finish(head)
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Gives what is there of the body to whoever wants it before its end."""
        if self._sink is not None:
            self._sink.feed(self._take() if self._body is None else self._body.take())

    def _take(self) -> bytes:
        """Returns what is there of the body, and forgets it."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return data

    def _finish(self, head: Head) -> None:
        effort, body = self._effort, self._body
        assert effort is not None  # noqa: S101  # it is under way
        # Without a coding, a body of a known and allowed length needs no further look.
        data = self._take() if body is None else body.finish()
        answer = HttpResponse(head.status, head.headers, data)
        effort.reached = _REPLIED
        if "keep-alive" in head.headers:
            self.idle_limit = idle_limit(head.headers["keep-alive"])
        if not (head.is_kept and self.is_sent):
            self.drop()
        self._settle(answer)

    def _end(self, error: Exception | None) -> None:
        """Settles what is under way when the connection is lost."""
        effort, head = self._effort, self._head
        if self._receive is None or effort is None:
            return
        failure = lost_failure(error, effort.reached) if head is None else truncated(effort.reached)
        failure.__cause__ = error
        self._settle(failure)

    def _fail(self, failure: Failure) -> None:
        self.drop()
        self._settle(failure)

    def _settle(self, answer: Answered) -> None:
        """Hands the answer over and makes ready for the next request."""
        receive, self._receive = self._receive, None
        self._effort = self._head = self._body = self._guard = self._sink = None
        self._interim = 0
        self._end_of_other.is_there = False
        self._release()
        if receive is not None:
            if self.is_open and isinstance(answer, HttpResponse):
                self._on_free(self)
            receive(answer)

    def _release(self) -> None:
        """Lets the writer of a long body go on, or see that it has been for nothing."""
        blocked, self._blocked = self._blocked, None
        if blocked is not None and not blocked.done():
            blocked.set_result(None)


def _is_said(tls: object) -> bool:
    """Whether the far side has said that it ends: without TLS by ending; in TLS by its close
    notify, which whoever cuts the connection cannot write."""
    if not isinstance(tls, ssl.SSLObject):
        return True
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
