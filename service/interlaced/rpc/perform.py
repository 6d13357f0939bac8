"""Calls on their way into the core: under their own trace, and with a line of log if they fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from interlaced.core.failure import Failure
from interlaced.core.flights import Begin, Flight, Land
from interlaced.core.model import Call, Handler, Reply
from interlaced.rpc.failure_log import bug, log_failure
from interlaced.rpc.fitting import check_fit
from interlaced.rpc.trace import trace

__all__ = ["Performer"]


_MARGIN: Final = 65_536
"""Whatever is this much smaller than a message, in bytes, fits into one without a closer look."""


@dataclass(frozen=True, slots=True)
class Performer:
    """Performs a branch or a call of a session, and logs why one failed: the RPC around it may well
    succeed. Replies that no message of `limit` bytes could carry are TOO_LARGE. Whatever is no
    Failure is a bug and becomes INTERNAL_ERROR."""

    follow: Handler[Call, Reply]
    follow_at_once: Begin
    limit: float = math.inf

    async def __call__(self, call: Call) -> Reply:
        """Performs one call; raises Failure."""
        if call.metadata:
            trace(call)
        try:
            reply = await self.follow(call)
            check_fit(reply, self.limit, call)
        except Failure as failure:
            log_failure("call.failed", failure)
            raise
        except Exception as error:  # nothing foreign may leave the process
            told = bug(error).but(operation=f"{call.connector}.{call.operation}")
            log_failure("call.failed", told)
            raise told from error
        return reply

    def begin_for(self, land: Land) -> Callable[[Call], Flight | None]:
        """Returns what begins a call if nothing holds it up; see `BeginFor`. One with a trace of
        its own needs a task, whose context it is told in."""
        follow, least = self.follow_at_once, self.limit - _MARGIN

        def landed(flight: Flight, result: Reply | Failure | None) -> None:
            if isinstance(result, Reply) and len(result.payload.data) > least:
                try:
                    check_fit(result, self.limit, flight.call)
                except Failure as failure:
                    log_failure("call.failed", failure)
                    result = failure
            land(flight, result)

        def begin(call: Call) -> Flight | None:
            return None if call.metadata else follow(call, landed)

        return begin
