"""When a lost stream is opened again."""

from __future__ import annotations

import random

from interlace.backoff import Backoff, Reconnect


class Highest(random.Random):
    """Draws the ceiling."""

    def uniform(self, a: float, b: float) -> float:
        del a
        return b


def test_the_ceiling_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(Reconnect(initial=1, maximum=5, patience=None), chance=Highest())
    assert [backoff.wait(0) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_waits_are_spread_evenly_from_zero() -> None:
    chance = random.Random(1)
    waits = [
        Backoff(Reconnect(initial=1, maximum=5), chance=chance).wait(0) or 0.0 for _ in range(1000)
    ]
    assert 0 <= min(waits) < 0.05
    assert 0.95 < max(waits) <= 1
    assert 0.45 < sum(waits) / 1000 < 0.55


def test_a_sign_of_life_begins_anew() -> None:
    backoff = Backoff(Reconnect(initial=1, maximum=50, patience=10), chance=Highest())
    backoff.wait(1)
    backoff.wait(2)
    backoff.succeeded()
    assert backoff.wait(18) == 1


def test_patience_is_counted_from_the_first_failure_in_a_row() -> None:
    backoff = Backoff(Reconnect(patience=10))
    assert backoff.wait(100) is not None
    assert backoff.wait(109.9) is not None
    assert backoff.wait(110) is None
    backoff.succeeded()
    assert backoff.wait(120) is not None


def test_what_the_service_asks_for_is_the_least() -> None:
    backoff = Backoff(Reconnect(initial=1))
    assert 3 <= (backoff.wait(0, 3) or 0) <= 4


def test_a_thousand_failures_do_not_overflow() -> None:
    backoff = Backoff(Reconnect(patience=None), chance=Highest())
    assert [backoff.wait(0) for _ in range(3000)][-1] == 30.0


def test_whoever_was_told_when_to_be_back_is_not_early_and_not_in_step() -> None:
    backoff = Backoff(Reconnect(initial=1))
    waits = {backoff.after(5) for _ in range(100)}
    assert all(5 <= wait <= 5.5 for wait in waits)
    assert len(waits) > 50
    assert backoff.after(0) == 0
