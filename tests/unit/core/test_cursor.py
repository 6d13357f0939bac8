"""Cursors: what each wrong one is told."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.cursor import CursorCodec, Origin, Place
from interlaced.core.failure import Failure, Reason

A, B = b"a" * 32, b"b" * 32
PLACE = Place(7, (300).to_bytes(8, "big"))


def reason(codec: CursorCodec, text: str, feed: str = "up.Ticks", rule: bytes = b"") -> str:
    with pytest.raises(Failure) as caught:
        codec.bind(feed, rule).read(text)
    return caught.value.reason.value


@given(
    epoch=st.integers(0, 2**32 - 1),
    position=st.binary(max_size=200),
    feed=st.text(max_size=20),
    rule=st.binary(max_size=20),
)
def test_every_place_comes_back(epoch: int, position: bytes, feed: str, rule: bytes) -> None:
    stamp = CursorCodec([A]).bind(feed, rule)
    assert stamp.read(stamp.stamp(Place(epoch, position))) == Place(epoch, position)


@pytest.mark.parametrize(
    "place", [Place(0, origin=Origin.OLDEST), Place(3, origin=Origin.TIME, time=1.7e9 + 0.25)]
)
def test_a_subscription_that_has_seen_nothing_has_a_cursor_too(place: Place) -> None:
    stamp = CursorCodec([A]).bind("up.Ticks")
    assert stamp.read(stamp.stamp(place)) == place


@pytest.mark.parametrize("number", [0, 1, 255, 2**20, 2**48 - 1])
def test_a_counter_takes_32_to_39_characters(number: int) -> None:
    text = CursorCodec([A]).bind("up.Ticks").stamp(Place(2**32 - 1, number.to_bytes(8, "big")))
    assert 32 <= len(text) <= 39


@given(st.integers(0, 30), st.integers(1, 255))
def test_a_flipped_bit_is_never_accepted(at: int, flip: int) -> None:
    stamp = CursorCodec([A]).bind("up.Ticks")
    raw = bytearray(urlsafe_b64decode(stamp.stamp(PLACE) + "=="))
    raw[at % len(raw)] ^= flip
    with pytest.raises(Failure) as caught:
        stamp.read(urlsafe_b64encode(raw).rstrip(b"=").decode())
    assert caught.value.reason in (Reason.BAD_CURSOR, Reason.CURSOR_MISMATCH)


@given(st.text(max_size=60))
def test_no_text_but_ours_is_a_cursor(text: str) -> None:
    assert reason(CursorCodec([A]), text) in ("BAD_CURSOR", "CURSOR_MISMATCH")


def test_each_wrong_cursor_has_its_reason() -> None:
    good = CursorCodec([A]).bind("up.Ticks").stamp(PLACE)
    assert reason(CursorCodec([B]), good) == "BAD_CURSOR", "an unknown key"
    assert reason(CursorCodec([A]), good, feed="up.Other") == "CURSOR_MISMATCH"
    assert reason(CursorCodec([A]), good, rule=b"type=1:x") == "CURSOR_MISMATCH"
    assert reason(CursorCodec([A]), good + "=") == "BAD_CURSOR", "one place has one text"
    assert reason(CursorCodec([A]), good[:-1]) == "BAD_CURSOR"
    assert reason(CursorCodec([A]), "A" * 5000) == "BAD_CURSOR"
    assert reason(CursorCodec([A]), "ä" * 40) == "BAD_CURSOR"


def test_keys_rotate_without_losing_a_cursor() -> None:
    old, both, new = CursorCodec([A]), CursorCodec([B, A]), CursorCodec([B])
    first = old.bind("f").stamp(PLACE)
    second = both.bind("f").stamp(PLACE)
    assert CursorCodec([A, B]).bind("f").read(second) == PLACE, "verified before it signs"
    assert both.bind("f").read(first) == both.bind("f").read(second) == PLACE
    assert new.bind("f").read(second) == PLACE
    assert reason(new, first, feed="f") == "BAD_CURSOR"


def test_keys_whose_ids_collide_are_all_tried() -> None:
    keys = [bytes([number]) * 32 for number in range(40)]
    all_keys = CursorCodec(keys)
    for key in keys:
        assert all_keys.bind("f").read(CursorCodec([key]).bind("f").stamp(PLACE)) == PLACE


@pytest.mark.parametrize("keys", [[], [b"short"], [b"x" * 65]])
def test_a_key_that_protects_nothing_is_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="key"):
        CursorCodec(keys)
