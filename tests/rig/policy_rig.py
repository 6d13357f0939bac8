"""Upstreams that do as they are told, in virtual time, behind a real policy stack."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from itertools import cycle
from random import Random
from typing import Any

from flying import flying, quick

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Call, Effect, Effort, Handler, Payload, Reply, Step
from interlaced.core.ports import Operation, Tools
from interlaced.resilience.admission import Admission
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.repeat import Repeat
from interlaced.resilience.stack import ConnectorGuard, compose
from interlaced.resilience.wiring import Wiring
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver
from interlaced.testing.policy_suite import Behave, ScriptedUpstream

ANSWER = Reply(Payload("application/json", b'{"ok":true}'), "200")

OFF: dict[str, Any] = {
    "attempt_timeout": None,
    "retry": {"attempts": 1},
    "breaker": None,
    "bulkhead": None,
}
"""Every policy off but the deadline."""

IN_FLIGHT: ContextVar[bool] = ContextVar("IN_FLIGHT", default=False)
"""Whether stacks make their calls on the short way; see tests/unit/resilience/conftest.py."""


class MostChance(Random):
    """Chance that always draws the most."""

    def uniform(self, a: float, b: float) -> float:
        return b


class Upstream(ScriptedUpstream):
    """Counts what arrives, and answers as `behave` says."""

    @property
    def attempts(self) -> int:
        return len(self.arrivals)


class Stack:
    """One operation of one connector, behind its policies, on a virtual clock."""

    def __init__(
        self,
        behave: Behave,
        policy: Mapping[str, Any] | None = None,
        *,
        effect: Effect = Effect.SAFE,
        takes_key: bool = False,
        admission: Admission | None = None,
        random: Random | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.observer = FakeObserver()
        self.upstream = Upstream(behave, self.clock, [])
        self.tools = Tools(self.clock, random or Random(7), self.observer)
        self.policy = PolicyConfig().overlaid(policy or {})
        self.guard = ConnectorGuard("shop", self.policy, self.tools)
        self.admission = admission or Admission(1_000_000)
        self.operation = Operation(
            name="Get",
            effect=effect,
            takes_key=takes_key,
            attempt=self.upstream,
            quick=quick(self.upstream) if IN_FLIGHT.get() else None,
        )
        self.route = compose(
            self.operation,
            policy=self.policy,
            guard=self.guard,
            admission=self.admission,
            tools=self.tools,
            connector="shop",
        )
        self.handler: Handler[Call, Reply] = flying(self.route) if IN_FLIGHT.get() else self.route

    def call(self, *, deadline: float = float("inf"), key: str = "", ledger: bool = False) -> Call:
        """Makes a call; `deadline` in seconds from now."""
        now = self.clock.now()
        steps: list[Step] | None = [] if ledger else None
        return Call(
            deadline=now + deadline,
            effort=Effort(now, ledger=steps),
            idempotency_key=key,
            connector="shop",
            operation="Get",
        )

    async def ask(self, *, deadline: float = float("inf"), key: str = "") -> Reply | Failure:
        """Makes a call and returns how it ended."""
        try:
            return await self.handler(self.call(deadline=deadline, key=key))
        except Failure as failure:
            return failure

    async def fail(self, *, deadline: float = float("inf"), key: str = "") -> Failure:
        """Makes a call that must fail and returns the failure."""
        outcome = await self.ask(deadline=deadline, key=key)
        assert isinstance(outcome, Failure), "the call was answered"
        return outcome

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds or waits for anything."""
        bulkhead, bucket = self.guard.bulkhead, self.guard.bucket
        return (
            self.admission.permits.held == 0
            and self.admission.permits.waiting == 0
            and (bulkhead is None or bulkhead.permits.held == bulkhead.permits.waiting == 0)
            and (bucket is None or bucket.waiting == 0)
            and self.guard.sleepers.count == 0
            and self.upstream.under_way == 0
        )


def make_wiring(clock: VirtualClock, effect: Effect = Effect.SAFE) -> Wiring:
    """Wires one policy for a test of its own."""
    operation = FakeObserver().operation("shop", "Get")
    return Wiring(clock, Random(7), operation, Repeat(effect, takes_key=False))


def make_call(clock: VirtualClock, deadline: float = 30.0) -> Call:
    """Makes a call; `deadline` in seconds from now."""
    now = clock.now()
    effort = Effort(now, ledger=[])
    return Call(deadline=now + deadline, effort=effort, connector="shop", operation="Get")


def by_turns(
    pattern: Sequence[int], act: Callable[[int, Call, VirtualClock], Awaitable[Reply]]
) -> Behave:
    """Makes an upstream that acts by the next step of a pattern each time, over and over."""
    steps = cycle(pattern)

    async def behave(call: Call, clock: VirtualClock) -> Reply:
        return await act(next(steps), call, clock)

    return behave


async def answers(call: Call, clock: VirtualClock) -> Reply:
    """Answers at once."""
    call.effort.reached = Reached.REPLIED
    return ANSWER


async def hangs(call: Call, clock: VirtualClock) -> Reply:
    """Takes the request and never answers."""
    call.effort.reached = Reached.MAYBE
    await asyncio.get_running_loop().create_future()
    raise AssertionError


async def cannot_connect(call: Call, clock: VirtualClock) -> Reply:
    """Takes nothing."""
    raise Failure(Reason.UPSTREAM_CONNECT, "no connection")


async def not_found(call: Call, clock: VirtualClock) -> Reply:
    """Answers 404."""
    raise replied(Reason.UPSTREAM_NOT_FOUND, 404)


async def unavailable(call: Call, clock: VirtualClock) -> Reply:
    """Answers 503."""
    call.effort.reached = Reached.MAYBE
    raise Failure(Reason.UPSTREAM_UNAVAILABLE, "503", reached=Reached.MAYBE, upstream_status="503")


def replied(reason: Reason, status: int, retry_after: float | None = None) -> Failure:
    """A definitive answer of the upstream."""
    return Failure(
        reason,
        "the upstream said no",
        reached=Reached.REPLIED,
        retry_after=retry_after,
        upstream_status=str(status),
    )


def too_many(retry_after: float | None = None) -> Behave:
    """Answers 429."""

    async def behave(call: Call, clock: VirtualClock) -> Reply:
        raise replied(Reason.UPSTREAM_RATE_LIMITED, 429, retry_after)

    return behave


def slowly(seconds: float) -> Behave:
    """Answers after `seconds`."""

    async def behave(call: Call, clock: VirtualClock) -> Reply:
        call.effort.reached = Reached.MAYBE
        await clock.sleep(seconds)
        return await answers(call, clock)

    return behave
