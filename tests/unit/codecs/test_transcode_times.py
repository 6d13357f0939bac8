"""A list of times is written as protobuf writes it, or left alone."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from rich_proto import POOL, Rich
from wire_rig import WAYS, load

from interlaced.codecs import transcode_times
from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode import Transcoder
from interlaced.codecs.wellknown import read_moment

TAG = Rich.DESCRIPTOR.fields_by_name["many_timestamp"].number << 3 | 2


@cache
def writer(name: str) -> Any:
    """The module as it is imported, or from its source."""
    if name == "as it is imported":
        return transcode_times
    kept = dict(sys.modules)
    try:
        return load("interlaced.codecs.transcode_times")
    finally:
        sys.modules.update(kept)


def read(name: str, *texts: str) -> list[tuple[int, int]]:
    made: Any = Rich.FromString(writer(name).write_times(TAG, list(texts)))
    return [(time.seconds, time.nanos) for time in made.many_timestamp]


each_way = pytest.mark.parametrize("name", WAYS)


@each_way
@settings(max_examples=500)
@given(
    times=st.lists(
        st.tuples(st.integers(-62135596800, 253402300799), st.integers(0, 999_999_999))
        | st.tuples(st.integers(0, 2**32), st.sampled_from([0, 10**6, 1000, 120_000_000])),
        max_size=4,
    )
)
def test_every_time_comes_back(name: str, times: list[tuple[int, int]]) -> None:
    texts = [Timestamp(seconds=seconds, nanos=nanos).ToJsonString() for seconds, nanos in times]
    assert read(name, *texts) == times


@each_way
@pytest.mark.parametrize(
    "text",
    [
        "2020-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00.1Z", "1969-12-31T23:59:59.5Z",
        "2020-01-31T00:00:00.12Z", "2020-03-01T00:00:00.000000001Z", "1900-03-01T00:00:00Z",
    ],
)  # fmt: skip
def test_edges_are_read_as_by_the_reader_of_one_time(name: str, text: str) -> None:
    assert read(name, text, text) == [read_moment(text)] * 2


@each_way
@pytest.mark.parametrize(
    "text",
    [
        "", "Z", "2020-02-29", "2020-02-30T00:00:00Z", "2021-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2020-00-01T00:00:00Z", "2020-13-01T00:00:00Z", "2020-01-00T00:00:00Z",
        "2020-04-31T00:00:00Z", "0000-01-01T00:00:00Z", "2020-01-01T24:00:00Z",
        "2020-01-01T00:60:00Z", "2020-01-01T00:00:60Z", "2020-01-01t00:00:00Z",
        "2020-01-01T00:00:00z", "2020-01-01 00:00:00Z", "2020/01-01T00:00:00Z",
        "2020-01/01T00:00:00Z", "2020-01-01T00-00:00Z", "2020-01-01T00:00-00Z",
        "2020-01-01T00:00:00.Z", "2020-01-01T00:00:00,5Z", "2020-01-01T00:00:00.5",
        "2020-01-01T00:00:00.1234567890Z", "2020-01-01T00:00:00.5 Z", "+020-01-01T00:00:00Z",
        "2020-01-01T00:00:00+00:00", "٢٠٢٠-01-01T00:00:00Z", "2020-01-01T00:00:0\uff10Z",
        "2020-01-01T00:00:00.\u0665Z", "2020-01-01T00:00:00é",
    ],
)  # fmt: skip
def test_every_other_text_is_left_alone(name: str, text: str) -> None:
    with pytest.raises(writer(name).UnusualTime):
        read(name, "2020-01-01T00:00:00Z", text)


@pytest.mark.parametrize("by_wire", [True, False])
def test_what_is_left_alone_is_read_one_by_one(by_wire: bool) -> None:
    rich = Transcoder(Rich, pool=POOL, by_wire=by_wire)
    made: Any = rich.from_json(
        b'{"manyTimestamp": ["2020-01-01T00:00:00+01:00", "1970-01-01T00:00:01Z"]}'
    )
    assert [time.seconds for time in made.many_timestamp] == [1577833200, 1]
    for wrong in (b'"2020-01-01"', b"5", b"null", b'"2021-02-29T00:00:00Z"'):
        with pytest.raises(CodecError) as caught:
            rich.from_json(b'{"manyTimestamp": ["1970-01-01T00:00:01Z", %b]}' % wrong)
        assert caught.value.place.startswith("manyTimestamp")


@each_way
def test_a_long_tag_is_written_whole(name: str) -> None:
    written = writer(name).write_times(2**29 - 1 << 3 | 2, ["1970-01-01T00:00:00Z"])
    assert written == b"\xfa\xff\xff\xff\x0f\x02\x08\x00"
