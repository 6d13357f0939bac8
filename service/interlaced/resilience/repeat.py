"""Whether a request may be sent again, and what a failure means once it will not be."""

from __future__ import annotations

from dataclasses import dataclass

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Effect, Request

__all__ = ["Repeat"]


@dataclass(frozen=True, slots=True)
class Repeat:
    """What an operation declares about being done twice.

    `statuses` is the policy's own list of HTTP statuses worth another try; None leaves that to the
    connector, which says it with the failure's disposition.
    """

    effect: Effect
    takes_key: bool
    statuses: frozenset[int] | None = None

    def is_harmless(self, request: Request) -> bool:
        """Whether doing it twice does no harm, even if the first one was seen."""
        if self.effect is not Effect.UNSAFE:
            return True
        return self.takes_key and bool(request.idempotency_key)

    def can_retry(self, request: Request, failure: Failure) -> bool:
        """Whether another attempt is allowed and may help."""
        if not self._is_temporary(failure):
            return False
        if failure.reason is Reason.UPSTREAM_RATE_LIMITED:
            return True  # a 429 says that nothing was done
        return failure.reached is Reached.NOT_SENT or self.is_harmless(request)

    def as_final(self, request: Request, failure: Failure) -> Failure:
        """Returns what the caller is told when no further attempt follows.

        A write that may have been done becomes OUTCOME_UNKNOWN; what was temporary becomes
        PERSISTENT, which tells the caller that retries were spent here already.
        """
        told = self.as_told(request, failure)
        if told.disposition is Disposition.TEMPORARY:
            return told.but(disposition=Disposition.PERSISTENT)
        return told

    def as_told(self, request: Request, failure: Failure) -> Failure:
        """Returns OUTCOME_UNKNOWN for a write that may have been done, else the failure itself."""
        if failure.reached is Reached.MAYBE and not self.is_harmless(request):
            return _outcome_unknown(failure)
        return failure

    def _is_temporary(self, failure: Failure) -> bool:
        if self.statuses is not None:
            status = failure.context.get("upstream_status", "")
            if status.isascii() and status.isdigit():
                return int(status) in self.statuses
        return failure.disposition is Disposition.TEMPORARY


def _outcome_unknown(failure: Failure) -> Failure:
    if failure.reason is Reason.OUTCOME_UNKNOWN:
        return failure
    unknown = Failure(
        Reason.OUTCOME_UNKNOWN,
        "the request may have been carried out, and no answer settles it",
        reached=Reached.MAYBE,
        retry_after=failure.retry_after,
        because=failure.reason.value,
        upstream_status=failure.context.get("upstream_status", ""),
    ).but(operation=failure.operation)
    unknown.__cause__ = failure
    return unknown
