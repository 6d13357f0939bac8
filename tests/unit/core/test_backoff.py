"""Full jitter."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.backoff import Backoff


@given(st.integers(0, 200), st.integers())
def test_a_delay_lies_between_0_and_the_ceiling(attempt: int, seed: int) -> None:
    backoff = Backoff(0.2, 5.0)
    assert 0 <= backoff.delay(attempt, Random(seed)) <= backoff.ceiling(attempt) <= 5.0


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    assert [Backoff(0.5, 3.0).ceiling(attempt) for attempt in range(4)] == [0.5, 1.0, 2.0, 3.0]
