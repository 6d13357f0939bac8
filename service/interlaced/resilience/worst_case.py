"""What a policy can come to: the longest time and the most upstream calls of one call."""

from __future__ import annotations

from dataclasses import dataclass

from interlaced.core.model import Effect
from interlaced.core.units import format_duration
from interlaced.resilience.config import PolicyConfig, RetryConfig

__all__ = ["WorstCase", "describe", "worst_case"]


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The bounds of one call.

    `seconds` is never exceeded, whatever the upstream does and however many others call.
    `attempts` is the most upstream requests it makes, and `executions` how many of those the
    upstream can have acted on. `alone_seconds` is the longest it takes when nothing queues and the
    upstream asks for no wait: every attempt to its end, and the longest waits between them.
    """

    seconds: float
    attempts: int
    executions: int
    alone_seconds: float


def worst_case(policy: PolicyConfig, operation_effect: Effect, takes_key: bool) -> WorstCase:
    """Returns the bounds of one call of an operation with this effect under `policy`.

    An unsafe operation makes as many attempts as any other when nothing can be sent or the
    upstream answers 429; but without a key it is executed once at most.
    """
    attempts = policy.retry.attempts if policy.retry.budget > 0 else 1
    alone = _alone_seconds(policy, attempts)
    is_harmless = operation_effect is not Effect.UNSAFE or takes_key
    return WorstCase(
        seconds=policy.deadline if _waits_for_others(policy) else alone,
        attempts=attempts,
        executions=attempts if is_harmless else 1,
        alone_seconds=alone,
    )


def describe(policy: PolicyConfig, *, effect: Effect, takes_key: bool) -> tuple[str, ...]:
    """Returns the effective policy as `explain` prints it, a line each, the worst case last."""
    timeout = policy.attempt_timeout
    return (
        f"deadline         {format_duration(policy.deadline)}",
        f"attempt timeout  {'none' if timeout is None else format_duration(timeout)}",
        f"retry            {_retry_line(policy.retry, effect, takes_key)}",
        f"breaker          {_breaker_line(policy)}",
        f"bulkhead         {_bulkhead_line(policy)}",
        f"limit            {_limit_line(policy)}",
        f"worst case       {_worst_line(policy, worst_case(policy, effect, takes_key))}",
    )


def _waits_for_others(policy: PolicyConfig) -> bool:
    """Whether a call may queue, or wait as long as its upstream asks; then only the deadline says
    how long."""
    bulkhead, limit = policy.bulkhead, policy.limit
    return (
        (bulkhead is not None and bulkhead.queue > 0)
        or (limit is not None and limit.when_full == "wait")
        or policy.retry.max_wait > 0
    )


def _alone_seconds(policy: PolicyConfig, attempts: int) -> float:
    attempt = policy.deadline if policy.attempt_timeout is None else policy.attempt_timeout
    waits = sum(policy.retry.backoff.ceiling(retry) for retry in range(attempts - 1))
    return min(attempts * attempt + waits, policy.deadline)


def _retry_line(retry: RetryConfig, effect: Effect, takes_key: bool) -> str:
    if retry.attempts == 1 or retry.budget == 0:
        return "never"
    again = "after any temporary failure"
    if effect is Effect.UNSAFE:
        again = "only if nothing was sent, or after a 429"
        again += ", or with an idempotency key" if takes_key else ""
    first, last = format_duration(retry.backoff.base), format_duration(retry.backoff.cap)
    statuses = "" if retry.statuses is None else f", statuses {_listed(retry.statuses)}"
    return (
        f"at most {retry.attempts} attempts, {again}; waits {first}..{last} full-jitter, "
        f"budget {retry.budget * 100:g}%, obeys waits up to {format_duration(retry.max_wait)}"
        f"{statuses}"
    )


def _listed(statuses: tuple[int, ...]) -> str:
    return " ".join(str(status) for status in statuses) or "none"


def _breaker_line(policy: PolicyConfig) -> str:
    breaker = policy.breaker
    if breaker is None:
        return "none"
    return (
        f"opens at {breaker.trip} in {format_duration(breaker.window)}, or "
        f"{breaker.consecutive} in a row; for {format_duration(breaker.open)}; "
        f"probes {breaker.probes}"
    )


def _bulkhead_line(policy: PolicyConfig) -> str:
    bulkhead = policy.bulkhead
    if bulkhead is None:
        return "none"
    return f"{bulkhead.in_flight} attempts in flight, {bulkhead.queue} queued"


def _limit_line(policy: PolicyConfig) -> str:
    limit = policy.limit
    if limit is None:
        return "none"
    return f"{limit.rate}, burst {limit.burst}, when full {limit.when_full}"


def _worst_line(policy: PolicyConfig, worst: WorstCase) -> str:
    attempt = policy.deadline if policy.attempt_timeout is None else policy.attempt_timeout
    retries = range(worst.attempts - 1)
    waits = [format_duration(policy.retry.backoff.ceiling(retry)) for retry in retries]
    terms = " + ".join([f"{worst.attempts} x {format_duration(attempt)}", *waits])
    return (
        f"{format_duration(worst.seconds)}, {worst.attempts} upstream calls of which "
        f"{worst.executions} may be acted on; alone {terms}, "
        f"at most {format_duration(worst.alone_seconds)}"
    )
