"""Events and wishes, as they stand on the wire."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlace.events import (
    Bookmark,
    Event,
    Filter,
    Gap,
    GapReason,
    Overflow,
    Prefix,
    Start,
    read_event,
    read_gap,
)
from interlace.v1 import feed_service_pb2 as pb


@given(
    st.builds(
        Event,
        id=st.text(max_size=5),
        source=st.text(max_size=5),
        type=st.text(max_size=5),
        data=st.binary(max_size=5),
        media_type=st.text(max_size=5),
        subject=st.text(max_size=5),
        time=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        key=st.text(max_size=5),
        position=st.binary(max_size=5),
        attributes=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
    )
)
def test_an_event_comes_back_as_it_went(event: Event) -> None:
    assert read_event(event.message()) == event


def test_a_time_without_a_zone_is_utc() -> None:
    event = read_event(Event(time=dt.datetime(2026, 1, 2, 3, 4, 5)).message())  # noqa: DTZ001  # what is tested
    assert event.time == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_every_reason_of_a_gap_is_known() -> None:
    gap = read_gap(pb.Gap(**{"from": "7"}, to="9", why=pb.GAP_REASON_UPSTREAM_SEQUENCE))
    assert gap == Gap(GapReason.UPSTREAM_SEQUENCE, "7", "9")
    assert {read_gap(pb.Gap(why=why)).why for why in pb.GapReason.values()} == set(GapReason)
    assert read_gap(pb.Gap.FromString(b"\x18\x63")).why is GapReason.UNKNOWN


def test_each_start_has_its_place() -> None:
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    starts = [Start.now(), Start.oldest(), Start.at(when), Start.after("c")]
    places = [start.message().WhichOneof("place") for start in starts]
    assert places == ["now", "oldest", "time", "cursor"]
    assert starts[2].message().time.ToDatetime(dt.UTC) == when
    assert Start.after(Bookmark("c", (b"1",))).message().cursor == "c"


def test_each_overflow_has_its_policy() -> None:
    policies = {
        "block": Overflow.block(1.5),
        "drop_oldest": Overflow.drop_oldest(buffer=3),
        "drop_newest": Overflow.drop_newest(buffer=3),
        "conflate": Overflow.conflate(buffer=3),
        "disconnect": Overflow.disconnect(buffer=3),
    }
    for name, overflow in policies.items():
        assert overflow.message().WhichOneof("policy") == name
        assert overflow.message().buffer == (0 if name == "block" else 3)
    assert policies["block"].message().block.timeout.ToMilliseconds() == 1500
    assert not Overflow.block().message().block.HasField("timeout")


def test_a_filter_matches_exactly_or_by_prefix() -> None:
    message = Filter(type="a", source=Prefix("b")).message()
    assert message.type.exact == "a"
    assert message.source.prefix == "b"
    assert not message.HasField("key")


@given(st.text(), st.lists(st.binary(max_size=9), max_size=4))
def test_a_bookmark_can_be_stored_as_text(cursor: str, delivered: list[bytes]) -> None:
    bookmark = Bookmark(cursor, tuple(delivered))
    assert Bookmark.load(bookmark.dump()) == bookmark


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '["c", "?"]', "null"])
def test_anything_else_is_no_bookmark(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # JSON and base64 have their own words
        Bookmark.load(text)


def test_an_event_is_read_as_json() -> None:
    assert Event(data=b'{"n": 1}').json() == {"n": 1}
