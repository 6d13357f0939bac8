"""What people write under `policy:`."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from interlaced.core.backoff import Backoff
from interlaced.core.units import Rate
from interlaced.resilience.config import (
    BreakerConfig,
    BulkheadConfig,
    LimitConfig,
    PolicyConfig,
    RetryConfig,
    Trip,
    parse_trip,
)
from interlaced.schema.docs import docs_of

EXAMPLE = {
    "deadline": "10s",
    "attempt_timeout": "2s",
    "retry": {"attempts": 4, "backoff": "200ms..5s full-jitter", "budget": "20%"},
    "limit": {"rate": "50/s", "burst": 10, "when_full": "wait"},
    "breaker": {
        "window": "30s",
        "trip": "failures >= 50% of 20 calls",
        "open": "15s",
        "probes": 3,
    },
    "bulkhead": {"in_flight": 64, "queue": 128},
}


def test_the_defaults_are_the_documented_ones():
    policy = PolicyConfig()
    assert (policy.deadline, policy.attempt_timeout) == (30.0, 10.0)
    assert (policy.retry.attempts, policy.retry.budget) == (3, 0.1)
    assert policy.breaker == BreakerConfig(
        window=10.0, trip=Trip(0.5, 20), consecutive=5, open=5.0, probes=1
    )
    assert (policy.bulkhead.in_flight, policy.bulkhead.queue) == (64, 128)
    assert policy.limit is None


def test_the_example_is_read():
    policy = PolicyConfig.model_validate(EXAMPLE)
    assert policy.retry.backoff == Backoff(0.2, 5.0)
    assert policy.retry.budget == 0.2
    assert policy.limit.rate == Rate(50.0, 1.0)
    assert policy.breaker.trip == Trip(0.5, 20)
    assert policy.breaker.open == 15.0


def test_an_overlay_changes_only_what_it_names():
    policy = PolicyConfig.model_validate(EXAMPLE)
    over = policy.overlaid({"deadline": "8s", "retry": {"statuses": [429], "max_wait": "10s"}})
    assert over.deadline == 8.0
    assert over.retry.attempts == 4
    assert over.retry.statuses == (429,)
    assert over.retry.max_wait == 10.0
    assert over.breaker == policy.breaker
    assert policy.deadline == 10.0


def test_an_overlay_keeps_durations_exactly():
    policy = PolicyConfig(deadline=12.345678912)
    assert policy.overlaid({}).deadline == 12.345678912


def test_an_overlay_switches_off_and_on_again():
    off = PolicyConfig().overlaid({"breaker": None, "bulkhead": None, "attempt_timeout": None})
    assert (off.breaker, off.bulkhead, off.attempt_timeout) == (None, None, None)
    on = off.overlaid({"breaker": {"consecutive": 3}, "limit": {"rate": "5/s"}})
    assert on.breaker.consecutive == 3
    assert on.limit.burst == 10


@pytest.mark.parametrize(
    ("over", "place"),
    [
        ({"retries": 4}, ("retries",)),
        ({"retry": {"retries": 4}}, ("retry", "retries")),
        ({"retry": {"attempts": 6}}, ("retry", "attempts")),
        ({"retry": {"attempts": 0}}, ("retry", "attempts")),
        ({"retry": None}, ("retry",)),
        ({"deadline": "0s"}, ("deadline",)),
        ({"deadline": "10m"}, ("deadline",)),
        ({"deadline": "soon"}, ("deadline",)),
        ({"limit": {"rate": "0/s"}}, ("limit", "rate")),
        ({"limit": {"rate": "5/s", "when_full": "panic"}}, ("limit", "when_full")),
        ({"breaker": {"trip": "often"}}, ("breaker", "trip")),
        ({"breaker": {"probes": 0}}, ("breaker", "probes")),
        ({"bulkhead": {"in_flight": 0}}, ("bulkhead", "in_flight")),
    ],
)
def test_what_is_wrong_is_named_with_its_place(over, place):
    """R1, R19: no unlimited retries, and nothing else without a bound."""
    with pytest.raises(ValidationError) as refused:
        PolicyConfig().overlaid(over)
    assert place in [error["loc"] for error in refused.value.errors()]


@pytest.mark.parametrize("text", ["failures >= 50% of 20 calls", "failures>=12.5% of 1 calls"])
def test_a_trip_rule_is_read(text: str):
    assert parse_trip(text) == parse_trip(str(parse_trip(text)))


@pytest.mark.parametrize(
    "text",
    ["", "failures", "failures >= 0% of 20 calls", "failures >= 50% of 0 calls",
     "failures >= 150% of 20 calls", "failures > 50% of 20 calls"],
)  # fmt: skip
def test_a_senseless_trip_rule_is_refused(text: str):
    with pytest.raises(ValueError, match="expected a"):
        parse_trip(text)


@pytest.mark.parametrize(
    "model", [PolicyConfig, RetryConfig, LimitConfig, BreakerConfig, BulkheadConfig]
)
def test_every_key_is_documented_and_in_the_schema(model):
    assert set(docs_of(model)) == set(model.model_fields)
    assert set(model.model_json_schema()["properties"]) == set(model.model_fields)
