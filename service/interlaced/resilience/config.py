"""What people write under `policy:`, with the defaults that hold when they write nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from interlaced.core.backoff import Backoff
from interlaced.core.units import parse_share
from interlaced.schema.fields import BackoffField, Duration, RateField, Share, Strict

__all__ = [
    "BreakerConfig",
    "BulkheadConfig",
    "LimitConfig",
    "PolicyConfig",
    "RetryConfig",
    "Trip",
    "TripField",
    "parse_trip",
]

_TRIP = re.compile(r"failures *>= *(\d+(?:\.\d+)?%) of (\d{1,6}) calls")


@dataclass(frozen=True, slots=True)
class Trip:
    """A share of failures, and among how many calls at least."""

    share: float
    calls: int

    def __str__(self) -> str:
        return f"failures >= {self.share * 100:g}% of {self.calls} calls"


def parse_trip(text: str) -> Trip:
    """Reads `failures >= 50% of 20 calls`; ValueError says what is expected."""
    match = _TRIP.fullmatch(text.strip())
    trip = Trip(parse_share(match[1]), int(match[2])) if match else None
    if trip is None or trip.share == 0 or trip.calls == 0:
        raise ValueError("expected a rule such as: failures >= 50% of 20 calls")
    return trip


def _read_trip(value: object) -> object:
    return parse_trip(value) if isinstance(value, str) else value


TripField: TypeAlias = Annotated[
    Trip,
    BeforeValidator(_read_trip),
    PlainSerializer(str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^failures *>= *\d+(\.\d+)?% of \d{1,6} calls$",
            "examples": ["failures >= 50% of 20 calls"],
        }
    ),
]


class RetryConfig(Strict):
    """When a failed attempt is followed by another."""

    attempts: Annotated[int, Field(ge=1, le=5)] = 3
    """How often a call is tried, the first time included; 1 means never again."""

    backoff: BackoffField = Backoff(0.2, 5.0)
    """The waits between attempts: drawn between nothing and a ceiling that doubles."""

    budget: Share = 0.1
    """What retries may add to the connector's calls over ten seconds. One retry a second is
    always allowed, unless this is 0%. An operation with another share than its connector's has a
    budget of its own."""

    statuses: tuple[Annotated[int, Field(ge=100, le=599)], ...] | None = None
    """The HTTP statuses worth another try. Without it, what the connector calls temporary: 408,
    425, 429, 502, 503 and 504."""

    max_wait: Annotated[Duration, Field(ge=0, le=3600)] = 30.0
    """The longest wait that an upstream may ask for, by Retry-After or RateLimit; a call that
    would have to wait longer fails at once and says how long."""


class LimitConfig(Strict):
    """How fast the connector may ask its upstream."""

    rate: RateField
    """Attempts per time."""

    burst: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """How many may come at once after a quiet time."""

    when_full: Literal["wait", "fail"] = "wait"
    """Whether an attempt beyond the rate waits, within its deadline, or fails at once."""


class BreakerConfig(Strict):
    """When an upstream that fails is left alone, and for how long."""

    window: Annotated[Duration, Field(gt=0, le=3600)] = 10.0
    """Over how long the share of failures is taken."""

    trip: TripField = Trip(0.5, 20)
    """The share of failures that opens it, and among how many calls at least."""

    consecutive: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    """So many failures in a row open it as well."""

    open: Annotated[Duration, Field(gt=0, le=3600)] = 5.0
    """How long it stays open before a probe is let through."""

    probes: Annotated[int, Field(ge=1, le=100)] = 1
    """How many probes are let through, and must go well, before it closes."""


class BulkheadConfig(Strict):
    """How many attempts of the connector are under way at once."""

    in_flight: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Attempts on their way at once."""

    queue: Annotated[int, Field(ge=0, le=100_000)] = 128
    """Attempts that wait for a place; beyond them a call fails at once."""

    sleepers: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """Calls that sleep before their next attempt; beyond them a call is not tried again."""


class PolicyConfig(Strict):
    """The resilience of a connector or an operation.

    `limit`, `breaker` and `bulkhead` belong to the connector; an operation overrides only
    `deadline`, `attempt_timeout` and `retry`.
    """

    deadline: Annotated[Duration, Field(gt=0, le=300)] = 30.0
    """The longest that a call takes, whatever happens; a caller's own deadline may be sooner."""

    attempt_timeout: Annotated[Duration, Field(gt=0, le=300)] | None = 10.0
    """The longest that one attempt takes; null leaves it to the deadline."""

    retry: RetryConfig = RetryConfig()
    """When a failed attempt is followed by another."""

    limit: LimitConfig | None = None
    """How fast the connector may ask its upstream; without it, as fast as it is called."""

    breaker: BreakerConfig | None = BreakerConfig()
    """When an upstream that fails is left alone; null switches it off."""

    bulkhead: BulkheadConfig | None = BulkheadConfig()
    """How many attempts are under way at once; null switches it off."""

    def overlaid(self, over: Mapping[str, Any]) -> PolicyConfig:
        """Returns this policy with the keys of `over`, written as in YAML, laid over it.

        Mappings are laid over key by key; null switches off. Raises pydantic's ValidationError
        with the place of what is wrong.
        """
        return PolicyConfig.model_validate(_overlay(self, over))


def _overlay(model: Strict, over: Mapping[str, Any]) -> dict[str, Any]:
    """Merges field by field instead of by dumping: a dump rounds durations to six digits."""
    merged: dict[str, Any] = {name: getattr(model, name) for name in type(model).model_fields}
    for name, value in over.items():
        old = merged.get(name)
        if isinstance(old, Strict) and isinstance(value, Mapping):
            merged[name] = _overlay(old, value)
        else:
            merged[name] = value
    return merged
