"""What cannot be carried becomes a gap that names it."""

from __future__ import annotations

from feed_rig import event

from interlaced.core.entries import EntryMaker
from interlaced.core.model import Event, GapWhy
from interlaced.core.ring import Entry, Missing
from interlaced.testing.fakes import FakeFeedObserver


def refuse(one: Event) -> bytes:
    raise ValueError(one.id)


def test_an_event_is_encoded_with_what_filters_look_at() -> None:
    maker = EntryMaker(lambda one: one.data, 100, FakeFeedObserver())
    made = maker(event(1, subject="s", key="k"), 9)
    assert made == Entry(b"1", 9, b"", "tick", "/test", "s", "k")


def test_too_large_and_unencodable_events_are_gaps_and_the_feed_goes_on() -> None:
    observer = FakeFeedObserver()
    for maker in (EntryMaker(lambda _: bytes(101), 100, observer), EntryMaker(refuse, 9, observer)):
        made = maker(event(1, id="a\ud800"), 9)
        assert isinstance(made, Missing)
        assert (made.gap.why, made.gap.first) == (GapWhy.UPSTREAM_SEQUENCE, "a?")
    assert observer.gaps == [GapWhy.UPSTREAM_SEQUENCE] * 2


def test_what_fits_is_known_without_making_an_entry() -> None:
    observer = FakeFeedObserver()
    assert EntryMaker(lambda _: bytes(100), 100, observer).fits(event(1))
    assert not EntryMaker(lambda _: bytes(101), 100, observer).fits(event(1))
    assert not EntryMaker(refuse, 100, observer).fits(event(1))
    assert observer.gaps == []
