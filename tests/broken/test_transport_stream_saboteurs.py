"""Every clause about streams has a twin that breaks it, and is caught."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure
from interlaced.testing.transport_streams import StreamClauses
from interlaced.transport import http_lean
from interlaced.transport.http import HttpRequest, HttpSettings, HttpStream
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.http_stream import LeanStream
from interlaced.transport.http_wire import Answered, Wire


class Lean(LeanTransport):
    """The lean transport with the wire and the stream that a saboteur names."""

    wire: type[Wire] = Wire
    streams: type[LeanStream] = LeanStream

    def __init__(self, settings: HttpSettings) -> None:
        super().__init__(settings, LoopClock())

    def _new_wire(self) -> Wire:
        return self.wire(asyncio.get_running_loop(), self._limit, self._lost, self._pool.put)


class WaitsForItAll(Lean):
    """Enters when the answer is at its end."""

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[LeanStream]:
        async with super().stream(request) as stream:
            await stream.over
            yield stream


class LosesTheEnd(Lean):
    class streams(LeanStream):  # noqa: N801  # the name of what it replaces
        def end(self, answer: Answered) -> None:
            if not isinstance(answer, Failure):
                answer.body = b""
            super().end(answer)


class TakesAll(Lean):
    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def hold(self) -> None:
            """Reads on."""


class CountsWhatIsThere(Lean):
    """Bounds the part of a body that nobody has taken yet."""

    class wire(Wire):  # noqa: N801  # the name of what it replaces
        def _hand_on(self) -> None:
            super()._hand_on()
            for name in ("_size", "_taken", "_received"):
                if hasattr(self._body, name):
                    setattr(self._body, name, 0)


class EndsQuietly(Lean):
    class streams(LeanStream):  # noqa: N801  # the name of what it replaces
        async def __anext__(self) -> bytes:
            try:
                return await super().__anext__()
            except Failure:
                raise StopAsyncIteration from None


class EntersAnyway(Lean):
    class streams(LeanStream):  # noqa: N801  # the name of what it replaces
        def check(self) -> None:
            """Sees nothing."""


class LeavesItOpen(Lean):
    """Lets go of a stream that is not at its end, and of its connection."""

    class wire(Wire):  # noqa: N801  # the name of what it replaces
        is_kept = False

        def drop(self) -> None:
            if self.is_kept or self._sink is None:
                super().drop()
            self.is_kept = True


TWINS: dict[str, type[Lean]] = {
    "test_a_streamed_body_comes_while_it_is_sent": WaitsForItAll,
    "test_a_streamed_body_is_that_of_the_whole_answer": LosesTheEnd,
    "test_what_nobody_reads_is_not_taken": TakesAll,
    "test_a_streamed_body_over_its_limit_is_refused": CountsWhatIsThere,
    "test_a_streamed_body_that_is_cut_says_so": EndsQuietly,
    "test_a_stream_without_an_answer_is_not_entered": EntersAnyway,
    "test_a_cancel_closes_a_stream": LeavesItOpen,
}


def test_every_clause_has_a_twin() -> None:
    assert {name for name in dir(StreamClauses) if name.startswith("test_")} == TWINS.keys()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_catches_its_twin(clause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(StreamClauses):
        hang = 1.0

        def make(self, settings: HttpSettings) -> Lean:
            return TWINS[clause](settings)

    monkeypatch.setattr(http_lean, "LeanStream", TWINS[clause].streams)
    with pytest.raises((AssertionError, Failure, TimeoutError)):
        await getattr(Broken(), clause)()


@pytest.mark.parametrize("clause", TWINS)
async def test_the_clause_passes_where_nothing_is_broken(clause: str) -> None:
    made: list[Lean] = []

    class Whole(StreamClauses):
        def make(self, settings: HttpSettings) -> Lean:
            made.append(Lean(settings))
            return made[-1]

    await getattr(Whole(), clause)()
    assert made, "a clause that looks at no transport proves nothing"


async def test_a_stream_is_what_the_port_says() -> None:
    """Its type, which mypy looks at."""
    loop = asyncio.get_running_loop()
    stream: HttpStream = LeanStream(Lean(HttpSettings(origin="http://a"))._new_wire(), loop)
    assert stream.status == 0
