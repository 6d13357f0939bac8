"""The source suite's own parts; its clauses are proved in `tests/broken`."""

from __future__ import annotations

from collections.abc import Callable

from interlaced.core.ports import Capability, Durability, Order
from interlaced.testing.source_suite import SourceSuite, make_events, needs, select

BARE = Capability(durability=Durability.NONE, order=Order.NONE)
FULL = Capability(durability=Durability.FSYNC, order=Order.TOTAL, ack=True, replay=True)


def clause() -> Callable[[object], None]:
    """Stands for a clause: which ones are there is asked here, and none is run."""
    return lambda _: None


CLAUSES = {
    "test_always": clause(),
    "test_both": needs("ack", "dead")(clause()),
    "test_without": needs("no_replay")(clause()),
}


def kept(capability: Capability, *can: str) -> list[str]:
    suite = type("Suite", (type("Whole", (), CLAUSES),), {})
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
