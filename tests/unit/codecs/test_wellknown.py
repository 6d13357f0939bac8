"""Numbers, bytes, times and paths as JSON spells them, against protobuf's own."""

from __future__ import annotations

import math
import struct
from decimal import Decimal

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from interlaced.codecs import wellknown
from interlaced.codecs.codec import CodecError
from interlaced.codecs.transcode import Transcoder

STAMPS = Transcoder(Timestamp)
SECONDS = st.integers(-62135596800, 253402300799)
NANOS = st.sampled_from([0, 1, 1000, 1_000_000, 120_000_000, 999_999_999]) | st.integers(
    0, 999_999_999
)


@given(SECONDS, NANOS)
def test_times_are_spelled_as_protobuf_spells_them(seconds: int, nanos: int) -> None:
    stamp = Timestamp(seconds=seconds, nanos=nanos)
    assert STAMPS.to_data(stamp) == stamp.ToJsonString()
    assert Timestamp(**wellknown.read_timestamp(stamp.ToJsonString())) == stamp


@given(st.integers(0, 315576000000), NANOS, st.sampled_from([1, -1]))
def test_durations_are_spelled_as_protobuf_spells_them(seconds: int, nanos: int, sign: int) -> None:
    span = Duration(seconds=sign * seconds, nanos=sign * nanos)
    assert wellknown.print_duration(span) == span.ToJsonString()
    assert Duration(**wellknown.read_duration(span.ToJsonString())) == span


def test_offsets_move_a_time() -> None:
    read = wellknown.read_timestamp
    assert read("1970-01-01T01:30:00+01:30") == {"seconds": 0, "nanos": 0}
    assert read("1969-12-31T23:00:00.25-01:00") == {"seconds": 0, "nanos": 250_000_000}


@pytest.mark.parametrize("decimals", ["5", "25", "1234", "12345", "1234567", "12345678"])
@pytest.mark.parametrize("offset", ["Z", "+00:00", "-00:00"])
def test_every_number_of_decimals_is_read_in_utc_and_with_an_offset(
    decimals: str, offset: str
) -> None:
    want = (1582981445, int(decimals.ljust(9, "0")))
    assert wellknown.read_moment(f"2020-02-29T13:04:05.{decimals}{offset}") == want


@pytest.mark.parametrize(
    "text",
    [
        "2020-02-29T24:00:00Z",
        "2020-02-29T13:60:00Z",
        "2020-02-29T13:00:60Z",
        "2021-02-29T13:00:00Z",
        "2020-02-29t13:00:00Z",
        "2020-02-29 13:00:00Z",
        "2020-02-29T13:00:00z",
        "2020-02-29T13:00:00",
        "2020-02-29T13:00Z",
        "2020-02-29T13:00:00.Z",
        "2020-02-29T13:00:00.1234567890Z",
        "2020-02-29T13:00:00.000 00Z",
        "2020-02-29T13:00:00.00_000Z",
        "2020-02-29T13:00:00.00000+Z",
        "2020-02-29T13:00:00.00000٣Z",
        "2020-02-29T13:00:00.000000٣00Z",
        "2020-02-29T1٣:00:00Z",
        "2020-02-29T13:00:00.00000000-Z",
        "2020-02-29T13:00:00.000000 00Z",
        "2020-02-29T13:00:00,000Z",
        "2020-02-29T13:00:00.000",
        "2020-02-29T13:00:00.00",
        "2020-02-29T13:00:00Z000Z",
        "2020-02-29T13:00:00.000000",
        "2020-02-29T13:00:00.000000z",
        "2020-02-29T13:00:00.000ZZ",
        "2020-02-29T13:00:00ZZ",
        "2020-02-29T-1:00:00Z",
        "2020-W09-6T13:00:00Z",
        "0000-01-01T00:00:00Z",
        "",
        "Z",
        "now",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    for _ in range(2):  # a cache learns nothing from a refusal
        with pytest.raises(CodecError):
            wellknown.read_moment(text)


def test_more_hours_than_are_kept_are_read_and_printed_all_the_same() -> None:
    first = 1_000_000_800
    for seconds in range(first, first + 17000 * 3600, 3600):
        text = STAMPS.to_data(Timestamp(seconds=seconds))
        assert wellknown.read_moment(str(text)) == (seconds, 0)
    assert len(wellknown.HOUR_TEXTS) < 17000


def test_a_duration_is_read_with_any_number_of_decimals_or_refused() -> None:
    read = wellknown.read_span
    assert read("5s") == (5, 0)
    assert [read(f"-1.{text}s") for text in ("5", "500", "000001")] == [
        (-1, -500_000_000), (-1, -500_000_000), (-1, -1000)
    ]  # fmt: skip
    assert read("315576000000.500s") == (315576000000, 500_000_000)
    for odd in (
        "1.s",
        ".500s",
        "+1.500s",
        "1_0.500s",
        " 1.500s",
        "٣.500s",
        "1.5000000001s",
        "1.500",
    ):
        with pytest.raises(CodecError):
            read(odd)


@pytest.mark.parametrize(
    "stamp",
    [
        Timestamp(seconds=253402300800),
        Timestamp(seconds=-62135596801),
        Timestamp(nanos=-1),
        Timestamp(nanos=10**9),
        Timestamp(seconds=2**62),
    ],
)
def test_times_beyond_the_calendar_are_not_printed(stamp: Timestamp) -> None:
    with pytest.raises(CodecError):
        STAMPS.to_data(stamp)


@pytest.mark.parametrize(
    "span", [Duration(seconds=315576000001), Duration(seconds=1, nanos=-1), Duration(nanos=10**9)]
)
def test_durations_that_are_none_are_not_printed(span: Duration) -> None:
    with pytest.raises(CodecError):
        wellknown.print_duration(span)


def test_paths_change_their_case_and_come_back() -> None:
    mask = FieldMask(paths=["a_b.c", "d", "e_f_g"])
    assert wellknown.print_field_mask(mask) == "aB.c,d,eFG"
    assert FieldMask(**wellknown.read_field_mask("aB.c,d,eFG")) == mask
    for odd in (["aB"], ["a_"], ["a_1"], ["a,b"], [""]):
        with pytest.raises(CodecError):
            wellknown.print_field_mask(FieldMask(paths=odd))


@given(st.binary(max_size=20))
def test_base64_of_either_alphabet_is_read(data: bytes) -> None:
    import base64

    for text in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
        assert wellknown.read_bytes(text.decode()) == data
        assert wellknown.read_bytes(text.decode().rstrip("=")) == data


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_printed_float_is_the_same_float(number: float) -> None:
    short = wellknown.print_float(number)
    assert struct.pack("<f", short) == struct.pack("<f", number)
    assert len(repr(short)) <= len(repr(number))


@pytest.mark.parametrize(
    "value",
    [2**31, -(2**31) - 1, 1.5, Decimal("1e-999999"), Decimal("1e999999"), True, None, "1.5"],
)
def test_an_integer_field_takes_no_more_than_it_holds(value: object) -> None:
    with pytest.raises(CodecError):
        wellknown.read_integer(value, -(2**31), 2**31 - 1)


def test_an_integer_is_read_from_each_spelling_exactly() -> None:
    for value in (5, 5.0, Decimal("5.0"), "5", "5.0", "0.5e1", "+5", "05"):
        assert wellknown.read_integer(value, 0, 9) == 5
    exact = Decimal("9007199254740993.0")
    assert wellknown.read_integer(exact, 0, 2**63) == 2**53 + 1


def test_doubles_and_floats_take_what_they_hold() -> None:
    assert wellknown.read_double("-Infinity") == float("-inf")
    assert wellknown.read_double(2**60) == 2.0**60
    assert wellknown.read_float(Decimal("0.1")) == 0.1
    for value in (2**53 + 1, "1e400", 10**400, True, "inf", float("nan"), None):
        with pytest.raises(CodecError):
            wellknown.read_double(value)
    for value in (2**24 + 1, 1e39, "1e39"):
        with pytest.raises(CodecError):
            wellknown.read_float(value)


def test_the_text_of_minus_zero_keeps_its_sign() -> None:
    for read in (wellknown.read_double, wellknown.read_float):
        assert [math.copysign(1, read(text)) for text in ("-0", "-0.0", "0", "+0")] == [
            -1,
            -1,
            1,
            1,
        ]


def test_nanos_are_known_by_what_stands_behind_milliseconds_of_utc_alone() -> None:
    known = wellknown.REST_NANOS
    texts = ("Z", "5Z", "50Z", "500Z", "0001Z", "000001Z", "123456Z")
    assert [known[text] for text in texts] == [0, 500_000, 500_000, 500_000, 100, 1, 123_456]
    size = len(known)
    for text in ("", "5z", "5", "+01:00", "1234567Z", "12345xZ", "\u0661Z", "1_345Z", "-12Z"):
        with pytest.raises(KeyError):
            known[text]
    assert len(known) == size
