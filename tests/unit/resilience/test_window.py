"""The rolling window."""

from __future__ import annotations

from interlaced.resilience.window import Window


def count(window: Window, now: float, *, total: int = 0, marked: int = 0) -> None:
    for _ in range(total):
        window.count(now)
    for _ in range(marked):
        window.mark(now)


def test_it_counts_what_happened_within_its_seconds():
    window = Window(10.0)
    count(window, 0.0, total=1, marked=1)
    count(window, 5.0, total=2)
    window.advance(9.9)
    assert (window.total, window.marked) == (3, 1)
    window.advance(10.0)
    assert (window.total, window.marked) == (2, 0)
    window.advance(100.0)
    assert (window.total, window.marked) == (0, 0)


def test_what_comes_after_a_long_silence_is_all_that_counts():
    window = Window(10.0)
    count(window, 0.0, total=3, marked=2)
    window.advance(50.0)
    count(window, 50.0, total=1)
    count(window, 50.5, marked=1)
    assert (window.total, window.marked) == (1, 1)
    window.advance(60.0)
    assert (window.total, window.marked) == (0, 0)


def test_it_takes_the_memory_of_eleven_slices_at_any_load():
    window = Window(10.0)
    for step in range(10_000):
        window.count(step * 0.01)
    assert len(window._slices) <= 11
    assert 900 <= window.total <= 1_100


def test_clearing_forgets_everything():
    window = Window(10.0)
    count(window, 0.0, total=5, marked=5)
    window.clear()
    assert (window.total, window.marked) == (0, 0)
    count(window, 0.0, total=1)
    assert (window.total, window.marked) == (1, 0)
