"""The short way of a call: what it takes, what it declines, and that it decides as the long one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_rig import (
    ANSWER,
    IN_FLIGHT,
    OFF,
    Stack,
    answers,
    by_turns,
    hangs,
    replied,
    unavailable,
)

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effect
from interlaced.core.ports import QuickAttempt
from interlaced.resilience.admission import Admission
from interlaced.resilience.stack import compose


@pytest.fixture(autouse=True)
def in_flight() -> None:
    """Makes each stack with the short way."""
    IN_FLIGHT.set(True)


def flown(stack: Stack, call: Any) -> tuple[bool, list[Any]]:
    """Begins a call; returns whether it flew, and what it landed with within a second."""
    landed: list[Any] = []

    async def main() -> bool:
        flight = stack.route.begin(call, lambda _, result: landed.append(result))
        await stack.clock.sleep(1.0)
        return flight is not None

    return stack.clock.run(main()), landed


def test_a_call_that_nothing_holds_up_flies_and_leaves_nothing():
    stack = Stack(answers)
    call = stack.call()
    assert flown(stack, call) == (True, [ANSWER])
    assert (call.effort.attempts, call.effort.is_attempting) == (1, False)
    assert stack.observer.operations["shop", "Get"].attempts == [(0.0, None)]
    assert stack.is_idle


def traces(stack: Stack, **asked: Any) -> list[str]:
    """Begins a call, and returns what shows of it; nothing does of one that is declined."""
    call, guard = stack.call(**asked), stack.guard
    held = stack.admission.permits.held, guard.in_flight, guard.budget.left
    wait = 0.0 if guard.bucket is None else guard.bucket.wait()
    has_flown, landed = flown(stack, call)
    is_there = {
        "it flew": has_flown,
        "it landed": landed,
        "an attempt": call.effort.attempts or call.effort.is_attempting,
        "an attempt in the metrics": stack.observer.operations["shop", "Get"].attempts,
        "a request": stack.upstream.attempts,
        "a permit, a place or a share of the budget": held
        != (stack.admission.permits.held, guard.in_flight, guard.budget.left),
        "a token": guard.bucket is not None and guard.bucket.wait() > wait,
    }
    return [name for name, found in is_there.items() if found]


def test_what_a_caller_wants_to_read_about_later_needs_the_long_way():
    assert traces(Stack(answers), ledger=True) == []


def test_a_call_whose_time_is_over_is_declined():
    assert traces(Stack(answers), deadline=0.0) == []


def test_a_breaker_that_is_not_closed_takes_no_flight():
    stack = Stack(unavailable, {"retry": {"attempts": 1}})
    for _ in range(5):
        stack.clock.run(stack.fail())
    assert stack.guard.breaker_state == "open"
    assert not flown(stack, stack.call())[0]


@pytest.mark.parametrize("full", ["admission", "bulkhead", "limit", "pause"])
def test_where_one_would_have_to_wait_nothing_is_taken_from_the_others(full: str):
    stack = Stack(
        answers,
        {"bulkhead": {"in_flight": 1, "queue": 9}, "limit": {"rate": "1/s", "burst": 1}},
        admission=Admission(1, queue=9),
    )
    if full == "admission":
        assert stack.admission.permits.try_take()
    elif full == "bulkhead":
        assert stack.guard.bulkhead.permits.try_take()
    elif full == "limit":
        assert stack.guard.bucket.try_take()
    else:
        stack.guard.pause.learn(replied(Reason.UPSTREAM_RATE_LIMITED, 429, 30.0))
    assert traces(stack) == []


@pytest.mark.parametrize("error", [None, ValueError("a bug")])
def test_an_attempt_that_cannot_be_asked_at_once_costs_nothing(error: Exception | None):
    """No token of the rate limit either."""
    stack = Stack(answers, {"limit": {"rate": "1/s", "burst": 1}})

    def ask(*_: Any) -> None:
        if error is not None:
            raise error

    quick = QuickAttempt(ask, lambda answer, _: answer)
    stack.route = compose(
        replace(stack.operation, quick=quick),
        policy=stack.policy,
        guard=stack.guard,
        admission=stack.admission,
        tools=stack.tools,
        connector="shop",
    )
    assert traces(stack) == []
    assert stack.clock.run(stack.route(stack.call())) is ANSWER  # on the one token that there is


def test_a_flight_ends_once():
    stack = Stack(hangs, OFF)
    landed: list[Any] = []

    async def main() -> None:
        flight = stack.route.begin(stack.call(), lambda _, result: landed.append(result))
        flight.cancel()
        for end in (flight.cancel, flight.expire):
            end()
        flight.receive(ANSWER)
        await asyncio.sleep(0)

    stack.clock.run(main())
    assert landed == []
    ((_, failure),) = stack.observer.operations["shop", "Get"].attempts
    assert failure.reason is Reason.CALLER_CANCELLED
    assert stack.is_idle


def test_a_bug_in_the_reading_of_an_answer_is_told_on_the_long_way_and_nothing_is_kept():
    async def breaks(call, clock):
        raise ValueError("a bug")

    stack = Stack(breaks)
    with pytest.raises(ValueError, match="a bug"):
        stack.clock.run(stack.ask())
    assert stack.upstream.attempts == 1
    assert stack.is_idle


def test_a_first_attempt_that_failed_is_not_tried_again_where_the_process_has_no_room():
    """Its permit went to somebody else meanwhile: that call is served, and this one is told."""
    stack = Stack(unavailable, admission=Admission(1))
    landed: list[Any] = []
    call = stack.call()

    async def main() -> Failure:
        stack.route.begin(call, lambda _, result: landed.append(result))
        while not landed:
            await asyncio.sleep(0)
        assert stack.admission.permits.try_take()
        with pytest.raises(Failure) as told:
            await stack.route(call)
        return told.value

    failure = stack.clock.run(main())
    assert failure.reason is Reason.UPSTREAM_UNAVAILABLE
    assert (landed, stack.upstream.attempts, stack.admission.permits.held) == ([None], 1, 1)


def played(pattern: list[int], *, in_flight: bool, effect: Effect) -> list[Any]:
    """Plays calls one after the other against an upstream that follows a pattern, on one of the two
    ways; returns all that could be seen of it."""
    IN_FLIGHT.set(in_flight)

    async def act(step, call, clock):
        await clock.sleep(0.1 * step)
        if step == 1:
            raise replied(Reason.UPSTREAM_RATE_LIMITED, 429, 0.5)
        if step == 2:
            return await hangs(call, clock)
        return await (unavailable if step > 4 else answers)(call, clock)

    policy = {
        "attempt_timeout": "2s",
        "limit": {"rate": "5/s", "burst": 5},
        "breaker": {"consecutive": 4, "open": "3s"},
    }
    stack = Stack(by_turns(pattern, act), policy, effect=effect)
    seen: list[Any] = []

    async def crowd() -> None:
        for number in range(25):
            call = stack.call(deadline=3.0 if number % 5 else 1.5)
            try:
                seen.append((await stack.handler(call)).status)
            except Failure as failure:
                seen.append((failure.reason, failure.reached, failure.kind, failure.retry_after))
            seen.append((stack.clock.now(), call.effort.attempts, stack.guard.breaker_state))
            await stack.clock.sleep(0.1)

    stack.clock.run(crowd())
    told = stack.observer.operations["shop", "Get"]
    seen += [(seconds, failure and failure.reason) for seconds, failure in told.attempts]
    seen += [told.waits, [wait for wait, _ in told.retries], len(told.rejections)]
    assert stack.is_idle
    return [*seen, stack.observer.connectors["shop"].breaker_changes, stack.guard.budget.left]


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=20),
    st.sampled_from([Effect.SAFE, Effect.UNSAFE]),
)
def test_both_ways_decide_the_same(pattern: list[int], effect: Effect):
    """Every outcome, time, attempt, wait, retry and breaker's step is the same."""
    long = played(pattern, in_flight=False, effect=effect)
    assert played(pattern, in_flight=True, effect=effect) == long
