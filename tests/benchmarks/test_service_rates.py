"""What a load says of itself: how late it was, beside what it shows of the servers."""

from __future__ import annotations

from benchmarks.harness.results import Sample
from benchmarks.service.rates import late_notes


def sample(side: str, late: float, shown: float) -> Sample:
    return Sample(side, {"late_p99_ms": late, "p99_ms": shown})


def test_a_load_that_is_late_beside_what_it_shows_says_so() -> None:
    samples = [sample("interlace", 0.6, 2.0), sample("baseline", 0.2, 2.0)]
    (note,) = late_notes(samples)
    assert note.startswith("interlace: the load itself was 0.6 ms late (p99) beside a p99 of 2 ms")


def test_windows_of_which_nothing_is_known_say_nothing() -> None:
    assert late_notes([Sample("interlace", {"rate": 1.0}), sample("baseline", 0.1, 2.0)]) == []
