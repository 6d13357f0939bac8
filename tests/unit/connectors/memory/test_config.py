"""What a memory manifest may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlaced.connectors.memory.config import AckConfig, Config
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Reason
from interlaced.core.model import Effect


def config(**parts: Any) -> Config:
    return Config.model_validate({"upstream": {"memory": "main"}, **parts})


def test_everything_has_a_default() -> None:
    made = config(feeds={"Orders": {}}, sinks={"Orders": {}}, operations={"Get": {}})
    assert made.upstream.keep_events == 10_000
    assert made.feeds["Orders"].ack == AckConfig()
    assert made.feeds["Orders"].ack.backoff == Backoff(0.2, 30.0)
    assert made.operations["Get"].effect is Effect.SAFE


def test_a_failure_is_named_by_its_reason() -> None:
    made = config(operations={"Get": {"fail": {"reason": "UPSTREAM_TIMEOUT", "times": 2}}})
    assert made.operations["Get"].fail is not None
    assert made.operations["Get"].fail.reason is Reason.UPSTREAM_TIMEOUT


@pytest.mark.parametrize(
    "parts",
    [
        {"operations": {"Get": {"reply": {}, "echo": True}}},
        {"operations": {"Get": {"fail": {"reason": "NO_SUCH"}}}},
        {"operations": {"Get": {"replay": {}}}},
        {"feeds": {"Orders.dead": {}}},
        {"feeds": {"Orders": {"ack": {"max_deliver": 0}}}},
        {"upstream": {"memory": ""}},
        {"upstream": {"memory": "main", "keep_events": 0}},
    ],
)
def test_what_makes_no_sense_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**parts)
