"""The attempt."""

from __future__ import annotations

import asyncio

import pytest
from policy_rig import OFF, Stack, answers, hangs, not_found, slowly

from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effect

ONE_SECOND = {**OFF, "attempt_timeout": "1s"}


def test_it_is_cut_off_at_its_time():
    stack = Stack(hangs, ONE_SECOND)
    failure = stack.clock.run(stack.fail())
    assert failure.reason is Reason.UPSTREAM_TIMEOUT
    assert failure.reached is Reached.MAYBE
    assert stack.clock.now() == pytest.approx(1001.0)
    assert stack.upstream.under_way == 0


def test_a_timeout_before_anything_was_sent_says_so():
    async def cannot_even_send(call, clock):
        await clock.sleep(60.0)

    stack = Stack(cannot_even_send, ONE_SECOND, effect=Effect.UNSAFE)
    failure = stack.clock.run(stack.fail())
    assert (failure.reason, failure.reached) == (Reason.UPSTREAM_TIMEOUT, Reached.NOT_SENT)


def test_what_was_reached_is_forgotten_before_the_next_attempt():
    seen: list[Reached] = []

    async def behave(call, clock):
        seen.append(call.effort.reached)
        call.effort.reached = Reached.MAYBE
        raise Failure(Reason.UPSTREAM_UNAVAILABLE, "gone", reached=Reached.MAYBE)

    stack = Stack(behave)
    stack.clock.run(stack.fail())
    assert seen == [Reached.NOT_SENT] * 3


def test_attempts_are_counted_and_told():
    stack = Stack(not_found)
    call = stack.call()
    with pytest.raises(Failure):
        stack.clock.run(stack.handler(call))
    assert call.effort.attempts == 1
    assert not call.effort.is_attempting
    ((_, failure),) = stack.observer.operations["shop", "Get"].attempts
    assert failure.reason is Reason.UPSTREAM_NOT_FOUND


def test_a_request_that_does_not_fit_its_operation_is_no_attempt():
    async def refuse(call, clock):
        raise Failure(Reason.INVALID_REQUEST, "a parameter is missing")

    stack = Stack(refuse)
    call = stack.call()
    with pytest.raises(Failure):
        stack.clock.run(stack.handler(call))
    assert call.effort.attempts == 0
    assert not call.effort.is_attempting
    assert ("shop", "Get") not in stack.observer.operations or not (
        stack.observer.operations["shop", "Get"].attempts
    )


def test_a_cancelled_attempt_is_told_as_cancelled():
    stack = Stack(hangs)

    async def cancelled() -> None:
        task = asyncio.create_task(stack.ask())
        await stack.clock.sleep(1.0)
        task.cancel()
        await asyncio.wait([task])

    stack.clock.run(cancelled())
    ((seconds, failure),) = stack.observer.operations["shop", "Get"].attempts
    assert seconds == pytest.approx(1.0)
    assert failure.reason is Reason.CALLER_CANCELLED


def test_the_ledger_tells_attempts_and_waits_in_order():
    count = 0

    async def behave(call, clock):
        nonlocal count
        count += 1
        if count == 1:
            raise Failure(
                Reason.UPSTREAM_UNAVAILABLE,
                "503",
                reached=Reached.MAYBE,
                upstream_status="503",
            )
        return await slowly(0.25)(call, clock)

    stack = Stack(behave)
    call = stack.call(ledger=True)
    stack.clock.run(stack.handler(call))
    first, wait, second = call.effort.ledger
    assert (first.step, first.reason, first.upstream_status) == (
        "attempt",
        "UPSTREAM_UNAVAILABLE",
        "503",
    )
    assert (wait.step, wait.reason) == ("retry", "UPSTREAM_UNAVAILABLE")
    assert (second.step, second.upstream_status, second.breaker) == ("attempt", "200", "closed")
    assert second.start == pytest.approx(wait.start + wait.duration)
    assert second.duration == pytest.approx(0.25)
    assert second.bytes_received == 11


def test_a_call_that_is_answered_takes_one_timer():
    stack = Stack(answers)
    timers = 0
    call_at = stack.clock.call_at

    def counting(when, callback):
        nonlocal timers
        timers += 1
        return call_at(when, callback)

    stack.clock.call_at = counting  # the alarm reads it at run time
    stack.clock.run(stack.ask(deadline=5.0))
    assert timers == 1
    stack.clock.run(stack.ask(deadline=20.0))
    assert timers == 2


def test_a_timeout_error_of_the_connector_is_not_ours():
    async def breaks(call, clock):
        raise TimeoutError

    stack = Stack(breaks, ONE_SECOND)
    with pytest.raises(TimeoutError):
        stack.clock.run(stack.ask())
    assert stack.is_idle
