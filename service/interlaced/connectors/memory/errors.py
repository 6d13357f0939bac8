"""The failures of the memory kind. No foreign library is inside, so the table holds our own."""

from __future__ import annotations

from interlaced.core.failure import Failure, Reached, Reason

__all__ = ["FAILURES", "failure"]

FAILURES: dict[str, tuple[Reason, str]] = {
    "full": (Reason.STORE_FULL, "the topic is full of events that a group has not settled"),
    "too_large": (Reason.TOO_LARGE, "the event is larger than its topic may be"),
    "stale": (Reason.UPSTREAM_CONFLICT, "the delivery has meanwhile been given to another"),
    "groups": (Reason.STORE_FULL, "the topic has as many groups as it may have"),
    "position": (Reason.BAD_CURSOR, "the position is not one of this feed"),
    "unacceptable": (
        Reason.UNACCEPTABLE_MEDIA_TYPE,
        "the body cannot be had in an accepted media type",
    ),
    "closed": (Reason.DRAINING, "the connector is closed"),
}
"""What can go wrong in the embedded broker."""


def failure(what: str, *, limit: int | None = None) -> Failure:
    """Returns the failure for an entry of the table, with the limit that was met, if any; the
    broker has answered, nothing is stored."""
    reason, message = FAILURES[what]
    if limit is None:
        return Failure(reason, message, reached=Reached.REPLIED)
    return Failure(reason, message, reached=Reached.REPLIED, limit=str(limit))
