"""One line of log per failure: how loud it is, and what it says that the caller is not told."""

from __future__ import annotations

from collections.abc import Mapping

from interlaced.core.failure import Failure, Reason
from interlaced.telemetry.log import log

__all__ = ["bug", "log_failure"]

_LEVELS: Mapping[Reason, str] = {
    # The operator's turn: no caller can mend it, and nobody else will tell.
    Reason.UPSTREAM_CREDENTIALS_REJECTED: "error",
    Reason.CALLER_CANCELLED: "debug",
}


def log_failure(event: str, failure: Failure, **fields: object) -> None:
    """Logs a failure as `event`; one that is a bug as `rpc.bug`, with its stack.

    What a foreign exception said is in the line and nowhere else.
    """
    cause = failure.__cause__
    if failure.reason is Reason.INTERNAL_ERROR:
        log.error("rpc.bug", exc_info=cause, **_facts(failure), **fields)
        return
    said = "" if cause is None else f"{type(cause).__name__}: {cause}"
    level = _LEVELS.get(failure.reason, "info")
    getattr(log, level)(event, cause=said, **_facts(failure), **fields)


def bug(error: BaseException) -> Failure:
    """Returns what the caller is told of a bug: a fixed text. The cause is kept for the log."""
    failure = Failure(Reason.INTERNAL_ERROR, "an internal error; the log has the details")
    failure.__cause__ = error
    return failure


def _facts(failure: Failure) -> dict[str, str]:
    connector, _, operation = failure.operation.partition(".")
    return {"reason": failure.reason.value, "connector": connector, "operation": operation}
