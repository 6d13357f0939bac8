"""One connection, without a network under it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import cast

import pytest
from httptools import HttpResponseParser

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.testing.transport_hostile import HostileClauses, mutate
from interlaced.testing.transport_origin import CLOSE
from interlaced.transport import http_wire
from interlaced.transport.http import HttpResponse
from interlaced.transport.http_chunks import ChunkGuard
from interlaced.transport.http_wire import Answered, Wire

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
KEPT = GOOD.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=5\r\nConnection: Keep-Alive\r\n\r\n")


class Pipe(asyncio.Transport):
    """A transport that writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.is_aborted = True


def new_wire(lost: Callable[[Wire], None]) -> Wire:
    return Wire(asyncio.get_running_loop(), 1000, lost, lambda _: None)


async def wired() -> tuple[Wire, Pipe, list[Wire]]:
    lost: list[Wire] = []
    wire, pipe = new_wire(lost.append), Pipe()
    wire.connection_made(pipe)
    return wire, pipe, lost


def ask(
    wire: Wire, effort: Effort | None = None, *, is_head: bool = False
) -> asyncio.Future[Answered]:
    return wire.ask(b"GET", effort or Effort(0.0), is_head=is_head, is_whole=True)


def failure_of(waiter: asyncio.Future[Answered]) -> Failure:
    answer = waiter.result()
    assert isinstance(answer, Failure)
    return answer


async def test_a_request_out_and_its_answer_in() -> None:
    wire, pipe, _ = await wired()
    effort = Effort(0.0)
    for _ in range(3):
        waiter = ask(wire, effort)
        assert effort.reached is Reached.MAYBE
        wire.data_received(GOOD)
        assert waiter.result() == HttpResponse(200, {"content-length": "2"}, b"{}")
        assert effort.reached is Reached.REPLIED
        assert wire.is_open
    assert pipe.written == b"GETGETGET"


async def test_a_status_that_settles_is_a_reply_before_the_body() -> None:
    wire, _, _ = await wired()
    effort = Effort(0.0)
    ask(wire, effort)
    wire.data_received(GOOD.replace(b"200 OK", b"404 No")[:-1])
    assert effort.reached is Reached.REPLIED


async def test_bytes_that_nobody_asked_for_end_the_connection() -> None:
    wire, pipe, _ = await wired()
    wire.data_received(GOOD)
    assert (wire.is_open, pipe.is_aborted) == (False, True)


async def test_bytes_behind_an_answer_end_the_connection_and_not_the_answer() -> None:
    wire, _, _ = await wired()
    waiter = ask(wire)
    wire.data_received(GOOD + GOOD)
    assert isinstance(waiter.result(), HttpResponse)
    assert not wire.is_open


async def test_two_readers_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """T9: the guard says that the body goes on where the parser says that it is over."""
    monkeypatch.setattr(ChunkGuard, "feed", lambda *_: -1)
    wire, _, _ = await wired()
    waiter = ask(wire)
    wire.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert failure_of(waiter).reason is Reason.UPSTREAM_MALFORMED
    assert not wire.is_open


@pytest.mark.parametrize(
    ("before", "error", "reason"),
    [
        (b"", None, Reason.UPSTREAM_UNAVAILABLE),
        (b"", ConnectionResetError(), Reason.UPSTREAM_UNAVAILABLE),
        (b"HTTP/1.1 200", None, Reason.UPSTREAM_UNAVAILABLE),
        (GOOD[:-1], None, Reason.UPSTREAM_TRUNCATED),
        (GOOD[:-1], ConnectionResetError(), Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", ConnectionResetError(), Reason.UPSTREAM_TRUNCATED),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", None, Reason.UPSTREAM_TRUNCATED),
    ],
)
async def test_a_lost_connection_is_a_failure_that_says_what_was_reached(
    before: bytes, error: Exception | None, reason: Reason
) -> None:
    wire, _, lost = await wired()
    waiter = ask(wire)
    if before:
        wire.data_received(before)
    wire.connection_lost(error)
    failure = failure_of(waiter)
    assert (failure.reason, failure.reached) == (reason, Reached.MAYBE)
    assert failure.__cause__ is error
    assert lost == [wire]


async def test_a_body_until_the_end_is_whole_at_the_end() -> None:
    wire, _, _ = await wired()
    waiter = ask(wire)
    wire.data_received(b"HTTP/1.1 200 OK\r\n\r\nab")
    wire.data_received(b"c")
    wire.eof_received()
    assert cast("HttpResponse", waiter.result()).body == b"abc"
    wire.connection_lost(None)


async def test_a_coded_body_that_is_cut_by_the_end_is_truncated() -> None:
    wire, _, _ = await wired()
    waiter = ask(wire)
    wire.data_received(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b")
    wire.eof_received()
    assert failure_of(waiter).reason is Reason.UPSTREAM_TRUNCATED


async def test_a_long_body_waits_while_enough_is_under_way() -> None:
    wire, pipe, _ = await wired()
    waiter = wire.ask(b"POST", Effort(0.0), is_head=False, is_whole=False)
    assert wire.more(memoryview(b"1")) is None
    wire.pause_writing()
    blocked = wire.more(memoryview(b"2"))
    assert blocked is not None
    assert not blocked.done()
    wire.resume_writing()
    assert blocked.done()
    wire.pause_writing()
    blocked = wire.more(memoryview(b"3"))
    wire.data_received(GOOD)  # an answer before the end: nobody needs the rest
    assert blocked is not None
    assert blocked.done()
    assert waiter.done()
    assert wire.more(memoryview(b"4")) is None
    assert pipe.written == b"POST123"
    assert not wire.is_open


async def test_endless_interim_answers_are_refused() -> None:
    wire, _, _ = await wired()
    waiter = ask(wire)
    wire.data_received(b"HTTP/1.1 103 Early\r\n\r\n" * 65)
    assert failure_of(waiter).reason is Reason.UPSTREAM_MALFORMED


async def test_an_answer_to_nobody_is_dropped() -> None:
    wire, _, _ = await wired()
    waiter = ask(wire)
    waiter.cancel()
    wire.data_received(GOOD)
    assert waiter.cancelled()


async def outcome(pieces: list[bytes], *, is_head: bool) -> tuple[object, bool]:
    """Returns what becomes of a request that is answered with these pieces and then the end, and
    whether the connection was kept until there."""
    wire, _, _ = await wired()
    waiter = wire.ask(b"GET", Effort(0.0), is_head=is_head, is_whole=True)
    for piece in pieces:
        if wire.is_open and piece:
            wire.data_received(piece)
    is_open = wire.is_open
    wire.eof_received()
    wire.connection_lost(None)
    answer = waiter.result()
    return answer.reason if isinstance(answer, Failure) else answer, is_open


async def test_a_broken_answer_is_the_same_wherever_it_is_cut() -> None:
    """T9: what is refused and what is taken does not depend on how the bytes came, nor does
    whether the connection is kept."""
    chance = Random(33)
    for number in range(2000):
        base, _ = chance.choice(HostileClauses.whole_answers)
        text = mutate(base.removesuffix(CLOSE), chance) + chance.choice((b"", GOOD))
        is_head = chance.random() < 0.1
        whole = await outcome([text], is_head=is_head)
        cuts = sorted(chance.choices(range(len(text) + 1), k=chance.randint(1, 6)))
        if number % 10 == 0:
            cuts = list(range(1, len(text)))
        pieces = [text[start:stop] for start, stop in pairwise((0, *cuts, len(text)))]
        assert await outcome(pieces, is_head=is_head) == whole, pieces


async def series(texts: Sequence[tuple[list[bytes], bool]]) -> list[object]:
    """Returns what becomes of requests on one connection that are answered with these pieces, and
    whether it was kept, until it is not."""
    wire, _, _ = await wired()
    seen: list[object] = []
    for pieces, is_head in texts:
        effort = Effort(0.0)
        waiter = ask(wire, effort, is_head=is_head)
        for piece in pieces:
            if wire.is_open:
                wire.data_received(piece)
        if not waiter.done():
            wire.connection_lost(None)
        answer = waiter.result()
        seen += [answer.reason if isinstance(answer, Failure) else answer, effort, wire.is_open]
        if not wire.is_open:
            break
    return seen


def never_plain(_raw: bytes) -> None:
    """Lets both readers read every answer."""


async def test_llhttp_would_take_what_is_not_shown_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """T9: answers one after another, as they are and broken, alone and before something else, whole
    and in pieces, for GET and for HEAD: with llhttp reading along, each ends the same."""
    chance, taken = Random(34), 0
    whole = [text.removesuffix(CLOSE) for text, _ in HostileClauses.whole_answers]
    whole += [GOOD, GOOD.replace(b"200 OK", b"304 Not Modified")[:-2], KEPT]
    for _ in range(3000):
        texts = []
        for _ in range(chance.randint(1, 5)):
            text = chance.choice(whole)
            text = mutate(text, chance) if chance.random() < 0.3 else text
            text += chance.choice((GOOD, b"x")) if chance.random() < 0.1 else b""
            cut = chance.randrange(len(text) + 1) if chance.random() < 0.3 else len(text)
            pieces = [piece for piece in (text[:cut], text[cut:]) if piece]
            texts.append((pieces, chance.random() < 0.1))
        seen = await series(texts)
        taken += sum(isinstance(each, HttpResponse) for each in seen)
        with monkeypatch.context() as patched:
            patched.setattr(http_wire, "read_plain", never_plain)
            assert await series(texts) == seen, texts
    assert taken > 1000


async def test_llhttp_sees_every_byte_of_an_answer_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it stands between two answers whether or not it has seen the last one."""
    shown: list[bytes] = []

    class Spy:
        def __init__(self, protocol: object) -> None:
            self._parser = HttpResponseParser(protocol)

        def feed_data(self, data: bytes) -> None:
            shown.append(data)
            self._parser.feed_data(data)

    monkeypatch.setattr(http_wire, "HttpResponseParser", Spy)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    odd = GOOD.replace(b"\r\n\r\n", b"\r\nServer: \xc3\xa4\r\n\r\n")
    for cut in range(1, len(odd)):
        shown.clear()
        wire, _, _ = await wired()
        rows = ([GOOD], [odd], [GOOD[:cut], GOOD[cut:]], [odd[:cut], odd[cut:]], [chunked], [KEPT])
        for pieces in (*rows, *rows):
            waiter = ask(wire)
            for piece in pieces:
                if piece:
                    wire.data_received(piece)
            assert isinstance(waiter.result(), HttpResponse)
        assert b"".join(shown) == 2 * (odd + odd + chunked)
        assert wire.is_open


async def test_an_answer_to_nobody_ends_the_connection() -> None:
    wire, pipe, _ = await wired()
    ask(wire)
    wire.data_received(GOOD)
    wire.data_received(GOOD)
    assert (wire.is_open, pipe.is_aborted) == (False, True)


async def test_an_answer_to_a_request_that_is_not_whole_ends_the_connection() -> None:
    wire, _, _ = await wired()
    waiter = wire.ask(b"POST", Effort(0.0), is_head=False, is_whole=False)
    wire.data_received(GOOD)
    assert isinstance(waiter.result(), HttpResponse)
    assert not wire.is_open


async def test_a_bug_in_who_hears_the_end_does_not_keep_the_connection_in_the_books() -> None:
    wire, _, lost = await wired()

    def breaks(_answer: Answered) -> None:
        raise ValueError("a bug")

    wire.begin(b"GET", Effort(0.0), breaks)
    with pytest.raises(ValueError, match="a bug"):
        wire.connection_lost(None)
    assert (lost, wire.is_open) == ([wire], False)


async def test_the_next_request_may_begin_while_the_last_answer_is_handed_over() -> None:
    """A connection is free before anybody hears of its answer; neither mixes with the other."""
    wire, pipe, _ = await wired()
    answers: list[Answered] = []

    def again(answer: Answered) -> None:
        answers.append(answer)
        if len(answers) < 4:
            wire.begin(b"GET", Effort(0.0), again)

    wire.begin(b"GET", Effort(0.0), again)
    for text in (GOOD, GOOD, GOOD[:-1], GOOD[-1:], GOOD):
        wire.data_received(text)
    assert answers == [HttpResponse(200, {"content-length": "2"}, b"{}")] * 4
    assert (pipe.written, wire.is_open) == (b"GET" * 4, True)
