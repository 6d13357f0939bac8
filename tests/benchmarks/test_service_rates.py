"""What a load says of itself: how late it was, beside what it shows of the servers."""

from __future__ import annotations

from benchmarks.harness.results import Sample
from benchmarks.service.measure import Pace
from benchmarks.service.plan import Plan
from benchmarks.service.rates import late_notes, overload_pace


def sample(side: str, late: float, shown: float) -> Sample:
    return Sample(side, {"late_p99_ms": late, "p99_ms": shown})


def test_a_load_that_is_late_beside_what_it_shows_says_so() -> None:
    samples = [sample("interlace", 0.6, 2.0), sample("baseline", 0.2, 2.0)]
    (note,) = late_notes(samples)
    assert note.startswith("interlace: the load itself was 0.6 ms late (p99) beside a p99 of 2 ms")


def test_windows_of_which_nothing_is_known_say_nothing() -> None:
    assert late_notes([Sample("interlace", {"rate": 1.0}), sample("baseline", 0.1, 2.0)]) == []


def test_an_overload_lasts_ten_seconds_in_a_whole_run_and_a_window_in_a_quick_one() -> None:
    assert overload_pace(Plan(Pace(seconds=2.0))).seconds == 10.0
    assert overload_pace(Plan(Pace(seconds=30.0))).seconds == 30.0
    assert overload_pace(Plan(Pace(seconds=0.5), is_quick=True)).seconds == 0.5
