"""What any resilience stack must keep, whoever wrote it: inherit PolicySuite and give `stack`."""

# ruff: noqa: S101  # a suite asserts

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from interlaced.core.failure import Disposition, Failure, Reached, Reason
from interlaced.core.model import Call, Effect, Effort, Handler, Payload, Reply
from interlaced.core.ports import Operation, Tools
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools

__all__ = ["Behave", "ComposeStack", "PolicyBench", "PolicySuite", "ScriptedUpstream"]

Behave: TypeAlias = Callable[[Call, VirtualClock], Awaitable[Reply]]
"""What the upstream of a clause does with one attempt."""

_Outcome: TypeAlias = Reply | Failure

_ANSWER = Reply(Payload("application/json", b"{}"), "200")
_NOTHING_ELSE: dict[str, Any] = {
    "attempt_timeout": None,
    "retry": {"attempts": 1},
    "breaker": None,
    "bulkhead": None,
}


class ComposeStack(Protocol):
    """Puts a stack around an operation, for a connector of its own."""

    def __call__(
        self, operation: Operation, *, policy: Mapping[str, Any], tools: Tools, permits: int
    ) -> Handler[Call, Reply]:
        """Returns the wrapped operation. `policy` is written as in a manifest and laid over the
        defaults; `permits` is how many calls the process admits."""
        ...


@dataclass(slots=True)
class ScriptedUpstream:
    """Counts what arrives and does what the clause says."""

    behave: Behave
    clock: VirtualClock
    arrivals: list[float]
    under_way: int = 0
    most_under_way: int = 0

    async def __call__(self, call: Call) -> Reply:
        self.arrivals.append(self.clock.now())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self.behave(call, self.clock)
        finally:
            self.under_way -= 1


class PolicyBench:
    """A stack under test in virtual time, with its upstream."""

    def __init__(
        self,
        compose: ComposeStack,
        behave: Behave,
        policy: Mapping[str, Any] | None = None,
        *,
        effect: Effect = Effect.SAFE,
        permits: int = 100_000,
        seed: int = 1,
    ) -> None:
        self.clock = VirtualClock()
        self.upstream = ScriptedUpstream(behave, self.clock, [])
        tools = make_tools(self.clock, seed)
        operation = Operation(name="Get", effect=effect, attempt=self.upstream)
        self._handler = compose(operation, policy=policy or {}, tools=tools, permits=permits)

    async def ask(self, *, within: float = 60.0) -> _Outcome:
        """Makes one call with a deadline of `within` seconds; returns how it ended."""
        now = self.clock.now()
        call = Call(deadline=now + within, effort=Effort(now), connector="bench", operation="Get")
        try:
            return await self._handler(call)
        except Failure as failure:
            return failure

    async def crowd(self, size: int, *, within: float = 60.0) -> Sequence[_Outcome]:
        """Makes `size` calls at once."""
        return await asyncio.gather(*(self.ask(within=within) for _ in range(size)))

    async def abandon(self, size: int, after: float) -> None:
        """Makes `size` calls and cancels them `after` seconds later."""
        tasks = [asyncio.create_task(self.ask()) for _ in range(size)]
        await self.clock.sleep(after)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def run_one(self, *, within: float = 60.0) -> _Outcome:
        """Makes one call from outside the loop."""
        return self.clock.run(self.ask(within=within))


def _reason(outcome: _Outcome) -> Reason | None:
    return outcome.reason if isinstance(outcome, Failure) else None


def _is_answered(outcome: _Outcome) -> bool:
    return isinstance(outcome, Reply)


def _failure(outcome: _Outcome) -> Failure:
    assert isinstance(outcome, Failure), "the call was answered, but it had to fail"
    return outcome


async def _answer(call: Call, _: VirtualClock) -> Reply:
    call.effort.reached = Reached.REPLIED
    return _ANSWER


async def _answer_slowly(call: Call, clock: VirtualClock) -> Reply:
    await clock.sleep(1.0)
    return await _answer(call, clock)


async def _hang(call: Call, clock: VirtualClock) -> Reply:
    call.effort.reached = Reached.MAYBE
    await clock.sleep(86_400.0)
    return _ANSWER


async def _fail(_: Call, __: VirtualClock) -> Reply:
    raise Failure(Reason.UPSTREAM_UNAVAILABLE, "503", reached=Reached.MAYBE)


async def _say_no(_: Call, __: VirtualClock) -> Reply:
    raise Failure(Reason.UPSTREAM_NOT_FOUND, "404", reached=Reached.REPLIED)


def _too_many(seconds: float) -> Behave:
    async def behave(_: Call, __: VirtualClock) -> Reply:
        raise Failure(
            Reason.UPSTREAM_RATE_LIMITED, "429", reached=Reached.REPLIED, retry_after=seconds
        )

    return behave


class PolicySuite:
    """The clauses. Each is a test method that takes the fixture `stack`, a ComposeStack."""

    def test_a_reply_passes_untouched(self, stack: ComposeStack) -> None:
        """The reply is the upstream's own, after one attempt and no time."""
        bench = PolicyBench(stack, _answer)
        assert bench.run_one() is _ANSWER
        assert len(bench.upstream.arrivals) == 1
        assert bench.clock.now() == bench.upstream.arrivals[0]

    def test_a_definite_no_is_asked_once_and_passed_on(self, stack: ComposeStack) -> None:
        """A permanent failure is neither tried again nor reworded."""
        bench = PolicyBench(stack, _say_no)
        failure = _failure(bench.run_one())
        assert failure.reason is Reason.UPSTREAM_NOT_FOUND
        assert failure.disposition is Disposition.PERMANENT
        assert len(bench.upstream.arrivals) == 1

    def test_the_deadline_is_kept(self, stack: ComposeStack) -> None:
        """An upstream that hangs is cut off by the caller's deadline, and left no work."""
        bench = PolicyBench(stack, _hang)
        failure = _failure(bench.run_one(within=0.3))
        assert failure.reason is Reason.UPSTREAM_TIMEOUT
        assert bench.clock.now() <= bench.upstream.arrivals[0] + 0.3 + 1e-6
        assert bench.upstream.under_way == 0

    def test_the_policys_deadline_is_kept(self, stack: ComposeStack) -> None:
        """A caller with more time does not wait longer than the policy says."""
        bench = PolicyBench(stack, _hang, {**_NOTHING_ELSE, "deadline": "2s"})
        bench.run_one(within=3600.0)
        assert bench.clock.now() <= bench.upstream.arrivals[0] + 2.0 + 1e-6

    def test_a_spent_deadline_touches_nothing(self, stack: ComposeStack) -> None:
        """A call that comes too late is refused before the upstream sees it."""
        bench = PolicyBench(stack, _answer)
        assert _reason(bench.run_one(within=0.0)) is Reason.DEADLINE_SPENT
        assert bench.upstream.arrivals == []

    def test_an_attempt_is_cut_at_its_timeout(self, stack: ComposeStack) -> None:
        """One attempt ends at its own time and says how far it got."""
        bench = PolicyBench(stack, _hang, {**_NOTHING_ELSE, "attempt_timeout": "1s"})
        failure = _failure(bench.run_one())
        assert (failure.reason, failure.reached) == (Reason.UPSTREAM_TIMEOUT, Reached.MAYBE)
        assert bench.clock.now() <= bench.upstream.arrivals[0] + 1.0 + 1e-6

    def test_a_temporary_failure_is_tried_again(self, stack: ComposeStack) -> None:
        """A read that fails twice and then works is answered."""
        failures = [_fail, _fail]

        async def behave(call: Call, clock: VirtualClock) -> Reply:
            return await (failures.pop() if failures else _answer)(call, clock)

        bench = PolicyBench(stack, behave)
        assert _is_answered(bench.run_one())

    def test_attempts_are_bounded(self, stack: ComposeStack) -> None:
        """An upstream that always fails is asked exactly as often as the policy says."""
        bench = PolicyBench(stack, _fail, {"retry": {"attempts": 4}})
        bench.run_one()
        assert len(bench.upstream.arrivals) == 4

    def test_spent_retries_say_so(self, stack: ComposeStack) -> None:
        """What was temporary is PERSISTENT once trying again is over."""
        failure = _failure(PolicyBench(stack, _fail).run_one())
        assert failure.disposition is Disposition.PERSISTENT

    def test_a_write_is_not_sent_twice(self, stack: ComposeStack) -> None:
        """An unsafe call without a key that may have been seen is over."""
        bench = PolicyBench(stack, _fail, effect=Effect.UNSAFE)
        bench.run_one()
        assert len(bench.upstream.arrivals) == 1

    def test_an_unknown_outcome_is_told(self, stack: ComposeStack) -> None:
        """That call's failure says that nobody knows what became of it."""
        bench = PolicyBench(stack, _fail, {"retry": {"attempts": 1}}, effect=Effect.UNSAFE)
        failure = _failure(bench.run_one())
        assert failure.reason is Reason.OUTCOME_UNKNOWN
        assert failure.reached is Reached.MAYBE

    def test_retries_keep_their_budget(self, stack: ComposeStack) -> None:
        """At 100 % failure a thousand calls bring at most 1,100 attempts."""
        bench = PolicyBench(stack, _fail, {"breaker": None, "bulkhead": None})
        bench.clock.run(bench.crowd(1000))
        assert 1000 <= len(bench.upstream.arrivals) <= 1100

    def test_a_wait_that_does_not_fit_fails_at_once(self, stack: ComposeStack) -> None:
        """Retry-After of an hour in a two-second call: told at once, with the hour."""
        bench = PolicyBench(stack, _too_many(3600.0))
        failure = _failure(bench.run_one(within=2.0))
        assert failure.retry_after == 3600.0
        assert bench.clock.now() == bench.upstream.arrivals[0]

    def test_a_wait_that_is_asked_for_holds_every_caller(self, stack: ComposeStack) -> None:
        """After one 429 nobody asks that upstream again before the time is over."""
        began = 0.0

        async def behave(call: Call, clock: VirtualClock) -> Reply:
            nonlocal began
            began = began or clock.now()
            is_early = clock.now() < began + 5.0
            return await (_too_many(5.0) if is_early else _answer)(call, clock)

        bench = PolicyBench(stack, behave, {"retry": {"attempts": 1}})

        async def play() -> Sequence[_Outcome]:
            await bench.ask()
            await bench.clock.sleep(1.0)
            return await bench.crowd(20)

        outcomes = bench.clock.run(play())
        assert all(_is_answered(outcome) for outcome in outcomes)
        assert len(bench.upstream.arrivals) == 21
        assert len(set(bench.upstream.arrivals[1:])) > 10, "they come back one by one"

    def test_a_broken_upstream_is_left_alone(self, stack: ComposeStack) -> None:
        """Five failures in a row, and the sixth call is refused with the time to the probe."""
        bench = PolicyBench(stack, _fail, {"retry": {"attempts": 1}})

        async def play() -> _Outcome:
            for _ in range(5):
                await bench.ask()
            return await bench.ask()

        failure = _failure(bench.clock.run(play()))
        assert failure.reason is Reason.BREAKER_OPEN
        assert failure.disposition is Disposition.PERSISTENT
        assert failure.retry_after
        assert len(bench.upstream.arrivals) == 5

    def test_answers_of_4xx_break_nothing(self, stack: ComposeStack) -> None:
        """An upstream that says no is well."""
        bench = PolicyBench(stack, _say_no)
        outcomes = bench.clock.run(bench.crowd(60))
        assert {_reason(outcome) for outcome in outcomes} == {Reason.UPSTREAM_NOT_FOUND}

    def test_one_probe_finds_out_whether_it_is_well(self, stack: ComposeStack) -> None:
        """A thousand callers after the open time: one request; then all is as before."""
        bench = PolicyBench(stack, _fail, {"retry": {"attempts": 1}})

        async def play() -> _Outcome:
            for _ in range(5):
                await bench.ask()
            bench.upstream.behave = _answer_slowly
            await bench.clock.sleep(60.0)
            await bench.crowd(1000)
            return await bench.ask()

        assert _is_answered(bench.clock.run(play()))
        assert len(bench.upstream.arrivals) == 7

    def test_a_cancelled_probe_frees_its_place(self, stack: ComposeStack) -> None:
        """The next caller is the probe then."""
        bench = PolicyBench(stack, _fail, {"retry": {"attempts": 1}})

        async def play() -> _Outcome:
            for _ in range(5):
                await bench.ask()
            bench.upstream.behave = _answer_slowly
            await bench.clock.sleep(60.0)
            await bench.abandon(1, after=0.1)
            return await bench.ask()

        assert _is_answered(bench.clock.run(play()))

    def test_no_more_attempts_than_allowed_are_under_way(self, stack: ComposeStack) -> None:
        """The bulkhead: three under way, four queued, the rest refused at once."""
        policy = {**_NOTHING_ELSE, "bulkhead": {"in_flight": 3, "queue": 4}}
        bench = PolicyBench(stack, _answer_slowly, policy)
        outcomes = bench.clock.run(bench.crowd(20))
        assert bench.upstream.most_under_way == 3
        assert sum(_is_answered(outcome) for outcome in outcomes) == 7
        assert {_reason(outcome) for outcome in outcomes} == {None, Reason.BULKHEAD_FULL}

    def test_overload_is_refused_before_side_effects(self, stack: ComposeStack) -> None:
        """Beyond the process's permits: OVERLOADED, when to come back, nothing sent."""
        bench = PolicyBench(stack, _answer_slowly, permits=5)
        outcomes = bench.clock.run(bench.crowd(20))
        shed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
        assert len(bench.upstream.arrivals) == 5
        assert {failure.reason for failure in shed} == {Reason.OVERLOADED}
        assert all(failure.retry_after for failure in shed)

    def test_waves_and_cancels_leak_no_permits(self, stack: ComposeStack) -> None:
        """After waves of calls, answered, refused or abandoned, there is as much room as before."""
        policy = {**_NOTHING_ELSE, "bulkhead": {"in_flight": 3, "queue": 2}}
        bench = PolicyBench(stack, _answer_slowly, policy, permits=5)

        async def play() -> Sequence[_Outcome]:
            for wave in range(20):
                await bench.abandon(10, after=wave * 0.07)
                await bench.crowd(10)
            return await bench.crowd(10)

        outcomes = bench.clock.run(play())
        assert sum(_is_answered(outcome) for outcome in outcomes) == 5
        assert bench.upstream.under_way == 0

    def test_the_rate_is_kept(self, stack: ComposeStack) -> None:
        """Two at once, then ten a second; who cannot wait so long is told at once."""
        policy = {**_NOTHING_ELSE, "limit": {"rate": "10/s", "burst": 2}}
        bench = PolicyBench(stack, _answer, policy)
        outcomes = bench.clock.run(bench.crowd(40, within=1.05))
        arrivals = bench.upstream.arrivals
        assert len(arrivals) == 12
        assert all(arrivals[n + 2] - arrivals[n] >= 0.1 - 1e-6 for n in range(len(arrivals) - 2))
        assert {_reason(outcome) for outcome in outcomes} == {None, Reason.RATE_LIMITED}

    def test_the_same_seed_gives_the_same_decisions(self, stack: ComposeStack) -> None:
        """Same inputs, same clock, same seed: the same attempts at the same times."""

        def play() -> list[float]:
            turn = itertools.count()

            async def behave(call: Call, clock: VirtualClock) -> Reply:
                return await (_answer if next(turn) % 3 == 2 else _fail)(call, clock)

            bench = PolicyBench(stack, behave, {"breaker": None}, seed=3)
            bench.clock.run(bench.crowd(50))
            return bench.upstream.arrivals

        assert play() == play()
