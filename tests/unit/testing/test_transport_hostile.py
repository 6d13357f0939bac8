"""The hostile clauses' own tools; the clauses are proved in `tests/broken`."""

from __future__ import annotations

from random import Random

import pytest

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure
from interlaced.testing.transport_hostile import HostileClauses, mutate
from interlaced.transport.http import HttpSettings
from interlaced.transport.http_lean import LeanTransport


def test_mutations_are_many_and_come_again_with_their_seed() -> None:
    text = HostileClauses.whole_answers[0][0]
    first = [mutate(text, Random(seed)) for seed in range(300)]
    assert first == [mutate(text, Random(seed)) for seed in range(300)]
    assert len(set(first)) > 250
    assert sum(each != text for each in first) > 280


async def test_a_transport_that_forgives_what_it_refuses_is_caught() -> None:
    """A leniency that is declared must be there: else the list would only grow."""

    class Boasts(HostileClauses):
        forgives = frozenset(("folded header",))

        def make(self, settings: HttpSettings) -> LeanTransport:
            return LeanTransport(settings, LoopClock())

    with pytest.raises(Failure, match="not HTTP"):
        await Boasts().test_sloppy_answers_are_refused_or_read_in_the_one_way()
