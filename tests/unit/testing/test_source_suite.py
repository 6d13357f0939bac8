"""The source suite's own parts; its clauses are proved in `tests/broken`."""

from __future__ import annotations

from interlaced.core.ports import Capability, Durability, Order
from interlaced.testing.source_suite import SourceSuite, make_events, needs, select

BARE = Capability(durability=Durability.NONE, order=Order.NONE)
FULL = Capability(durability=Durability.FSYNC, order=Order.TOTAL, ack=True, replay=True)


class Suite:
    """Three clauses."""

    def test_always(self) -> None:
        """Applies to all."""

    @needs("ack", "dead")
    def test_both(self) -> None:
        """Applies to feeds with acks whose rig has dead letters."""

    @needs("no_replay")
    def test_without(self) -> None:
        """Applies to feeds without replay."""


def kept(capability: Capability, *can: str) -> list[str]:
    suite = type("Suite", (Suite,), {})
    select(suite, capability, frozenset(can))
    return [name for name in dir(suite) if name.startswith("test_") and getattr(suite, name)]


def test_clauses_that_do_not_apply_are_not_there() -> None:
    assert kept(BARE) == ["test_always", "test_without"]
    assert kept(FULL) == ["test_always"]
    assert kept(FULL, "dead") == ["test_always", "test_both"]


def test_the_suite_itself_loses_nothing() -> None:
    names = [name for name in dir(SourceSuite) if name.startswith("test_")]
    assert all(getattr(SourceSuite, name) for name in names)


def test_made_events_are_numbered_and_whole() -> None:
    events = make_events(3, first=5)
    assert [event.id for event in events] == ["5", "6", "7"]
    assert all(event.subject and event.key and event.time for event in events)
