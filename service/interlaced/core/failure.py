"""The one exception class of the house, and the two that speak for a feed's connection."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = [
    "DEFAULTS",
    "Disposition",
    "EndOfFeed",
    "Failure",
    "FieldViolation",
    "Kind",
    "NotConnected",
    "Reached",
    "Reason",
]


class Reason(enum.StrEnum):
    """The stable code of a failure; equal to `interlace.v1.ErrorReason` without its prefix."""

    INVALID_REQUEST = "INVALID_REQUEST"
    UNACCEPTABLE_MEDIA_TYPE = "UNACCEPTABLE_MEDIA_TYPE"
    BAD_CURSOR = "BAD_CURSOR"
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    UNKNOWN_CONNECTOR = "UNKNOWN_CONNECTOR"
    UNKNOWN_OPERATION = "UNKNOWN_OPERATION"
    UNKNOWN_FEED = "UNKNOWN_FEED"
    UPSTREAM_NOT_FOUND = "UPSTREAM_NOT_FOUND"
    CALLER_UNAUTHENTICATED = "CALLER_UNAUTHENTICATED"
    CALLER_DENIED = "CALLER_DENIED"
    EGRESS_DENIED = "EGRESS_DENIED"
    UPSTREAM_CREDENTIALS_REJECTED = "UPSTREAM_CREDENTIALS_REJECTED"
    UPSTREAM_MALFORMED = "UPSTREAM_MALFORMED"
    UPSTREAM_TRUNCATED = "UPSTREAM_TRUNCATED"
    CONTRACT_DRIFT = "CONTRACT_DRIFT"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_CONNECT = "UPSTREAM_CONNECT"
    UPSTREAM_TLS = "UPSTREAM_TLS"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    DEADLINE_SPENT = "DEADLINE_SPENT"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    RATE_LIMITED = "RATE_LIMITED"
    BULKHEAD_FULL = "BULKHEAD_FULL"
    OVERLOADED = "OVERLOADED"
    TOO_LARGE = "TOO_LARGE"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    STORE_FULL = "STORE_FULL"
    BREAKER_OPEN = "BREAKER_OPEN"
    DRAINING = "DRAINING"
    UPSTREAM_CONFLICT = "UPSTREAM_CONFLICT"
    POLICY_NOT_MET = "POLICY_NOT_MET"
    UPSTREAM_PRECONDITION = "UPSTREAM_PRECONDITION"
    CURSOR_MISMATCH = "CURSOR_MISMATCH"
    NOT_ACKABLE = "NOT_ACKABLE"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    PAGINATION_LOOP = "PAGINATION_LOOP"
    CURSOR_EXPIRED = "CURSOR_EXPIRED"
    UPSTREAM_UNSUPPORTED = "UPSTREAM_UNSUPPORTED"
    UNKNOWN_METHOD = "UNKNOWN_METHOD"
    CALLER_CANCELLED = "CALLER_CANCELLED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Kind(enum.StrEnum):
    """What sort of failure it is, whatever its cause; the breaker and the retry look at it."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    UNAUTHENTICATED = "unauthenticated"
    DENIED = "denied"
    CONFLICT = "conflict"
    PRECONDITION = "precondition"
    RATE_LIMITED = "rate_limited"
    EXHAUSTED = "exhausted"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    PROTOCOL = "protocol"
    UNSUPPORTED = "unsupported"
    CANCELLED = "cancelled"
    INTERNAL = "internal"


class Disposition(enum.StrEnum):
    """Whether trying again can help."""

    PERMANENT = "permanent"
    """Trying again gives the same answer."""
    TEMPORARY = "temporary"
    """Trying again may help."""
    PERSISTENT = "persistent"
    """It was temporary, and trying again is over: retries are spent, or failing fast was chosen."""


class Reached(enum.StrEnum):
    """How far the request got: could the far side have acted on it?"""

    NOT_SENT = "not_sent"
    """No byte of it left; the far side cannot have acted."""
    MAYBE = "maybe"
    """Some of it may have arrived, and no answer settles whether the far side acted."""
    REPLIED = "replied"
    """The far side's own answer says what it did."""


_P, _T = Disposition.PERMANENT, Disposition.TEMPORARY

DEFAULTS: Mapping[Reason, tuple[Kind, Disposition]] = {
    Reason.INVALID_REQUEST: (Kind.INVALID, _P),
    Reason.UNACCEPTABLE_MEDIA_TYPE: (Kind.INVALID, _P),
    Reason.BAD_CURSOR: (Kind.INVALID, _P),
    Reason.UPSTREAM_REJECTED: (Kind.INVALID, _P),
    Reason.UNKNOWN_CONNECTOR: (Kind.NOT_FOUND, _P),
    Reason.UNKNOWN_OPERATION: (Kind.NOT_FOUND, _P),
    Reason.UNKNOWN_FEED: (Kind.NOT_FOUND, _P),
    Reason.UPSTREAM_NOT_FOUND: (Kind.NOT_FOUND, _P),
    Reason.CALLER_UNAUTHENTICATED: (Kind.UNAUTHENTICATED, _P),
    Reason.CALLER_DENIED: (Kind.DENIED, _P),
    Reason.EGRESS_DENIED: (Kind.DENIED, _P),
    Reason.UPSTREAM_CREDENTIALS_REJECTED: (Kind.INTERNAL, _P),
    Reason.UPSTREAM_MALFORMED: (Kind.PROTOCOL, _P),
    Reason.UPSTREAM_TRUNCATED: (Kind.PROTOCOL, _T),
    Reason.CONTRACT_DRIFT: (Kind.PROTOCOL, _P),
    Reason.UPSTREAM_FAILED: (Kind.UNAVAILABLE, _P),
    Reason.UPSTREAM_UNAVAILABLE: (Kind.UNAVAILABLE, _T),
    Reason.UPSTREAM_CONNECT: (Kind.UNAVAILABLE, _T),
    Reason.UPSTREAM_TLS: (Kind.PRECONDITION, _P),
    Reason.UPSTREAM_TIMEOUT: (Kind.TIMEOUT, _T),
    Reason.DEADLINE_SPENT: (Kind.TIMEOUT, Disposition.PERSISTENT),
    Reason.OUTCOME_UNKNOWN: (Kind.UNAVAILABLE, _P),
    Reason.UPSTREAM_RATE_LIMITED: (Kind.RATE_LIMITED, _T),
    Reason.RATE_LIMITED: (Kind.RATE_LIMITED, Disposition.PERSISTENT),
    Reason.BULKHEAD_FULL: (Kind.EXHAUSTED, Disposition.PERSISTENT),
    Reason.OVERLOADED: (Kind.EXHAUSTED, Disposition.PERSISTENT),
    Reason.TOO_LARGE: (Kind.EXHAUSTED, _P),
    Reason.SLOW_CONSUMER: (Kind.EXHAUSTED, _P),
    Reason.STORE_FULL: (Kind.EXHAUSTED, _T),
    Reason.BREAKER_OPEN: (Kind.UNAVAILABLE, Disposition.PERSISTENT),
    Reason.DRAINING: (Kind.UNAVAILABLE, Disposition.PERSISTENT),
    Reason.UPSTREAM_CONFLICT: (Kind.CONFLICT, _P),
    Reason.POLICY_NOT_MET: (Kind.CONFLICT, _P),
    Reason.UPSTREAM_PRECONDITION: (Kind.PRECONDITION, _P),
    Reason.CURSOR_MISMATCH: (Kind.PRECONDITION, _P),
    Reason.NOT_ACKABLE: (Kind.PRECONDITION, _P),
    Reason.DEPENDENCY_FAILED: (Kind.PRECONDITION, _P),
    Reason.PAGINATION_LOOP: (Kind.PRECONDITION, _P),
    Reason.CURSOR_EXPIRED: (Kind.PRECONDITION, _P),
    Reason.UPSTREAM_UNSUPPORTED: (Kind.UNSUPPORTED, _P),
    Reason.UNKNOWN_METHOD: (Kind.UNSUPPORTED, _P),
    Reason.CALLER_CANCELLED: (Kind.CANCELLED, _P),
    Reason.INTERNAL_ERROR: (Kind.INTERNAL, _P),
}
"""What each reason means unless the place that raises it knows better."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of a request that breaks a rule; both texts are our own, never the caller's data."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a failure knows beside its text."""

    reason: Reason
    kind: Kind
    disposition: Disposition
    reached: Reached
    operation: str
    context: Mapping[str, str]
    retry_after: float | None
    fields: tuple[FieldViolation, ...]


class Failure(Exception):  # noqa: N818  # the house's noun; it is not only raised but passed on
    """Something did not work, told in the house's own words.

    `message` is a fixed text of ours that may go out; what a foreign exception said stays in
    `__cause__` for the log. `context` holds plain text pairs and can hold no Secret.
    `retry_after` is in seconds. The operation is added, with `but`, by whoever knows it.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        disposition: Disposition | None = None,
        reached: Reached = Reached.NOT_SENT,
        retry_after: float | None = None,
        fields: tuple[FieldViolation, ...] = (),
        **context: str,
    ) -> None:
        super().__init__(message)
        kind, usual = DEFAULTS[reason]
        for name, value in context.items():
            if type(value) is not str:
                raise TypeError(f"context {name!r} must be plain text")
        self._facts = _Facts(
            reason, kind, disposition or usual, reached, "", context, retry_after, fields
        )

    @property
    def message(self) -> str:
        """The fixed text."""
        return str(self.args[0])

    @property
    def reason(self) -> Reason:
        """The stable code."""
        return self._facts.reason

    @property
    def kind(self) -> Kind:
        """What sort of failure it is."""
        return self._facts.kind

    @property
    def disposition(self) -> Disposition:
        """Whether trying again can help."""
        return self._facts.disposition

    @property
    def reached(self) -> Reached:
        """Whether the far side could have acted."""
        return self._facts.reached

    @property
    def operation(self) -> str:
        """`CONNECTOR.OPERATION` (or feed, or sink), or empty where it is not known yet."""
        return self._facts.operation

    @property
    def context(self) -> Mapping[str, str]:
        """Further facts, such as `upstream_status` or `limit`."""
        return self._facts.context

    @property
    def retry_after(self) -> float | None:
        """When coming back makes sense, in seconds from now, where that is known."""
        return self._facts.retry_after

    @property
    def fields(self) -> tuple[FieldViolation, ...]:
        """The fields of the request that are wrong."""
        return self._facts.fields

    def but(
        self,
        *,
        disposition: Disposition | None = None,
        reached: Reached | None = None,
        operation: str | None = None,
        retry_after: float | None = None,
        **context: str,
    ) -> Failure:
        """Returns a copy with these facts changed and `context` added; the cause is kept."""
        facts = self._facts
        copy = Failure(facts.reason, self.message)
        copy._facts = replace(
            facts,
            disposition=disposition or facts.disposition,
            reached=reached or facts.reached,
            operation=facts.operation if operation is None else operation,
            retry_after=facts.retry_after if retry_after is None else retry_after,
            context={**facts.context, **context},
        )
        copy.__cause__ = self.__cause__
        copy.__traceback__ = self.__traceback__
        return copy

    def __repr__(self) -> str:
        facts = self._facts
        return f"Failure({facts.reason}, {self.message!r}, {facts.disposition}, {facts.reached})"


class NotConnected(Exception):  # noqa: N818  # a state of the connection, not an error of ours
    """A feed's connection is lost; reopen it with back-off. `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class EndOfFeed(Exception):  # noqa: N818  # a state of the feed, not an error of ours
    """A feed has ended for good; it is not to be reopened."""
