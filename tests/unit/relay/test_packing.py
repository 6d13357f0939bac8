"""Ring items come back as they were, and anything else is refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.cursor import Origin, Place
from interlaced.core.model import Gap, GapWhy
from interlaced.core.ring import Entry, Item, Missing
from interlaced.relay.packing import Scanner, pack_items, pack_place, unpack_items, unpack_place
from interlaced.relay.wire import WireError

TEXT = st.text(st.characters())  # lone surrogates, too: JSON from outside can hold them
EPOCH = st.integers(0, 2**32 - 1)
PLACES = st.builds(
    Place,
    epoch=EPOCH,
    position=st.binary(max_size=40),
    origin=st.sampled_from([Origin.POSITION, Origin.OLDEST]),
)
ENTRIES = st.builds(
    Entry,
    data=st.binary(max_size=300),
    epoch=EPOCH,
    position=st.binary(max_size=40),
    type=TEXT,
    source=TEXT,
    subject=TEXT,
    key=TEXT,
)
GAPS = st.builds(Gap, why=st.sampled_from(GapWhy), first=TEXT, last=TEXT)
ITEMS = st.one_of(ENTRIES, st.builds(Missing, gap=GAPS, place=PLACES))


@given(st.lists(ITEMS, max_size=8))
def test_items_come_back_as_they_were(items: list[Item]) -> None:
    assert unpack_items(pack_items(items)) == items


@given(st.lists(ITEMS, min_size=1, max_size=3), st.data())
def test_what_is_cut_short_is_refused(items: list[Item], data: st.DataObject) -> None:
    whole, last = pack_items(items), pack_items(items[-1:])
    cut = data.draw(st.integers(1, len(last) - 1))
    with pytest.raises(WireError):
        unpack_items(whole[:-cut])


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused_or_make_items(data: bytes) -> None:
    try:
        items = unpack_items(data)
    except WireError:
        return
    assert all(isinstance(item, Entry | Missing) for item in items)


def test_a_place_keeps_its_time() -> None:
    place = Place(7, b"", Origin.TIME, 12.5)
    assert unpack_place(Scanner(pack_place(place))) == place


def test_what_is_not_known_is_refused() -> None:
    gap = pack_items([Missing(Gap(GapWhy.EXPIRED), Place())])
    for data in (b"\x02" + bytes(60), gap[:1] + b"\x09" + gap[2:], gap[:10] + b"\x05" + gap[11:]):
        with pytest.raises(WireError):
            unpack_items(data)
    head = ">BIHIIIIII"
    for entry in (
        struct.pack(head, 1, 0, 0, 1, 0, 0, 0, 1, 0) + b"\xff",
        struct.pack(head, 1, 0, 0, 1, 0, 0, 0, 2, 0) + b"ab",
    ):
        with pytest.raises(WireError):
            unpack_items(entry)
