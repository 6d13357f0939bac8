"""Durations, rates, sizes and shares."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.units import (
    format_duration,
    format_size,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("2s", 2), ("1.5s", 1.5), ("5m", 300), ("7d", 604800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "s", "-1s", "2 s", "1e3s", "2S", "\u0663s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(1, 10**7))
def test_a_whole_number_of_milliseconds_survives_being_written_and_read(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_rates_sizes_and_shares() -> None:
    assert parse_rate("120/m").per_second == 2
    assert str(parse_rate("50/s")) == "50/s"
    assert parse_size("4MiB") == 4 * 1024 * 1024
    assert format_size(16 * 1024 * 1024) == "16MiB"
    assert format_size(1000) == "1000B"
    assert parse_share("10%") == 0.1
    for parse, text in ((parse_rate, "0/s"), (parse_size, "4"), (parse_share, "101%")):
        with pytest.raises(ValueError, match="expected"):
            parse(text)
