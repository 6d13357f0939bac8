"""Calls on their way into the core: under their own trace, and with a line of log if they fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from interlaced.core.failure import Failure
from interlaced.core.model import Call, Handler, Reply
from interlaced.rpc.failure_log import bug, log_failure
from interlaced.rpc.fitting import check_fit
from interlaced.rpc.trace import trace

__all__ = ["Perform", "performing_within"]

Perform: TypeAlias = Callable[[Call], Coroutine[Any, Any, Reply]]
"""Performs one call; raises Failure."""


def performing_within(follow: Handler[Call, Reply], *, limit: float = math.inf) -> Perform:
    """Returns what performs a branch or a call of a session, and logs why one failed: the RPC
    around it may well succeed. Replies that no message of `limit` bytes could carry are TOO_LARGE.
    Whatever is no Failure is a bug and becomes INTERNAL_ERROR."""

    async def run(call: Call) -> Reply:
        if call.metadata:
            trace(call)
        try:
            reply = await follow(call)
            check_fit(reply, limit, call)
        except Failure as failure:
            log_failure("call.failed", failure)
            raise
        except Exception as error:  # nothing foreign may leave the process
            told = bug(error).but(operation=f"{call.connector}.{call.operation}")
            log_failure("call.failed", told)
            raise told from error
        return reply

    return run
