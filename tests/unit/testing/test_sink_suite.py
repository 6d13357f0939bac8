"""The sink suite's own parts; its clauses are proved in `tests/broken`."""

from __future__ import annotations

from memory_rig import SINK

from interlaced.testing.sink_suite import SinkSuite


def test_clauses_that_the_rig_cannot_play_are_not_there() -> None:
    class Bare(SinkSuite):
        capability = SINK

    assert Bare.test_each_event_has_its_confirmation
    for name in ("an_unreachable_broker_is_never_a_success", "positions_are_those_of_the_broker"):
        assert getattr(Bare, f"test_{name}") is None
        assert getattr(SinkSuite, f"test_{name}")
