"""The failures of the embedded broker."""

from __future__ import annotations

import pytest

from interlaced.connectors.memory.errors import FAILURES, failure
from interlaced.core.failure import Reached


@pytest.mark.parametrize("what", sorted(FAILURES))
def test_each_entry_makes_its_failure(what: str) -> None:
    made = failure(what)
    assert (made.reason, made.message) == FAILURES[what]
    assert made.reached is Reached.REPLIED
    assert made.context == {}


def test_a_limit_is_named() -> None:
    assert failure("full", limit=7).context == {"limit": "7"}
