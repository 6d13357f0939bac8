"""Limits of subscriptions are checked, and streams end at different times."""

from __future__ import annotations

import math
from random import Random

import pytest
from feed_rig import ScriptedFeed

from interlaced.core.cursor import Origin
from interlaced.core.failure import Failure
from interlaced.core.feed_settings import (
    HubSettings,
    check_range,
    leave_at,
    limits_of,
    start_place,
)
from interlaced.core.frame import Overflow, OverflowPolicy, Wishes
from interlaced.core.ports import Start, StartKind
from interlaced.testing.clock import VirtualClock


def test_defaults_are_the_hubs_own() -> None:
    limits = limits_of(Wishes(), HubSettings(), clock=VirtualClock(), random=Random(1))
    assert (limits.heartbeat, limits.buffer, limits.timeout) == (15.0, 1000, 30.0)
    assert limits.leave_at == math.inf


def test_wishes_within_the_limits_are_granted() -> None:
    wishes = Wishes(heartbeat=300.0, overflow=Overflow(OverflowPolicy.BLOCK, 10_000, 300.0))
    limits = limits_of(wishes, HubSettings(), clock=VirtualClock(), random=Random(1))
    assert (limits.heartbeat, limits.buffer, limits.timeout) == (300.0, 10_000, 300.0)


@pytest.mark.parametrize("value", [0, 11, math.nan, math.inf])
def test_a_value_out_of_range_names_its_field_and_the_range(value: float) -> None:
    with pytest.raises(Failure) as refused:
        check_range("heartbeat", value, low=1.0, high=10.0, unit=" s")
    assert refused.value.fields[0].field == "heartbeat"
    assert refused.value.fields[0].description == "must be from 1 s to 10 s"


def test_streams_leave_before_nine_tenths_of_the_age_and_not_together() -> None:
    clock, random = VirtualClock(), Random(1)
    settings = HubSettings(max_age=100.0)
    times = [leave_at(settings, clock, random) - clock.now() for _ in range(50)]
    assert all(50 < time < 90 for time in times)
    assert len(set(times)) == 50


def test_only_a_feed_that_replays_starts_at_a_time() -> None:
    at_noon = Wishes(start=Start(StartKind.TIME, time=12.0))
    with pytest.raises(Failure) as refused:
        start_place(at_noon, ScriptedFeed())
    assert refused.value.fields[0].field == "start.time"
    place = start_place(at_noon, ScriptedFeed(replays=True))
    assert place is not None
    assert (place.origin, place.time) == (Origin.TIME, 12.0)
    assert start_place(Wishes(), ScriptedFeed()) is None
