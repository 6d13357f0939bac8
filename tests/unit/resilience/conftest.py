"""Every promise of the policies is kept on both ways of a call: with a task, and in flight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from policy_rig import IN_FLIGHT


@pytest.fixture(params=[False, True], ids=["task", "flight"], autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs each test once on each way."""
    before = IN_FLIGHT.set(request.param)
    yield
    IN_FLIGHT.reset(before)
