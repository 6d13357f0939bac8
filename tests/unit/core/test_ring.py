"""The ring is bounded in count and bytes and knows its places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.cursor import Origin, Place
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Entry, Missing, Ring


def at(number: int) -> bytes:
    return number.to_bytes(8, "big")


def entry(number: int, size: int = 10, epoch: int = 1) -> Entry:
    return Entry(b"x" * size, epoch, at(number), "", "", "", "")


def fill(ring: Ring, *numbers: int, size: int = 10) -> None:
    for number in numbers:
        ring.append(entry(number, size))
        ring.trim(ring.surplus())


@given(st.lists(st.integers(0, 3000), max_size=200), st.integers(1, 20))
def test_count_and_bytes_stay_bounded_and_the_newest_stays(sizes: list[int], most: int) -> None:
    """L7: what the ring holds is bounded."""
    ring = Ring(1, max_events=most, max_bytes=5000)
    for number, size in enumerate(sizes):
        ring.append(entry(number, size))
        ring.trim(ring.surplus())
        held = [ring[index] for index in range(ring.first, ring.end)]
        assert 1 <= len(held) <= most
        assert ring.bytes == sum(item.size for item in held)
        assert ring.bytes <= 5000 or len(held) == 1
        assert ring.after(Place(1, at(number))) == ring.end


def test_a_place_is_found_exactly_or_not_at_all() -> None:
    ring = Ring(1, max_events=3, max_bytes=10**6)
    assert ring.after(Place(1)) == 0, "the beginning"
    fill(ring, 1, 2, 3, 4, 5)
    assert ring.first == 2
    assert ring.after(Place(1, at(2))) == 2, "the last that was forgotten"
    assert ring.after(Place(1, at(1))) is None
    assert ring.after(Place(1, at(4))) == 4
    assert ring.after(Place(2, at(4))) is None, "another history"
    assert ring.after(Place(1)) is None
    assert ring.after(Place(1, origin=Origin.OLDEST)) is None
    assert ring.place_before(ring.end) == Place(1, at(5))
    assert ring.place_before(2) == Place(1, at(2))


def test_a_new_history_hides_the_places_of_the_old_one() -> None:
    ring = Ring(1, max_events=10, max_bytes=10**6)
    fill(ring, 1, 2)
    ring.begin_epoch(2)
    ring.append(Missing(Gap(GapWhy.NEW_HISTORY), Place(2, origin=Origin.OLDEST)))
    ring.append(entry(1, epoch=2))
    assert ring.after(Place(1, at(1))) is None
    assert ring.after(Place(2, at(1))) == 4
    assert ring.place_before(3) == Place(2, origin=Origin.OLDEST)


def test_what_was_forgotten_is_an_error_and_its_memory_is_freed() -> None:
    ring = Ring(1, max_events=10, max_bytes=10**6)
    fill(ring, *range(5000))
    with pytest.raises(IndexError):
        ring[0]
    with pytest.raises(IndexError):
        ring.items(0, ring.end)
    assert len(ring.items(ring.first, ring.end)) == 10
    assert len(ring._items) < 3000
    assert len(ring._places) == 10


def test_smaller_bounds_apply_from_the_next_event() -> None:
    ring = Ring(1, max_events=10, max_bytes=10**6)
    fill(ring, *range(10))
    ring.bound(4, 10**6)
    fill(ring, 10)
    assert ring.end - ring.first == 4


def test_a_gap_that_stands_for_an_event_has_a_place_of_its_own() -> None:
    ring = Ring(1, max_events=10, max_bytes=10**6)
    fill(ring, 1)
    ring.append(Missing(Gap(GapWhy.RECONNECTED), ring.place_before(ring.end)))
    ring.append(Missing(Gap(GapWhy.UPSTREAM_SEQUENCE), Place(1, at(2))))
    fill(ring, 3)
    assert [ring.after(Place(1, at(number))) for number in (1, 2, 3)] == [1, 3, 4]
    ring.trim(3)
    assert ring.after(Place(1, at(2))) == 3, "it is the floor now"
    ring.trim(4)
    assert [ring.after(Place(1, at(number))) for number in (1, 2)] == [None, None]
