"""The clauses of the transport suite about hostile bytes: sloppy, odd, cut, mutated, smuggled."""

# ruff: noqa: S101, S311  # a suite asserts; its chance is seeded and guards no secret

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from random import Random
from typing import ClassVar

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.testing.transport_origin import CLOSE, LATER, TransportRig, answer
from interlaced.transport.http import HttpRequest, HttpResponse, HttpTransport

__all__ = ["HostileClauses", "mutate"]

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_POISON = answer(b"poison")
_HOSTILE = b"\r\n\x00 \t:;,\x7f\xff\x0b\x850129aAfF-+_="


def mutate(text: bytes, chance: Random) -> bytes:
    """Breaks a text in one to three places: bytes changed, added, lost, doubled, cut off."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        far = min(len(text), at + chance.randint(1, 8))
        odd = bytes(chance.choices(_HOSTILE, k=chance.randint(1, 3)))
        text = chance.choice(
            (
                text[:at] + odd + text[at + len(odd) :],
                text[:at] + odd + text[at:],
                text[:at] + text[far:],
                text[:far] + text[at:far] + text[far:],
                text[:at] + b"\r\n" + text[at:],
                text[: max(1, at)],
            )
        )
    return text


class HostileClauses(TransportRig):
    """What a transport does with bytes that nobody in good order would send."""

    forgives: ClassVar[frozenset[str]] = frozenset()
    """Names of `sloppy_answers` that this transport's parser is known to read, in the one way
    there is, instead of refusing them."""

    tries: ClassVar[int] = 2000
    """How many mutated answers are tried."""

    sloppy_answers: ClassVar[Mapping[str, bytes]] = {
        "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "one bare line feed": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\n{}",
        "folded header": _OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        "chunk extension": _CHUNKED + b"2;a=b\r\n{}\r\n0\r\n\r\n",
        "blank lines": b"\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\n{}",
        "blank size": _CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
        "equal lengths": _OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "chunks in 1.0": _CHUNKED.replace(b"/1.1", b"/1.0") + b"2\r\n{}\r\n0\r\n\r\n",
        "framing trailer": _CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n",
        "long size": _CHUNKED + b"0000000000000000000000000002\r\n{}\r\n0\r\n\r\n",
    }

    whole_answers: ClassVar[Sequence[tuple[bytes, bytes]]] = (
        (answer(b"hello, world", "X-A:\tb", "Content-Type: text/plain"), b"hello, world"),
        (_CHUNKED + b"5\r\nhello\r\n07\r\n, world\r\n0\r\nX-T: 1\r\n\r\n", b"hello, world"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"hello"), b"hello"),
        (answer(b"", status="204 No Content").replace(b"Content-Length: 0\r\n", b""), b""),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nhello" + CLOSE, b"hello"),
    )
    """Answers in good order, and their bodies."""

    async def test_sloppy_answers_are_refused_or_read_in_the_one_way(self) -> None:
        """T9: and never again that connection, or never another body."""
        for name, text in self.sloppy_answers.items():
            async with self.wire(text) as (origin, transport):
                if name in self.forgives:
                    assert (await self.ask(transport)).body == b"{}", name
                else:
                    failure = await self.refused(transport)
                    assert failure.reason is Reason.UPSTREAM_MALFORMED, name
                    assert failure.reached is Reached.MAYBE, name
                assert (await self.ask(transport)).body == b"{}", name
                assert name in self.forgives or origin.connections == 2, name

    async def test_interim_answers_are_passed_over(self) -> None:
        """100, 103 and one that nobody knows come before the answer, and are none."""
        early = b"".join(
            b"HTTP/1.1 %d Early\r\nLink: </a>\r\n\r\n" % status for status in (100, 103, 104)
        )
        async with self.wire(early + answer(b"late")) as (origin, transport):
            response = await self.ask(transport)
            assert (response.status, response.body) == (200, b"late")
            assert (await self.ask(transport)).body == b"{}"
            assert origin.connections == 1

    async def test_answers_without_a_body_have_none(self) -> None:
        """HEAD, 204 and 304 name a length that does not come."""
        head = _OK + b"Content-Length: 5\r\n\r\n"
        empty = head.replace(b"200 OK", b"204 No Content")
        same = head.replace(b"200 OK", b"304 Not Modified")
        chunked = _CHUNKED
        for method, text in (("HEAD", head), ("HEAD", chunked), ("GET", empty), ("GET", same)):
            async with self.wire(text) as (origin, transport):
                assert (await self.ask(transport, method)).body == b""
                assert (await self.ask(transport)).body == b"{}"
                assert origin.connections == 1

    async def test_a_connection_that_is_to_close_is_not_used_again(self) -> None:
        """By its header, in whatever letters, and by HTTP/1.0, even where the server forgets it."""
        texts = (
            answer(b"{}", "Connection: close"),
            answer(b"{}", "Connection: foo, Close"),
            answer(b"{}", "Connection: keep-alive", "Connection: close"),
            answer(b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"),
        )
        for text in texts:
            async with self.wire(text) as (origin, transport):
                assert (await self.ask(transport)).body == b"{}"
                assert (await self.ask(transport)).body == b"{}"
                assert origin.connections == 2, text

    async def test_a_body_may_end_with_its_connection(self) -> None:
        """Neither a length nor chunks: the end of the connection is the end of the body."""
        async with self.wire(_OK + b"\r\nhello" + LATER + b", world" + CLOSE) as (_, transport):
            effort = Effort(0.0)
            assert (await self.ask(transport, effort=effort)).body == b"hello, world"
            assert effort.reached is Reached.REPLIED
            assert (await self.ask(transport)).body == b"{}"

    async def test_an_answer_is_the_same_wherever_it_is_cut(self) -> None:
        """In two at every place, and into single bytes."""
        for text, body in self.whole_answers:
            order = CLOSE if text.endswith(CLOSE) else b""
            bare = text.removesuffix(CLOSE)
            cuts = [[bare[:at], bare[at:]] for at in range(1, len(bare))]
            cuts.append([bare[at : at + 1] for at in range(len(bare))])
            async with self.wire() as (origin, transport):
                origin.choose = lambda _, cuts=cuts, order=order: (*cuts.pop(), order)
                before = None
                while cuts:
                    response = await self.ask(transport)
                    assert response.body == body, text
                    before = before or response.headers
                    assert response.headers == before, text
                assert order or origin.connections == 1

    async def test_headers_are_few_and_trailers_too(self) -> None:
        """F14: a thousand of them, before the body and behind it, whether or not they end."""
        lines = b"".join(b"X-%d: a\r\n" % number for number in range(1000))
        texts = (
            _OK + lines + b"Content-Length: 2\r\n\r\n{}",
            _CHUNKED + b"2\r\n{}\r\n0\r\n" + lines + b"\r\n",
            _CHUNKED + b"2\r\n{}\r\n0\r\nX: " + b"a" * 100_000,
        )
        for text in texts:
            async with self.wire(text) as (origin, transport):
                failure = await self.refused(transport)
                assert failure.reason is Reason.TOO_LARGE
                await self.ask(transport)
                assert origin.connections == 2

    async def test_an_answer_that_begins_like_one_before_is_no_copy_of_it(self) -> None:
        """T9: the same head again, before another body, none, too much of it, and too little."""
        texts = [answer(body) for body in (b"aaaaa", b"bbbbb", b"ccccc")]
        head = texts[0].removesuffix(b"aaaaa")
        again = [*texts, head, texts[0] + _POISON, texts[1], texts[2][:-1] + CLOSE, texts[0]]
        async with self.wire(*again) as (origin, transport):
            for body in (b"aaaaa", b"bbbbb", b"ccccc"):
                assert (await self.ask(transport)).body == body
            assert (await self.ask(transport, "HEAD")).body == b""
            more = await _outcome(self.ask(transport))
            assert isinstance(more, Failure) or more.body == b"aaaaa"
            assert (await self.ask(transport)).body == b"bbbbb"
            assert (await self.refused(transport)).reason is Reason.UPSTREAM_TRUNCATED
            assert (await self.ask(transport)).body == b"aaaaa"
            assert origin.connections == 3

    async def test_a_request_is_one_request_whatever_it_is_made_of(self) -> None:
        """T8: what would end a line in a target, or in the name or value of a header, does not
        leave; what arrives is the oracle."""
        evil = "a\r\nX-Evil: 1"
        hostile = (evil, "a\nb", "a\rb", "a\x00b", "a\u010ab", f"{evil}\r\n\r\nGET /evil HTTP/1.1")
        async with self.wire() as (origin, transport):
            prepared = transport.prepare("GET", ())
            for text in hostile:
                for target, headers in (
                    (f"/{text}", ()),
                    ("/", [("X-A", text)]),
                    ("/", [(text, "a")]),
                ):
                    request = HttpRequest(prepared, target, headers, None, Effort(0.0))
                    failure = await _outcome(transport.send(request))
                    assert isinstance(failure, Failure), (target, headers)
                    assert failure.reason is Reason.INVALID_REQUEST, (target, headers)
                    assert failure.reached is Reached.NOT_SENT
            assert (await self.ask(transport)).body == b"{}"
            assert len(origin.heads) == 1

    async def test_a_mutated_answer_is_nobody_elses(self) -> None:
        """T9, P44: thousands of broken answers, some with another answer behind them. Each ends in
        a Failure or in bytes that were sent, none hangs, and every other caller, on whatever
        connection, gets its own answer."""
        chance = Random(9)
        texts: dict[bytes, bytes] = {}
        lost: list[Failure] = []
        async with self.wire() as (origin, transport):
            origin.choose = lambda head: _pieces(head, texts)
            lanes = 20
            callers = [
                self._caller(transport, lane, Random(chance.random()), texts, lost)
                for lane in range(lanes)
            ]
            for wrong in await asyncio.gather(*callers, return_exceptions=True):
                if wrong is not None:
                    raise wrong
            assert origin.connections > lanes
            assert len(lost) < self.tries / 4

    async def _caller(  # a caller and what all of them share
        self,
        transport: HttpTransport,
        lane: int,
        chance: Random,
        texts: dict[bytes, bytes],
        lost: list[Failure],
    ) -> None:
        """One caller: a broken answer, then its own, and so on."""
        for number in range(self.tries // 20):
            key = f"{lane}-{number}"
            base, _ = chance.choice(self.whole_answers)
            text = mutate(base.removesuffix(CLOSE), chance)
            is_closed = chance.random() < 0.5
            texts[key.encode()] = sent = text + (CLOSE if is_closed else _POISON)
            try:
                async with asyncio.timeout(None if is_closed else 0.1):
                    response = await self.ask(transport, headers=[("X-Odd", key)])
                    assert _is_sent(response.body, sent), (sent, response.body)
            except (Failure, TimeoutError):
                pass  # refused, or waiting for the rest that its length promised
            own = await _outcome(self.ask(transport, headers=[("X-Own", key)]))
            if isinstance(own, Failure):  # its connection was closed meanwhile: nobody can know
                assert own.reason is Reason.UPSTREAM_UNAVAILABLE, (sent, own)
                lost.append(own)
            else:
                assert own.body == key.encode(), (sent, own.body)


async def _outcome(sending: Awaitable[HttpResponse]) -> HttpResponse | Failure:
    """Returns what becomes of a request."""
    try:
        return await sending
    except Failure as failure:
        return failure


def _pieces(head: bytes, texts: Mapping[bytes, bytes]) -> Sequence[bytes]:
    """Returns the broken answer that a request asks for, or its own in two pieces."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b": ")
        if name == b"X-Odd":
            text = texts[value]
            return (text.removesuffix(CLOSE), CLOSE) if text.endswith(CLOSE) else (text,)
        if name == b"X-Own":
            own = answer(value)
            return own[:-1], own[-1:]
    return (answer(b"{}"),)


def _is_sent(body: bytes, sent: bytes) -> bool:
    """Whether the body is made of bytes that were sent, in their order."""
    rest = iter(sent)
    return all(byte in rest for byte in body)
