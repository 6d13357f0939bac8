"""Every clause of the transport suite has a twin that breaks it, and is caught."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.testing.transport_hostile import HostileClauses
from interlaced.testing.transport_streams import StreamClauses
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport import http_aiohttp
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, Prepared
from interlaced.transport.http_aiohttp import AiohttpTransport


class Honest:
    """Passes everything on; a saboteur breaks one thing."""

    def __init__(self, settings: HttpSettings) -> None:
        self.settings = settings
        self.inner = AiohttpTransport(settings, LoopClock())
        self.calls = 0

    def prepare(self, method: str, headers: Sequence[tuple[str, str]]) -> Prepared:
        return self.inner.prepare(method, headers)

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.calls += 1
        return await self.inner.send(request)

    async def close(self) -> None:
        await self.inner.close()


class DropsHeaders(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        return await super().send(replace(request, headers=()))


class LosesTheEnd(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        response = await super().send(request)
        return replace(response, body=response.body[:-1])


class ConnectsAfresh(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        await self.inner.close()
        self.inner = AiohttpTransport(self.settings, LoopClock())
        return await super().send(request)


class KeepsForEver(Honest):
    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(replace(settings, idle=60.0))


class DisbelievesTheServer(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(http_aiohttp, "idle_limit", lambda _: math.inf)
            return await super().send(request)


class CountsFromTheFirst(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        connector = http_aiohttp._Connector
        honest = connector.answered

        def answered(self: Any, wire: Any, headers: Mapping[str, str]) -> None:
            if "keep-alive" in headers:
                honest(self, wire, headers)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connector, "answered", answered)
            return await super().send(request)


class Replays(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await super().send(request)
        except Failure as failure:
            if failure.reason is not Reason.UPSTREAM_UNAVAILABLE:
                raise
            return await super().send(request)


class Belittles(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await super().send(request)
        except Failure as failure:
            raise failure.but(reached=Reached.NOT_SENT) from failure


class Exaggerates(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await super().send(request)
        except Failure as failure:
            raise failure.but(reached=Reached.MAYBE) from failure


class Accepts(Honest):
    reason = Reason.UPSTREAM_TRUNCATED

    async def send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await super().send(request)
        except Failure as failure:
            if failure.reason is not self.reason:
                raise
            return HttpResponse(200, {}, b"abc")


class AcceptsOdd(Accepts):
    reason = Reason.UPSTREAM_MALFORMED


class AcceptsLarge(Accepts):
    reason = Reason.TOO_LARGE


class ReusesDirty(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        connector = http_aiohttp._Connector

        async def connect(self: object, *args: object, **rest: object) -> object:
            return await aiohttp.TCPConnector.connect(self, *args, **rest)  # type: ignore[arg-type]  # itself

        original, connector.connect = connector.connect, connect  # type: ignore[assignment,method-assign]  # sabotage
        try:
            return await super().send(request)
        finally:
            connector.connect = original  # type: ignore[method-assign]  # put back


class Follows(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        response = await super().send(request)
        if "location" in response.headers:
            return await super().send(replace(request, target=response.headers["location"]))
        return response


class KeepsCookies(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        if self.calls:
            request = replace(request, headers=[*request.headers, ("Cookie", "a=b")])
        return await super().send(request)


class IgnoresLimit(Honest):
    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(replace(settings, max_body=1 << 40))


class LeavesCoded(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        response = await super().send(request)
        return replace(response, body=gzip.compress(response.body))


class ReachesInside(Honest):
    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(replace(settings, allow=("0.0.0.0/0",)))


class OutlivesCancel(Honest):
    async def send(self, request: HttpRequest) -> HttpResponse:
        self.task = asyncio.ensure_future(super().send(request))
        return await asyncio.shield(self.task)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})
        await super().close()


class HandsOn(Honest):
    """Gives the answer that a cancelled caller left behind to the next one."""

    left: asyncio.Task[HttpResponse] | None = None

    async def send(self, request: HttpRequest) -> HttpResponse:
        left, self.left = self.left, None
        if left is not None:
            return await left
        task = asyncio.ensure_future(super().send(request))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.left = task
            raise


class TakesAnyHeader(Honest):
    def prepare(self, method: str, headers: Sequence[tuple[str, str]]) -> Prepared:
        try:
            return super().prepare(method, headers)
        except ValueError:
            return super().prepare(method, ())


class ClosesOnce(Honest):
    is_closed = False

    async def close(self) -> None:
        if self.is_closed:
            raise RuntimeError("closed already")
        self.is_closed = True
        await super().close()


TWINS: dict[str, type[Honest]] = {
    "test_it_sends_what_was_asked_and_returns_the_whole_answer": DropsHeaders,
    "test_a_chunked_answer_is_joined": LosesTheEnd,
    "test_a_connection_is_used_again": ConnectsAfresh,
    "test_an_expired_connection_is_not_used_again": KeepsForEver,
    "test_a_connection_that_the_server_soon_closes_is_not_used_again": DisbelievesTheServer,
    "test_what_the_server_said_counts_from_the_last_answer": CountsFromTheFirst,
    "test_it_never_replays_by_itself": Replays,
    "test_a_reset_after_the_request_may_have_been_acted_on": Belittles,
    "test_a_refused_connection_was_not_reached": Exaggerates,
    "test_a_short_body_is_truncated_and_the_connection_not_reused": Accepts,
    "test_odd_answers_are_refused_and_the_connection_not_reused": AcceptsOdd,
    "test_bytes_behind_an_answer_are_nobodys_answer": ReusesDirty,
    "test_a_redirect_is_an_answer": Follows,
    "test_cookies_are_not_kept": KeepsCookies,
    "test_a_body_over_its_limit_is_refused": IgnoresLimit,
    "test_a_compressed_body_is_decoded": LeavesCoded,
    "test_a_compressed_bomb_stops_at_its_limit": AcceptsLarge,
    "test_headers_over_their_limit_are_refused": AcceptsLarge,
    "test_a_private_address_is_refused_before_any_packet": ReachesInside,
    "test_a_cancel_closes_the_connection": OutlivesCancel,
    "test_a_cancel_at_any_point_leaves_the_next_caller_its_own_answer": HandsOn,
    "test_framing_headers_cannot_be_set": TakesAnyHeader,
    "test_closing_twice_does_nothing": ClosesOnce,
}


def test_every_clause_has_a_twin() -> None:
    clauses = set(dir(TransportSuite)) - set(dir(HostileClauses)) - set(dir(StreamClauses))
    assert {name for name in clauses if name.startswith("test_")} == TWINS.keys()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_catches_its_twin(clause: str) -> None:
    class Broken(TransportSuite):
        hang = 1.0

        def make(self, settings: HttpSettings) -> Honest:
            return TWINS[clause](settings)

    with pytest.raises((AssertionError, Failure, TimeoutError, RuntimeError)):
        await getattr(Broken(), clause)()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_passes_where_nothing_is_broken(clause: str) -> None:
    made: list[Honest] = []

    class Whole(TransportSuite):
        def make(self, settings: HttpSettings) -> Honest:
            made.append(Honest(settings))
            return made[-1]

    await getattr(Whole(), clause)()
    assert made, "a clause that looks at no transport proves nothing"
