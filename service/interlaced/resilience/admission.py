"""Admission: how many calls the whole process works on at once."""

from __future__ import annotations

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Request
from interlaced.resilience.permits import Permits
from interlaced.resilience.wiring import Wiring

__all__ = ["Admission", "AdmissionGate"]


class Admission:
    """The permits of the process; each branch of a fan-out takes one, being a call of its own.

    Beyond `limit` a call waits in one of `queue` places, within its deadline; beyond those it is
    shed at once with OVERLOADED, before any side effect, and told to come back in `retry_after`
    seconds. With no places, which is the default, nothing ever waits here.
    """

    __slots__ = ("permits", "retry_after")

    def __init__(self, limit: int, *, queue: int = 0, retry_after: float = 1.0) -> None:
        if limit < 1 or queue < 0:
            raise ValueError("admission needs at least one permit and no negative queue")
        self.permits = Permits(limit, queue)
        self.retry_after = retry_after

    @property
    def in_flight(self) -> int:
        """How many calls are being worked on."""
        return self.permits.held

    def failure(self) -> Failure:
        """What a call that is shed is told."""
        return Failure(
            Reason.OVERLOADED,
            "the service is working on as many calls as it admits",
            retry_after=self.retry_after,
            limit=str(self.permits.limit),
        )


class AdmissionGate:
    """Lets a call in if the process has room, else raises OVERLOADED with `retry_after`."""

    __slots__ = ("_admission", "_wiring", "leave", "revoke", "try_enter")

    def __init__(self, admission: Admission, wiring: Wiring) -> None:
        self._admission = admission
        self._wiring = wiring
        self.try_enter = admission.permits.try_take
        self.leave = self.revoke = admission.permits.give_back

    async def enter(self, request: Request) -> None:
        """Waits for a permit where there are places to wait."""
        admission = self._admission
        await self._wiring.queue(request, "admission", admission.permits, admission.failure)
