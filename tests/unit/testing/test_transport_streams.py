"""The stream clauses' own tools; the clauses are proved in `tests/broken`."""

from __future__ import annotations

import pytest

from interlaced.core.clock import LoopClock
from interlaced.testing.transport_origin import RESET, answer
from interlaced.testing.transport_streams import StreamClauses
from interlaced.transport.http import HttpSettings
from interlaced.transport.http_lean import LeanTransport


class Clauses(StreamClauses):
    def make(self, settings: HttpSettings) -> LeanTransport:
        return LeanTransport(settings, LoopClock())


@pytest.mark.parametrize(
    ("text", "taken", "is_failed"),
    [
        (answer(b"abc"), 3, False),
        (answer(b""), 0, False),
        (answer(b"abc").replace(b"3", b"4") + b"\0close", 3, True),
        (RESET, -1, True),
    ],
)
async def test_a_reading_says_how_far_it_came(text: bytes, taken: int, is_failed: bool) -> None:
    clauses = Clauses()
    async with clauses.wire(text) as (_, transport):
        came, failure = await clauses._read(transport)
    assert (came, failure is not None) == (taken, is_failed)
