"""P12: numbers that a double holds, and those that it would round."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.codecs.codec import CodecError
from interlaced.codecs.doubles import SAFE_DIGITS, read_double


@pytest.mark.parametrize(
    "text",
    [
        "0.1",
        "1.10",
        "-0.0",
        "1E5",
        "5e-324",
        "-65.613616999999977",
        "0e99999999999999999999",
        "1e5",
        "1.5e-310",
        "1e308",
    ],
)
def test_what_a_double_holds_is_read(text: str) -> None:
    assert read_double(text) == float(text)


@pytest.mark.parametrize(
    "text",
    ["1e400", "1e-400", "9007199254740993.0", "0.1234567890123456789", "123456789012345e-330"],
)
def test_what_a_double_would_round_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        read_double(text)


@given(st.integers(0, 10**SAFE_DIGITS - 1), st.integers(0, SAFE_DIGITS))
def test_the_safe_digits_come_back_wherever_the_point_is(digits: int, point: int) -> None:
    """What `usual` relies on, where it reads numbers without looking at them."""
    whole, part = divmod(digits, 10**point)
    text = f"{whole}.{part:0{point}d}" if point else f"{whole}.0"
    assert f"{float(text):.{point}f}" == (text if point else str(whole))
    assert read_double(text) == float(text)
