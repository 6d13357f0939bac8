"""The circuit breaker."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_rig import (
    ANSWER,
    Stack,
    answers,
    cannot_connect,
    hangs,
    not_found,
    replied,
    slowly,
    too_many,
    unavailable,
)

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.resilience.breaker import (
    Breaker,
    BreakerRules,
    BreakerState,
    Verdict,
    judge,
)
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeConnectorObserver

ONE_TRY = {"retry": {"attempts": 1}}
RULES = BreakerRules(window=10.0, share=0.5, calls=20, consecutive=5, open=5.0, probes=1)
GOOD, BAD, NOTHING = Verdict.GOOD, Verdict.BAD, Verdict.NOTHING


def make(clock: VirtualClock, rules: BreakerRules = RULES) -> Breaker:
    return Breaker(rules, clock, FakeConnectorObserver())


def feed(breaker: Breaker, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        breaker.leave(breaker.enter(), verdict)


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([BAD] * 4, "closed"),
        ([BAD] * 5, "open"),
        ([BAD] * 4 + [GOOD] + [BAD] * 4, "closed"),
        ([BAD] * 4 + [NOTHING] + [BAD], "open"),
        ([GOOD, BAD] * 9, "closed"),
        ([GOOD, BAD] * 10, "open"),
        ([GOOD, GOOD, BAD] * 30, "closed"),
        ([NOTHING] * 100, "closed"),
    ],
)
def test_state_table_of_what_opens_it(verdicts: list[Verdict], state: str):
    """P36, R12: five in a row, or half of at least twenty."""
    breaker = make(VirtualClock())
    feed(breaker, *verdicts)
    assert breaker.state == state


def test_failures_older_than_the_window_are_forgotten():
    """R12: 50 % of 20 calls *in 10 s*."""
    clock = VirtualClock()
    breaker = make(clock)
    for _ in range(40):
        feed(breaker, GOOD, BAD)
        clock.run(clock.sleep(1.2))
    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("probe", "state"), [(GOOD, "closed"), (BAD, "open"), (NOTHING, "half_open")]
)
def test_state_table_of_a_probe(probe: Verdict, state: str):
    """P36: a good probe closes it, a bad one opens it again, a cancelled one frees its place."""
    clock = VirtualClock()
    breaker = make(clock)
    feed(breaker, *[BAD] * 5)
    clock.run(clock.sleep(5.0))
    feed(breaker, probe)
    assert breaker.state == state
    if probe is NOTHING:
        feed(breaker, GOOD)
        assert breaker.state is BreakerState.CLOSED


def test_an_open_breaker_says_when_the_probe_is_due():
    clock = VirtualClock()
    breaker = make(clock)
    feed(breaker, *[BAD] * 5)
    clock.run(clock.sleep(2.0))
    with pytest.raises(Failure) as refused:
        breaker.enter()
    assert refused.value.reason is Reason.BREAKER_OPEN
    assert refused.value.disposition is Disposition.PERSISTENT
    assert refused.value.retry_after == pytest.approx(3.0)
    assert refused.value.reached is Reached.NOT_SENT


def test_what_began_before_the_last_change_says_nothing_about_now():
    clock = VirtualClock()
    breaker = make(clock)
    early = [breaker.enter() for _ in range(3)]
    feed(breaker, *[BAD] * 5)
    clock.run(clock.sleep(5.0))
    probe = breaker.enter()
    breaker.leave(early[0], BAD)
    breaker.leave(early[1], GOOD)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.leave(probe, GOOD)
    breaker.leave(early[2], BAD)
    assert breaker.state is BreakerState.CLOSED


def test_three_probes_must_all_go_well():
    clock = VirtualClock()
    breaker = make(clock, BreakerRules(10.0, 0.5, 20, 5, 5.0, probes=3))
    feed(breaker, *[BAD] * 5)
    clock.run(clock.sleep(5.0))
    tickets = [breaker.enter() for _ in range(3)]
    with pytest.raises(Failure):
        breaker.enter()
    breaker.leave(tickets[0], GOOD)
    with pytest.raises(Failure):
        breaker.enter()
    breaker.leave(tickets[1], GOOD)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.leave(tickets[2], GOOD)
    assert breaker.state is BreakerState.CLOSED


@pytest.mark.parametrize(
    ("failure", "verdict"),
    [
        (Failure(Reason.UPSTREAM_CONNECT, ""), BAD),
        (Failure(Reason.UPSTREAM_UNAVAILABLE, "", reached=Reached.MAYBE), BAD),
        (Failure(Reason.UPSTREAM_TIMEOUT, "", reached=Reached.MAYBE), BAD),
        (Failure(Reason.UPSTREAM_MALFORMED, "", reached=Reached.MAYBE), BAD),
        (Failure(Reason.UPSTREAM_TRUNCATED, "", reached=Reached.MAYBE), BAD),
        (replied(Reason.UPSTREAM_FAILED, 500), BAD),
        (replied(Reason.UPSTREAM_NOT_FOUND, 404), GOOD),
        (replied(Reason.UPSTREAM_CONFLICT, 409), GOOD),
        (replied(Reason.UPSTREAM_RATE_LIMITED, 429), GOOD),
        (replied(Reason.UPSTREAM_CREDENTIALS_REJECTED, 401), GOOD),
        (Failure(Reason.INVALID_REQUEST, ""), NOTHING),
        (Failure(Reason.EGRESS_DENIED, ""), NOTHING),
        (Failure(Reason.BULKHEAD_FULL, ""), NOTHING),
        (Failure(Reason.RATE_LIMITED, ""), NOTHING),
        (Failure(Reason.DRAINING, ""), NOTHING),
        (Failure(Reason.DEADLINE_SPENT, ""), NOTHING),
    ],
)
def test_only_an_upstream_that_cannot_answer_counts(failure: Failure, verdict: Verdict):
    """Never a 4xx, a local limit, or what is ours."""
    assert judge(failure) is verdict


@pytest.mark.parametrize("behave", [not_found, too_many()])
def test_a_hundred_answers_of_4xx_leave_it_closed(behave):
    stack = Stack(behave, ONE_TRY)

    async def many() -> None:
        for _ in range(100):
            await stack.fail()

    stack.clock.run(many())
    assert stack.guard.breaker_state == "closed"


@pytest.mark.parametrize("behave", [unavailable, cannot_connect, hangs])
def test_five_outages_in_a_row_open_it_and_the_sixth_call_is_not_sent(behave):
    """R12."""
    stack = Stack(behave, ONE_TRY)

    async def many() -> Failure:
        for _ in range(5):
            await stack.fail()
        return await stack.fail()

    failure = stack.clock.run(many())
    assert failure.reason is Reason.BREAKER_OPEN
    assert stack.upstream.attempts == 5
    assert stack.observer.connectors["shop"].breaker_changes == [("open", "5 failures in a row")]


def test_a_deadline_that_cuts_attempts_counts_as_a_timeout_of_the_upstream():
    """Callers whose deadline is shorter than the attempt's time must still open the breaker."""
    stack = Stack(hangs)

    async def many() -> None:
        for _ in range(5):
            await stack.fail(deadline=0.3)

    stack.clock.run(many())
    assert stack.guard.breaker_state == "open"


def test_impatient_callers_and_cancels_do_not_open_it_for_all():
    stack = Stack(hangs)

    async def many() -> None:
        for _ in range(50):
            await stack.fail(deadline=0.01)
            task = asyncio.create_task(stack.ask())
            await stack.clock.sleep(1.0)
            task.cancel()
            await asyncio.wait([task])

    stack.clock.run(many())
    assert stack.guard.breaker_state == "closed"


def test_a_thousand_callers_at_a_half_open_breaker_send_one_probe():
    """R12, P36: exactly one request upstream; the others are refused at once."""
    is_ill = True

    async def behave(call, clock):
        return await (unavailable(call, clock) if is_ill else slowly(0.5)(call, clock))

    stack = Stack(behave, ONE_TRY)

    async def play() -> list[object]:
        nonlocal is_ill
        for _ in range(5):
            await stack.fail()
        await stack.clock.sleep(5.0)
        is_ill = False
        return await asyncio.gather(*(stack.ask() for _ in range(1000)))

    outcomes = stack.clock.run(play())
    assert stack.upstream.attempts == 6
    assert sum(outcome is ANSWER for outcome in outcomes) == 1
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, Failure)}
    assert reasons == {Reason.BREAKER_OPEN}
    assert stack.guard.breaker_state == "closed"


def test_a_cancelled_probe_frees_its_place():
    stack = Stack(slowly(0.5), ONE_TRY)

    async def play() -> object:
        for _ in range(5):
            stack.guard.breaker.leave(stack.guard.breaker.enter(), BAD)
        await stack.clock.sleep(5.0)
        probe = asyncio.create_task(stack.ask())
        await stack.clock.sleep(0.1)
        assert stack.guard.breaker_state == "half_open"
        probe.cancel()
        await asyncio.wait([probe])
        return await stack.ask()

    assert stack.clock.run(play()) is ANSWER
    assert stack.guard.breaker_state == "closed"


def test_an_outage_of_a_minute_costs_little_and_ends_within_ten_seconds():
    """F10: at most 1.1 times the load goes upstream, refusals are instant, one probe at a time,
    and service is back within 10 s of healing."""
    healed_at = 1060.0

    async def behave(call, clock):
        return await (unavailable if clock.now() < healed_at else answers)(call, clock)

    stack = Stack(behave)
    refusals: list[float] = []
    answered: list[float] = []

    async def one() -> None:
        since = stack.clock.now()
        outcome = await stack.ask()
        if outcome is ANSWER:
            answered.append(stack.clock.now())
        elif outcome.reason is Reason.BREAKER_OPEN and not stack.upstream.arrivals[-1] >= since:
            refusals.append(stack.clock.now() - since)

    async def load() -> None:
        tasks = []
        for _ in range(8000):
            tasks.append(asyncio.create_task(one()))
            await stack.clock.sleep(0.01)
        await asyncio.gather(*tasks)

    stack.clock.run(load())
    during = [moment for moment in stack.upstream.arrivals if moment < healed_at]
    assert len(during) <= 1.1 * 6000
    assert len(during) < 50, "the breaker was open nearly all the time"
    assert min(answered) <= healed_at + 10.0
    assert max(refusals) <= 0.005


@given(st.lists(st.sampled_from([GOOD, BAD, NOTHING, "wait", "enter"]), max_size=200))
def test_no_more_probes_than_allowed_are_ever_under_way(steps):
    """R12: whatever happens in whatever order, a half-open breaker has one probe out."""
    clock = VirtualClock()
    breaker = make(clock)
    tickets: list[int] = []
    for step in steps:
        if step == "wait":
            clock.run(clock.sleep(2.0))
        elif step == "enter":
            with contextlib.suppress(Failure):
                tickets.append(breaker.enter())
        elif tickets:
            breaker.leave(tickets.pop(0), step)
        assert 0 <= breaker._probing <= 1
