from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.seat import Seat
from interlaced.core.share import share_count, share_rate
from interlaced.core.units import Rate

COUNTS = st.integers(1, 64)


@given(whole=st.integers(0, 1_000_000), count=COUNTS)
def test_the_shares_of_a_count_add_up_to_the_whole_and_differ_by_one_at_most(
    whole: int, count: int
) -> None:
    shares = [share_count(whole, Seat(index, count)) for index in range(count)]
    assert sum(shares) == whole
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1


@given(whole=st.floats(0.001, 1e6), seconds=st.sampled_from([0.001, 1.0, 60.0]), count=COUNTS)
def test_the_shares_of_a_rate_add_up_to_the_whole(whole: float, seconds: float, count: int) -> None:
    shares = [share_rate(Rate(whole, seconds), Seat(index, count)) for index in range(count)]
    assert math.isclose(sum(each.per_second for each in shares), whole / seconds)
    assert str(shares[0])


@given(whole=st.integers(0, 1000))
def test_who_is_alone_has_it_all(whole: int) -> None:
    assert share_count(whole, Seat()) == whole
