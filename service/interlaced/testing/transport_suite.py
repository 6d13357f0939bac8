"""What every HttpTransport must do, clause by clause; inherit it and give it a factory.

The suite talks to a raw loopback server of its own, so that no library stands between a clause and
the bytes. Fixtures are plain methods to override: `make` builds a transport for an origin.
"""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Sequence
from typing import ClassVar

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.testing.transport_hostile import HostileClauses
from interlaced.testing.transport_origin import CLOSE, HOLD, LATER, RESET, Origin, answer
from interlaced.testing.transport_streams import StreamClauses
from interlaced.transport.http import HttpSettings

__all__ = ["Origin", "TransportSuite", "answer"]


class TransportSuite(HostileClauses, StreamClauses):
    """The clauses. `odd_answers` may be shortened by an implementation whose parser is known to
    let some of them pass; what it lets pass is then named in its own test."""

    odd_answers: ClassVar[Sequence[bytes]] = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    )

    async def test_it_sends_what_was_asked_and_returns_the_whole_answer(self) -> None:
        """Target, headers and body arrive as given; names of headers come back in lower case."""
        async with self.wire(answer(b'{"a": 1}', "X-Two: b", "X-Two: c")) as (origin, transport):
            effort = Effort(0.0)
            response = await self.ask(
                transport, "POST", body=b"hello", effort=effort, headers=[("X-Own", "2")]
            )
            assert (response.status, response.body) == (200, b'{"a": 1}')
            assert response.headers["x-two"] == "b, c"
            assert origin.heads[0].startswith(b"POST /a%2Fb?c=%20d HTTP/1.1\r\n")
            assert b"\r\nx-fixed: 1\r\n" in origin.heads[0].lower()
            assert b"\r\nx-own: 2\r\n" in origin.heads[0].lower()
            assert effort.reached is Reached.REPLIED

    async def test_a_chunked_answer_is_joined(self) -> None:
        """The chunks of one answer come back as one body."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        async with self.wire(head + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n") as (_, transport):
            assert (await self.ask(transport)).body == b"abc"

    async def test_a_connection_is_used_again(self) -> None:
        """Ten requests in a row need one connection."""
        async with self.wire() as (origin, transport):
            for _ in range(10):
                await self.ask(transport)
            assert origin.connections == 1

    async def test_an_expired_connection_is_not_used_again(self) -> None:
        """P18: what has been idle for longer than `idle` is closed, not reused."""
        async with self.wire(idle=0.05) as (origin, transport):
            await self.ask(transport)
            await asyncio.sleep(0.2)
            await self.ask(transport)
            assert origin.connections == 2

    async def test_a_connection_that_the_server_soon_closes_is_not_used_again(self) -> None:
        """P18: a server that says for how long it keeps an idle connection is believed."""
        head = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nTransfer-Encoding: chunked\r\n\r\n"
        plain = answer(b"{}", "Keep-Alive: timeout=1, max=100", "Connection: keep-alive")
        for soon in (plain, head + b"2\r\n{}\r\n0\r\n\r\n"):
            async with self.wire(soon, idle=60.0) as (origin, transport):
                await self.ask(transport)
                await asyncio.sleep(0.6)
                await self.ask(transport)
                assert origin.connections == 2

    async def test_what_the_server_said_counts_from_the_last_answer(self) -> None:
        """A connection that is in use is not idle, even if only its first answer said a time."""
        soon = answer(b"{}", "Keep-Alive: timeout=2")
        async with self.wire(soon, *[answer(b"{}")] * 5, idle=60.0) as (origin, transport):
            for _ in range(6):
                await self.ask(transport)
                await asyncio.sleep(0.25)
            assert origin.connections == 1

    async def test_it_never_replays_by_itself(self) -> None:
        """P1, L3: a connection that dies under a request gives a Failure, and one hit, for every
        method; the retry policy alone decides."""
        for method in ("GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"):
            async with self.wire(answer(b"{}"), CLOSE) as (origin, transport):
                await self.ask(transport)
                effort = Effort(0.0)
                failure = await self.refused(transport, method, effort=effort)
                assert failure.reason is Reason.UPSTREAM_UNAVAILABLE, method
                assert (failure.reached, effort.reached) == (Reached.MAYBE, Reached.MAYBE)
                assert len(origin.heads) == 2, f"{method} was sent twice"

    async def test_a_reset_after_the_request_may_have_been_acted_on(self) -> None:
        """F4: the connection is reset before the answer."""
        async with self.wire(RESET) as (_, transport):
            failure = await self.refused(transport, "POST", body=b"x")
            assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
            assert failure.reached is Reached.MAYBE

    async def test_a_refused_connection_was_not_reached(self) -> None:
        """F7: nobody listens."""
        async with self.wire() as (origin, _):
            with socket.socket() as held:
                held.bind(("127.0.0.1", 0))  # bound and not listening: surely refused
                url = f"http://127.0.0.1:{held.getsockname()[1]}"
                transport = self.make(HttpSettings(origin=url, allow=("127.0.0.1/32",)))
                failure = await self.refused(transport)
                await transport.close()
            assert failure.reason is Reason.UPSTREAM_CONNECT
            assert failure.reached is Reached.NOT_SENT
            assert not origin.heads

    async def test_a_short_body_is_truncated_and_the_connection_not_reused(self) -> None:
        """F5: the answer ends before its length, or before its last chunk."""
        length = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc" + CLOSE
        chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc" + CLOSE
        for text in (length, chunks):
            async with self.wire(text) as (origin, transport):
                failure = await self.refused(transport)
                assert failure.reason is Reason.UPSTREAM_TRUNCATED
                assert failure.reached is Reached.MAYBE
                await self.ask(transport)
                assert origin.connections == 2

    async def test_odd_answers_are_refused_and_the_connection_not_reused(self) -> None:
        """T9: anything that two parsers could read in two ways."""
        for text in self.odd_answers:
            async with self.wire(text + CLOSE) as (origin, transport):
                failure = await self.refused(transport)
                assert failure.reason in (Reason.UPSTREAM_MALFORMED, Reason.UPSTREAM_TRUNCATED), (
                    text
                )
                await self.ask(transport)
                assert origin.connections == 2, text

    async def test_bytes_behind_an_answer_are_nobodys_answer(self) -> None:
        """T9: what comes behind the body, or while the connection is idle, is not given to the
        next caller."""
        for text in (answer(b"{}") + answer(b'"s"'), answer(b"{}") + LATER + answer(b'"s"')):
            async with self.wire(text) as (origin, transport):
                try:
                    first = (await self.ask(transport)).body
                except Failure:
                    first = b"{}"  # refusing the whole of it is as good
                assert first == b"{}"
                await asyncio.sleep(0.1)
                assert (await self.ask(transport)).body == b"{}"
                assert origin.connections == 2

    async def test_a_redirect_is_an_answer(self) -> None:
        """T3: no redirect is followed, to whatever place."""
        for status in ("301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"):
            async with self.wire(answer(b"", "Location: /x", status=status)) as (origin, transport):
                response = await self.ask(transport)
                assert response.status == int(status[:3])
                assert len(origin.heads) == 1

    async def test_cookies_are_not_kept(self) -> None:
        """One caller's cookie is not sent with another's request."""
        text = answer(b"{}", "Set-Cookie: a=b; Path=/")
        async with self.wire(text) as (origin, transport):
            await self.ask(transport)
            await self.ask(transport)
            assert b"cookie" not in origin.heads[1].lower()

    async def test_a_body_over_its_limit_is_refused(self) -> None:
        """F14: by its length before it is read, and by its bytes where it declares none."""
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        declared = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + HOLD
        chunks = head + b"400\r\n" + b"x" * 1024 + b"\r\n" + HOLD
        for text in (declared, chunks):
            async with self.wire(text, max_body=1000) as (origin, transport):
                failure = await self.refused(transport)
                assert failure.reason is Reason.TOO_LARGE
                await self.ask(transport)
                assert origin.connections == 2

    async def test_a_compressed_body_is_decoded(self) -> None:
        """It accepts what it can decode, and nothing of the coding is left."""
        text = answer(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")
        async with self.wire(text) as (origin, transport):
            response = await self.ask(transport)
            assert response.body == b'{"a": 1}'
            assert "content-encoding" not in response.headers
            assert b"accept-encoding: " in origin.heads[0].lower()

    async def test_a_compressed_bomb_stops_at_its_limit(self) -> None:
        """T5: by its size, and by its ratio long before."""
        bomb = gzip.compress(b"\x00" * (8 * 1024 * 1024))
        text = answer(bomb, "Content-Encoding: gzip")
        for limit in (1024 * 1024, 16 * 1024 * 1024):
            async with self.wire(text, max_body=limit) as (_, transport):
                assert (await self.refused(transport)).reason is Reason.TOO_LARGE

    async def test_headers_over_their_limit_are_refused(self) -> None:
        """F14: a header of 1 MB."""
        text = b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 1_000_000 + b"\r\n\r\n"
        async with self.wire(text) as (_, transport):
            assert (await self.refused(transport)).reason is Reason.TOO_LARGE

    async def test_a_private_address_is_refused_before_any_packet(self) -> None:
        """P48, T1: without its allowance the loopback is out of reach."""
        async with self.wire(allow=()) as (origin, transport):
            failure = await self.refused(transport)
            assert failure.reason is Reason.EGRESS_DENIED
            assert failure.reached is Reached.NOT_SENT
            await asyncio.sleep(0)
            assert origin.connections == 0

    async def test_a_cancel_closes_the_connection(self) -> None:
        """F26, P19: the upstream sees the end, nothing leaks, and the next request is well."""
        async with self.wire(b"HTTP/1.1 200 OK\r\n" + HOLD) as (origin, transport):
            before = asyncio.all_tasks()
            task = asyncio.create_task(self.ask(transport))
            await origin.arrived.wait()
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            await origin.left.wait()
            assert (await self.ask(transport)).body == b"{}"
            left = asyncio.all_tasks() - before
            assert len(left) <= origin.open, "a task is left alive"

    async def test_a_cancel_at_any_point_leaves_the_next_caller_its_own_answer(self) -> None:
        """P44: cancelled after one turn of the loop, after two, and so on, until the answer wins;
        on a new connection and on a used one, with and without a body that takes time to send."""
        for method, body in (("GET", None), ("POST", b"x" * 3_000_000)):
            async with self.wire() as (origin, transport):
                origin.echoes = True
                before = asyncio.all_tasks()
                turns = finished = 0
                while finished < 3:
                    turns += 1
                    own = [("X-Own", f"c{turns}")]
                    task = asyncio.create_task(self.ask(transport, method, body=body, headers=own))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait({task})
                    if not task.cancelled():
                        finished += 1
                        assert task.result().body == own[0][1].encode()
                    after = await self.ask(transport, headers=[("X-Own", f"n{turns}")])
                    assert after.body == f"n{turns}".encode(), "another caller's answer"
                assert turns > 5, "nothing was cancelled on its way"
                left = asyncio.all_tasks() - before
                assert len(left) <= origin.connections, "a task is left alive"

    async def test_framing_headers_cannot_be_set(self) -> None:
        """T8: nor can a line end be smuggled into a prepared header."""
        wrong = [(name, "1") for name in ("Content-Length", "Transfer-Encoding", "Host", "TE")]
        wrong += [("Connection", "close"), ("X", "a\r\nY: b"), ("X", "a\x00"), ("X Y", "a")]
        async with self.wire() as (_, transport):
            for header in wrong:
                try:
                    transport.prepare("GET", [header])
                except ValueError:
                    continue
                raise AssertionError(f"the header {header[0]!r} was taken")

    async def test_closing_twice_does_nothing(self) -> None:
        """And a closed transport sends nothing any more."""
        async with self.wire() as (origin, transport):
            await self.ask(transport)
            await transport.close()
            await transport.close()
            failure = await self.refused(transport)
            assert failure.reached is Reached.NOT_SENT
            assert len(origin.heads) == 1
