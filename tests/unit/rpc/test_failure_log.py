from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Effort, Reply
from interlaced.rpc.failure_log import bug, log_failure, logged


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


async def test_a_branch_or_a_call_of_a_session_tells_why_it_failed() -> None:
    async def perform(call: Call) -> Reply:
        if call.operation == "Bug":
            raise ValueError("secret")
        raise Failure(Reason.UPSTREAM_FAILED, "broken").but(operation="shop.Get")

    def call(operation: str) -> Call:
        return Call(deadline=1.0, effort=Effort(0.0), connector="shop", operation=operation)

    with capture_logs() as records:
        with pytest.raises(Failure, match="broken"):
            await logged(perform)(call("Get"))
        with pytest.raises(Failure, match="an internal error; the log has the details"):
            await logged(perform)(call("Bug"))
    told = [(each["event"], each["reason"], each["operation"]) for each in records]
    assert told == [
        ("call.failed", "UPSTREAM_FAILED", "Get"),
        ("rpc.bug", "INTERNAL_ERROR", "Bug"),
    ]
