from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlaced.core.seat import Seat
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.share import Unshareable, find_unshareable, share_policy


def policy(**over: Any) -> PolicyConfig:
    return PolicyConfig().overlaid(over)


@given(
    count=st.integers(1, 16),
    burst=st.integers(16, 1000),
    in_flight=st.integers(16, 1000),
    queue=st.integers(0, 1000),
    sleepers=st.integers(0, 1000),
)
def test_the_limits_of_all_workers_together_are_those_of_the_manifest(
    count: int, burst: int, in_flight: int, queue: int, sleepers: int
) -> None:
    whole = policy(
        limit={"rate": "50/s", "burst": burst},
        bulkhead={"in_flight": in_flight, "queue": queue, "sleepers": sleepers},
    )
    limits, bulkheads = [], []
    for index in range(count):
        mine = share_policy(whole, Seat(index, count))
        assert mine.limit is not None
        assert mine.bulkhead is not None
        limits.append(mine.limit)
        bulkheads.append(mine.bulkhead)
        assert (mine.deadline, mine.breaker, mine.retry) == (
            whole.deadline,
            whole.breaker,
            whole.retry,
        )
    assert sum(each.burst for each in limits) == burst
    assert math.isclose(sum(each.rate.per_second for each in limits), 50)
    assert sum(each.in_flight for each in bulkheads) == in_flight
    assert sum(each.queue for each in bulkheads) == queue
    assert sum(each.sleepers for each in bulkheads) == sleepers
    assert all(each.burst >= 1 for each in limits)
    assert all(each.in_flight >= 1 for each in bulkheads)


def test_who_is_alone_keeps_the_very_policy() -> None:
    whole = policy(limit={"rate": "1/s", "burst": 1})
    assert share_policy(whole, Seat()) is whole
    assert list(find_unshareable(whole, Seat())) == []


def test_what_is_switched_off_stays_off() -> None:
    mine = share_policy(policy(bulkhead=None), Seat(1, 2))
    assert (mine.limit, mine.bulkhead) == (None, None)


def test_a_limit_below_the_number_of_workers_is_found() -> None:
    tight = policy(limit={"rate": "1/s", "burst": 2}, bulkhead={"in_flight": 1, "queue": 0})
    assert list(find_unshareable(tight, Seat(0, 2))) == [
        Unshareable(("bulkhead", "in_flight"), 1),
    ]
    assert list(find_unshareable(tight, Seat(0, 3))) == [
        Unshareable(("bulkhead", "in_flight"), 1),
        Unshareable(("limit", "burst"), 2),
    ]
