from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from interlaced.core.failure import Failure, Reason
from interlaced.rpc.failure_log import bug, log_failure


@pytest.mark.parametrize(
    ("reason", "level"),
    [
        (Reason.UPSTREAM_CREDENTIALS_REJECTED, "error"),
        (Reason.INVALID_REQUEST, "info"),
        (Reason.UPSTREAM_UNAVAILABLE, "info"),
        (Reason.CALLER_CANCELLED, "debug"),
    ],
)
def test_how_loud_a_failure_is(reason: Reason, level: str) -> None:
    """API.md section 6: what only the operator can mend is an alert."""
    failure = Failure(reason, "a fixed text").but(operation="shop.Get")
    failure.__cause__ = ValueError("what the library said")
    with capture_logs() as records:
        log_failure("rpc.failed", failure, method="s/Call")
    assert records == [
        {
            "event": "rpc.failed",
            "log_level": level,
            "cause": "ValueError: what the library said",
            "reason": reason.value,
            "connector": "shop",
            "operation": "Get",
            "method": "s/Call",
        }
    ]


def test_a_bug_comes_with_its_stack() -> None:
    error = ValueError("inside")
    with capture_logs() as records:
        log_failure("rpc.failed", bug(error), method="s/Call")
    ((event, level, cause),) = [(r["event"], r["log_level"], r["exc_info"]) for r in records]
    assert (event, level, cause) == ("rpc.bug", "error", error)
