"""Replies that fit into a message, and what is told of those that do not."""

from __future__ import annotations

from interlaced.core.failure import Failure, Reached
from interlaced.core.model import Call, Reply
from interlaced.rpc.scope import check_size

__all__ = ["check_fit", "check_reply"]

_AROUND = 4096
"""Room for what stands around a payload in an outcome: names, effort, ledger."""


def check_reply(size: int, limit: int, call: Call) -> None:
    """Raises TOO_LARGE for a reply of more than `limit` bytes."""
    try:
        check_size(size, limit, "the reply", reached=Reached.REPLIED)
    except Failure as failure:
        raise failure.but(
            operation=f"{call.connector}.{call.operation}",
            attempts=str(call.effort.attempts),
        ) from None


def check_fit(reply: Reply, limit: float, call: Call) -> None:
    """Raises TOO_LARGE for a reply that no message of `limit` bytes could carry, so that a branch
    counts as what its outcome says."""
    payload = reply.payload
    size = len(payload.data) + len(payload.media_type) + _AROUND
    if size > limit:
        check_reply(size, int(limit), call)
