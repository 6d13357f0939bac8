"""Proposals name the nearest key or name that exists."""

import pytest

from interlaced.manifest.propose import propose_key, propose_name
from interlaced.manifest.schema import connector_schema, policy_schema
from interlaced.manifest.shape import Shape

POLICY = Shape.of(policy_schema()).at("policies").at("any")


@pytest.mark.parametrize(
    ("key", "proposal"),
    [
        ("retries", "retry.attempts"),
        ("deadlien", "deadline"),
        ("timeout", "deadline"),
        ("attemptTimeout", "attempt_timeout"),
        ("in_flihgt", "bulkhead.in_flight"),
        ("circuit_breaker", "breaker"),
        ("Max-Attempts", "retry.attempts"),
    ],
)
def test_a_key_is_proposed_across_levels(key: str, proposal: str) -> None:
    assert propose_key(POLICY, key) == f"did you mean '{proposal}'?"


def test_a_section_is_proposed_for_a_section() -> None:
    assert propose_key(POLICY, "retri", is_scalar=False) == "did you mean 'retry'?"
    upstream = Shape.of(connector_schema("rest")).at("upstream")
    assert propose_key(upstream, "url") == "did you mean 'rest'?"


def test_nothing_near_gives_nothing() -> None:
    assert propose_key(POLICY, "zzzzzz") == ""
    assert propose_key(Shape.of({"type": "object"}), "retries") == ""


def test_names() -> None:
    assert propose_name("vendor-defualt", ["vendor-default"]) == "did you mean 'vendor-default'?"
    assert propose_name("zzz", ["b", "a"]) == "there is a, b"
    assert propose_name("zzz", []) == ""
