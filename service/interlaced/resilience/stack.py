"""The order of the policies, written once, and the state that the calls of a connector share."""

from __future__ import annotations

from collections.abc import Sequence

from interlaced.core.dispatch import Route
from interlaced.core.failure import Reached
from interlaced.core.model import Confirmation, Effect, Handler, Publication, Reply
from interlaced.core.ports import Operation, Sink, Tools
from interlaced.resilience.admission import Admission, AdmissionGate
from interlaced.resilience.attempt import Before, Reading, Timing, attempt
from interlaced.resilience.breaker import (
    Breaker,
    BreakerRules,
    BreakerState,
    Verdict,
    judge,
)
from interlaced.resilience.budget import RetryBudget
from interlaced.resilience.bulkhead import Bulkhead, BulkheadGate, Sleepers
from interlaced.resilience.config import BreakerConfig, PolicyConfig, RetryConfig
from interlaced.resilience.flight import beginning
from interlaced.resilience.gates import Gate
from interlaced.resilience.limiter import Bucket, RateGate
from interlaced.resilience.pause import Pause, PauseGate
from interlaced.resilience.repeat import Repeat
from interlaced.resilience.retry import RetryPlan
from interlaced.resilience.whole_call import Terms, whole_call
from interlaced.resilience.wiring import Wiring

__all__ = ["ConnectorGuard", "compose", "compose_sink"]

_SLEEPERS_WITHOUT_BULKHEAD = 1024


class ConnectorGuard:
    """What all calls of one connector share: breaker, bulkhead, rate limit, retry budget, and the
    pause that its upstream asked for. Built from the connector's own policy, once."""

    __slots__ = (
        "breaker",
        "bucket",
        "budget",
        "bulkhead",
        "can_wait",
        "name",
        "pause",
        "policy",
        "sleepers",
    )

    def __init__(self, name: str, policy: PolicyConfig, tools: Tools) -> None:
        observer = tools.observer.connector(name)
        clock, bulkhead, limit = tools.clock, policy.bulkhead, policy.limit
        self.name = name
        self.policy = policy
        self.sleepers = Sleepers(bulkhead.sleepers if bulkhead else _SLEEPERS_WITHOUT_BULKHEAD)
        self.pause = Pause(clock, tools.random, self.sleepers)
        self.budget = RetryBudget(policy.retry.budget, clock, observer)
        self.breaker = Breaker(_rules(policy.breaker), clock, observer) if policy.breaker else None
        self.bulkhead = Bulkhead(bulkhead.in_flight, bulkhead.queue, observer) if bulkhead else None
        self.bucket = Bucket(limit.rate, limit.burst, clock) if limit else None
        self.can_wait = limit is not None and limit.when_full == "wait"

    @property
    def breaker_state(self) -> str:
        """`closed`, `open` or `half_open`; a connector without a breaker is always closed."""
        return (self.breaker.state if self.breaker else BreakerState.CLOSED).value

    @property
    def in_flight(self) -> int:
        """How many attempts are under way; 0 where no bulkhead counts them."""
        return self.bulkhead.permits.held if self.bulkhead else 0


def compose(
    operation: Operation,
    *,
    policy: PolicyConfig,
    guard: ConnectorGuard,
    admission: Admission,
    tools: Tools,
    connector: str,
) -> Route:
    """Returns the operation with every policy around it, on the long way and on the short one.

    Of `policy` only `deadline`, `attempt_timeout` and `retry` are the operation's own; the rest is
    the guard's. Outermost first: deadline, admission, retry, breaker, pause, bulkhead, rate limit,
    pause, attempt. The breaker is inside the retry so that every attempt counts, and answers
    PERSISTENT when open, which stops the retry. The bulkhead is inside it too, so it counts
    attempts and is free while a call sleeps.
    """
    statuses = policy.retry.statuses
    repeat = Repeat(
        operation.effect,
        operation.takes_key,
        None if statuses is None else frozenset(statuses),
    )
    observer = tools.observer.operation(connector, operation.name)
    wiring = Wiring(tools.clock, tools.random, observer, repeat)
    timing = Timing(policy.attempt_timeout, guard.pause.learn)
    before = Before(guard.breaker, _gates(wiring, policy, guard))
    handler = attempt(operation.attempt, wiring, before=before, timing=timing, reading=_REPLY)
    gate = AdmissionGate(admission, wiring)
    terms = Terms(policy.deadline, gate, _plan(policy.retry, guard, tools))
    begin = None
    if operation.quick is not None:
        begin = beginning(operation.quick, wiring, terms=terms, before=before, timing=timing)
    return Route(whole_call(handler, wiring, terms), begin)


def compose_sink(
    sink: Sink,
    *,
    policy: PolicyConfig,
    guard: ConnectorGuard,
    admission: Admission,
    tools: Tools,
    connector: str,
) -> Handler[Publication, Sequence[Confirmation]]:
    """Returns the sink's `publish` with every policy but the retry around it: some events of a
    publication may be stored already, so only who published can tell what to send again.

    A publication that is cut off by time raises OUTCOME_UNKNOWN unless the sink said through
    `effort.reached` that nothing was sent.
    """
    observer = tools.observer.operation(connector, sink.name)
    repeat = Repeat(Effect.UNSAFE, takes_key=False)
    wiring = Wiring(tools.clock, tools.random, observer, repeat)
    timing = Timing(policy.attempt_timeout, guard.pause.learn)
    before = Before(guard.breaker, _gates(wiring, policy, guard))
    handler = attempt(sink.publish, wiring, before=before, timing=timing, reading=_CONFIRMATIONS)
    gate = AdmissionGate(admission, wiring)
    return whole_call(handler, wiring, Terms(policy.deadline, gate, None))


def _gates(wiring: Wiring, policy: PolicyConfig, guard: ConnectorGuard) -> list[Gate]:
    """What stands before an attempt, outermost first."""
    pause = PauseGate(guard.pause, wiring, max_wait=policy.retry.max_wait)
    gates: list[Gate] = [pause]
    if guard.bulkhead:
        gates.append(BulkheadGate(guard.bulkhead, wiring))
    if guard.bucket:
        gates.append(RateGate(guard.bucket, wiring, can_wait=guard.can_wait))
    return [*gates, pause] if len(gates) > 1 else gates


def _plan(config: RetryConfig, guard: ConnectorGuard, tools: Tools) -> RetryPlan:
    budget = guard.budget
    if config.budget != guard.policy.retry.budget:
        budget = RetryBudget(config.budget, tools.clock, tools.observer.connector(guard.name))
    return RetryPlan(
        attempts=config.attempts,
        backoff=config.backoff,
        max_wait=config.max_wait,
        budget=budget,
        sleepers=guard.sleepers,
    )


def _rules(config: BreakerConfig) -> BreakerRules:
    return BreakerRules(
        window=config.window,
        share=config.trip.share,
        calls=config.trip.calls,
        consecutive=config.consecutive,
        open=config.open,
        probes=config.probes,
    )


def _judge_confirmations(confirmations: Sequence[Confirmation]) -> Verdict:
    """One confirmed event shows a broker that works; else the first failure speaks for all."""
    failures = [c.failure for c in confirmations if c.failure is not None]
    if len(failures) < len(confirmations) or not failures:
        return Verdict.GOOD
    return judge(failures[0])


_REPLY: Reading[Reply] = Reading(
    status=lambda reply: reply.status,
    size=lambda reply: len(reply.payload.data),
    verdict=lambda _: Verdict.GOOD,
)

_CONFIRMATIONS: Reading[Sequence[Confirmation]] = Reading(
    status=lambda _: "",
    size=lambda _: 0,
    verdict=_judge_confirmations,
    reached=Reached.MAYBE,
)
