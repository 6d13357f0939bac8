"""The rolling window."""

from __future__ import annotations

from interlaced.resilience.window import Window


def test_it_counts_what_happened_within_its_seconds():
    window = Window(10.0)
    window.add(0.0, total=1, marked=1)
    window.add(5.0, total=2)
    window.advance(9.9)
    assert (window.total, window.marked) == (3, 1)
    window.advance(10.0)
    assert (window.total, window.marked) == (2, 0)
    window.advance(100.0)
    assert (window.total, window.marked) == (0, 0)


def test_it_takes_the_memory_of_eleven_slices_at_any_load():
    window = Window(10.0)
    for step in range(10_000):
        window.add(step * 0.01, total=1)
    assert len(window._slices) <= 11


def test_clearing_forgets_everything():
    window = Window(10.0)
    window.add(0.0, total=5, marked=5)
    window.clear()
    assert (window.total, window.marked) == (0, 0)
