"""Every hostile clause of the transport suite has a twin that breaks it, and is caught."""

from __future__ import annotations

import asyncio

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure
from interlaced.core.model import Effort
from interlaced.testing.transport_hostile import HostileClauses
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings
from interlaced.transport.http_chunks import ChunkGuard
from interlaced.transport.http_head import CHUNKED, Head
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.http_wire import Answered, Wire


class Lean(LeanTransport):
    """The lean transport on wires that a saboteur names."""

    wire: type[Wire] = Wire

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings, LoopClock())

    def _new_wire(self) -> Wire:
        return self.wire(asyncio.get_running_loop(), self._limit, self._lost, self._pool.put)


class Forgives(Lean):
    """Makes something of an answer that cannot be read."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await super().send(request)
        except Failure:
            return HttpResponse(200, {}, b"{}")


class StopsAtInterim(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def _skip_interim(self, head: Head, rest: bytes, effort: Effort) -> None:
            self._begin_body(head)
            self._finish(head)


class WaitsForABody(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def ask(
            self, data: bytes, effort: Effort, *, is_head: bool, is_whole: bool
        ) -> asyncio.Future[Answered]:
            return super().ask(data, effort, is_head=False, is_whole=is_whole)


class KeepsAlways(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def _finish(self, head: Head) -> None:
            super()._finish(head._replace(is_kept=True))


class WantsALength(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def eof_received(self) -> None:
            self._end(None)
            self.drop()


class WantsItAtOnce(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def _read_head(self, data: bytes, effort: Effort) -> None:
            self._held.clear()
            super()._read_head(data, effort)


class TakesAnyTrailer(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def _begin_body(self, head: Head) -> None:
            super()._begin_body(head)
            if head.length == CHUNKED:
                self._guard = Lax(self._pieces)


class Lax(ChunkGuard):
    def _is_last(self, line: bytes) -> bool:
        return line == b"\r\n"


class SendsAnything(Lean):
    def _check(self, name: str, value: str) -> None:
        """Lets everything pass."""


class HandsOn(Lean):
    """Keeps what came behind an answer for the next caller."""

    class wire(Wire):  # noqa: N801  # the name of what it replaces
        behind = b""

        def _read_body(self, data: bytes, start: int, head: Head) -> None:
            size = start + head.length
            if head.length > 0 and len(data) > size:
                self.behind, data = data[size:], data[:size]
            super()._read_body(data, start, head)

        def ask(
            self, data: bytes, effort: Effort, *, is_head: bool, is_whole: bool
        ) -> asyncio.Future[Answered]:
            waiter = super().ask(data, effort, is_head=is_head, is_whole=is_whole)
            behind, self.behind = self.behind, b""
            if behind:
                self.data_received(behind)
            return waiter


class TrustsAHead(Lean):
    """Takes whatever comes with a head that it has seen for its body."""

    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def data_received(self, data: bytes) -> None:
            start = data.find(b"\r\n\r\n") + 4
            known, SEEN[data[:start]] = SEEN.get(data[:start]), data
            if known is None:
                super().data_received(data)
            else:
                self._settle(HttpResponse(200, {}, data[start:]))


SEEN: dict[bytes, bytes] = {}


TWINS: dict[str, type[Lean]] = {
    "test_sloppy_answers_are_refused_or_read_in_the_one_way": Forgives,
    "test_interim_answers_are_passed_over": StopsAtInterim,
    "test_answers_without_a_body_have_none": WaitsForABody,
    "test_a_connection_that_is_to_close_is_not_used_again": KeepsAlways,
    "test_a_body_may_end_with_its_connection": WantsALength,
    "test_an_answer_is_the_same_wherever_it_is_cut": WantsItAtOnce,
    "test_an_answer_that_begins_like_one_before_is_no_copy_of_it": TrustsAHead,
    "test_headers_are_few_and_trailers_too": TakesAnyTrailer,
    "test_a_request_is_one_request_whatever_it_is_made_of": SendsAnything,
    "test_a_mutated_answer_is_nobody_elses": HandsOn,
}


def test_every_clause_has_a_twin() -> None:
    assert {name for name in dir(HostileClauses) if name.startswith("test_")} == TWINS.keys()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_catches_its_twin(clause: str) -> None:
    class Broken(HostileClauses):
        hang = 1.0
        tries = 200

        def make(self, settings: HttpSettings) -> Lean:
            return TWINS[clause](settings)

    with pytest.raises((AssertionError, Failure, TimeoutError)):
        await getattr(Broken(), clause)()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_passes_where_nothing_is_broken(clause: str) -> None:
    made: list[Lean] = []

    class Whole(HostileClauses):
        hang = 1.0
        tries = 200

        def make(self, settings: HttpSettings) -> Lean:
            made.append(Lean(settings))
            return made[-1]

    await getattr(Whole(), clause)()
    assert made, "a clause that looks at no transport proves nothing"
