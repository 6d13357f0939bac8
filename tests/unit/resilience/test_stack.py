"""The whole stack: its order, sinks, and that the same inputs give the same decisions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_rig import ANSWER, Stack, answers, by_turns, hangs, replied, too_many, unavailable

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Confirmation, Effect, Effort, Event, Publication
from interlaced.core.ports import Capability, Durability, Order, Tools
from interlaced.resilience.admission import Admission
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.stack import ConnectorGuard, compose, compose_sink
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver


def held_by(handler, *names):
    """Returns what a handler's closure, or one that it follows, holds under each name."""
    found = {}
    work = [handler]
    for one in work:
        cells = one.__closure__ or ()
        for name, cell in zip(one.__code__.co_freevars, cells, strict=True):
            found.setdefault(name, cell.cell_contents)
            if hasattr(cell.cell_contents, "__code__"):
                work.append(cell.cell_contents)
    return [found.get(name) for name in names]


def gates(handler):
    (entries,) = held_by(handler, "entries")
    return [type(enter.__self__).__name__ for _, enter in entries]


def test_the_gates_stand_in_the_documented_order():
    stack = Stack(answers, {"limit": {"rate": "1000/s"}})
    assert gates(stack.route.handler) == ["PauseGate", "BulkheadGate", "RateGate", "PauseGate"]
    breaker, plan = held_by(stack.route.handler, "breaker", "plan")
    assert breaker is stack.guard.breaker
    assert plan.budget is stack.guard.budget


def test_what_is_switched_off_is_not_in_the_way():
    stack = Stack(answers, {"breaker": None, "bulkhead": None})
    assert gates(stack.route.handler) == ["PauseGate"]
    assert held_by(stack.route.handler, "breaker") == [None]
    assert stack.guard.breaker_state == "closed"
    assert stack.guard.in_flight == 0


def test_the_order_shows_in_what_happens():
    """One admission permit for all attempts; the breaker counts each; an open one stops the retry;
    neither the rate limit nor the bulkhead is asked by a call that the breaker refuses."""
    stack = Stack(
        unavailable,
        {
            "limit": {"rate": "100/s", "burst": 3},
            "breaker": {"consecutive": 2},
            "retry": {"attempts": 5},
        },
        admission=Admission(1),
    )
    first = stack.clock.run(stack.fail())
    assert first.reason is Reason.BREAKER_OPEN
    assert stack.upstream.attempts == 2
    taken = 3 - stack.guard.bucket._tokens
    for _ in range(5):
        assert stack.clock.run(stack.fail()).reason is Reason.BREAKER_OPEN
    assert stack.guard.bucket._tokens == 3 - taken
    assert stack.is_idle


def test_operations_with_policies_of_their_own_share_the_connectors_state():
    stack = Stack(unavailable, {"retry": {"attempts": 1}})
    other = compose(
        replace(stack.operation, name="Other", attempt=stack.upstream),
        policy=stack.policy.overlaid({"deadline": "1s"}),
        guard=stack.guard,
        admission=stack.admission,
        tools=stack.tools,
        connector="shop",
    )
    for _ in range(5):
        stack.clock.run(stack.fail())
    with pytest.raises(Failure) as refused:
        stack.clock.run(other(stack.call()))
    assert refused.value.reason is Reason.BREAKER_OPEN


def test_an_operation_with_a_share_of_its_own_has_a_budget_of_its_own():
    stack = Stack(unavailable, {"breaker": None})
    never = compose(
        stack.operation,
        policy=stack.policy.overlaid({"retry": {"budget": "0%"}}),
        guard=stack.guard,
        admission=stack.admission,
        tools=stack.tools,
        connector="shop",
    )
    with pytest.raises(Failure):
        stack.clock.run(never(stack.call()))
    assert stack.upstream.attempts == 1
    stack.clock.run(stack.fail())
    assert stack.upstream.attempts == 4


@pytest.mark.parametrize("behave", [answers, unavailable, hangs, too_many(1.0)])
def test_a_reply_or_a_failure_comes_back_and_nothing_is_left(behave):
    stack = Stack(behave)
    outcome = stack.clock.run(stack.ask(deadline=3.0))
    assert outcome is ANSWER or isinstance(outcome, Failure)
    assert stack.is_idle


def play(seed: int, pattern: Sequence[int]) -> list[tuple[object, ...]]:
    """Plays a crowd against an upstream that follows a pattern; returns all that was decided."""

    async def act(step, call, clock):
        await clock.sleep(0.01 * step)
        if step == 1:
            raise replied(Reason.UPSTREAM_RATE_LIMITED, 429, 0.5)
        return await (unavailable if step > 3 else answers)(call, clock)

    stack = Stack(
        by_turns(pattern, act),
        {"bulkhead": {"in_flight": 3, "queue": 4}, "limit": {"rate": "50/s", "burst": 5}},
        admission=Admission(12),
        random=Random(seed),
    )
    log: list[tuple[object, ...]] = []

    async def one(number: int) -> None:
        outcome = await stack.ask(deadline=2.0)
        reason = outcome.reason if isinstance(outcome, Failure) else "ok"
        log.append((stack.clock.now(), number, reason))

    async def crowd() -> None:
        tasks = []
        for number in range(60):
            tasks.append(asyncio.create_task(one(number)))
            await stack.clock.sleep(0.02)
        await asyncio.gather(*tasks)

    stack.clock.run(crowd())
    told = stack.observer.operations["shop", "Get"]
    log += [("waited", *wait) for wait in told.waits]
    log += [("retried", wait, failure.reason) for wait, failure in told.retries]
    log += [("refused", policy, failure.reason) for policy, failure in told.rejections]
    return log + list(stack.observer.connectors["shop"].breaker_changes)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 6), min_size=1, max_size=30))
def test_the_same_inputs_clock_and_seed_give_the_same_decisions(seed: int, pattern: list[int]):
    """L12."""
    assert play(seed, pattern) == play(seed, pattern)


def test_another_seed_gives_other_decisions():
    """L12: the chance in it is the one that was passed in."""
    assert play(1, [0, 1, 5]) != play(2, [0, 1, 5])


@given(
    steps=st.lists(st.sampled_from(["lost", "refused", "slow", "429", "ok"]), max_size=8),
    attempts=st.integers(1, 5),
)
def test_a_write_without_a_key_is_never_sent_again_after_its_first_byte(steps, attempts):
    """L3: whatever the upstream does, in whatever order."""
    left = list(steps)
    seen = 0

    async def behave(call, clock):
        nonlocal seen
        step = left.pop(0) if left else "lost"
        if step == "refused":
            raise Failure(Reason.UPSTREAM_CONNECT, "no connection")
        if step == "429":
            raise replied(Reason.UPSTREAM_RATE_LIMITED, 429)
        seen += 1
        call.effort.reached = Reached.MAYBE
        if step == "slow":
            return await hangs(call, clock)
        if step == "lost":
            raise Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE)
        return await answers(call, clock)

    policy = {"retry": {"attempts": attempts}, "attempt_timeout": "1s"}
    stack = Stack(behave, policy, effect=Effect.UNSAFE)
    outcome = stack.clock.run(stack.ask())
    assert seen <= 1
    if seen and outcome is not ANSWER:
        assert outcome.reason is Reason.OUTCOME_UNKNOWN


class FakeSink:
    """A sink that does as it is told."""

    name = "Orders"
    description = "Takes orders."
    capability = Capability(durability=Durability.MEMORY, order=Order.NONE)

    def __init__(self, behave) -> None:
        self.behave = behave
        self.attempts = 0

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        self.attempts += 1
        return await self.behave(publication)


def publish(behave, times: int = 1) -> tuple[list[object], FakeSink, ConnectorGuard]:
    clock = VirtualClock()
    tools = Tools(clock, Random(7), FakeObserver())
    policy = PolicyConfig().overlaid({"attempt_timeout": "1s"})
    guard, sink = ConnectorGuard("shop", policy, tools), FakeSink(behave)
    handler = compose_sink(
        sink,
        policy=policy,
        guard=guard,
        admission=Admission(10),
        tools=tools,
        connector="shop",
    )
    outcomes: list[object] = []

    async def run() -> None:
        for _ in range(times):
            event = Event(id="1", source="/test", type="t", data=b"{}")
            effort = Effort(clock.now())
            publication = Publication(
                deadline=float("inf"), effort=effort, sink="shop.Orders", events=[event]
            )
            try:
                outcomes.append(await handler(publication))
            except Failure as failure:
                outcomes.append(failure)

    clock.run(run())
    return outcomes, sink, guard


async def confirms(publication):
    return [Confirmation(position=b"1")]


async def loses(publication):
    raise Failure(Reason.UPSTREAM_CONNECT, "no broker")


async def never_confirms(publication):
    await asyncio.get_running_loop().create_future()


async def stores_nothing(publication):
    return [Confirmation(Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE))]


def test_a_confirmed_publication_comes_back():
    ((confirmation,),), _, _ = publish(confirms)
    assert confirmation.failure is None


def test_a_publication_is_never_tried_twice():
    (failure,), sink, _ = publish(loses)
    assert sink.attempts == 1
    assert failure.reason is Reason.UPSTREAM_CONNECT
    assert failure.disposition is Disposition.TEMPORARY, "the caller may try again"


def test_a_publication_that_is_cut_off_has_an_unknown_outcome():
    (failure,), _, _ = publish(never_confirms)
    assert failure.reason is Reason.OUTCOME_UNKNOWN


@pytest.mark.parametrize("behave", [loses, never_confirms, stores_nothing])
def test_a_broker_that_is_away_opens_the_breaker(behave):
    outcomes, sink, guard = publish(behave, times=7)
    assert guard.breaker_state == "open"
    assert sink.attempts == 5
    assert outcomes[-1].reason is Reason.BREAKER_OPEN
