"""Completion policies in virtual time."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import Iterator, Sequence

import pytest
from flying import Perform, in_flight
from hypothesis import given, settings
from hypothesis import strategies as st

from interlaced.core.branches import Branch, BranchArgument, CompletionPolicy, Plan, Rule
from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, Reason
from interlaced.core.fanout import Decision, Extract, FanOut, Outcome
from interlaced.core.model import Argument, Call, Effort, Payload, Reply
from interlaced.core.path import Path, compile_pointer
from interlaced.testing.clock import VirtualClock

ALL = CompletionPolicy(Rule.ALL)
BEST = CompletionPolicy(Rule.BEST_EFFORT)
FIRST = CompletionPolicy(Rule.FIRST_OK)


def leg(
    name: str,
    seconds: float = 0.0,
    *,
    ok: bool = True,
    after: str = "",
    required: bool = False,
    timeout: float = math.inf,
) -> Branch:
    arguments = (BranchArgument(after, compile_pointer("/id"), "id"),) if after else ()
    call = Call(
        deadline=1e9,
        effort=Effort(0.0),
        connector="up",
        operation="ok" if ok else "fail",
        parameters={"seconds": seconds},
    )
    return Branch(
        name=name, call=call, timeout=timeout, is_required=required, arguments_from=arguments
    )


def extract(payload: Payload, paths: Sequence[Path]) -> list[Argument | None]:
    if not payload.data:
        raise ValueError("not JSON")
    return ["7" if path.text == "/id" else None for path in paths]


@pytest.fixture(params=[False, True], ids=["task", "flight"], autouse=True, scope="module")
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs each test with branches that are tasks, and with branches that are in flight."""
    Bench.in_flight = request.param
    yield
    Bench.in_flight = False


class Bench:
    """Runs one fan-out in virtual time and counts what is open."""

    in_flight = False

    def __init__(self, branches: Sequence[Branch], policy: CompletionPolicy, limit: float = 10.0):
        self.clock = VirtualClock()
        self.open = 0
        self.calls: list[Call] = []
        self.landed: list[str] = []
        self.took = 0.0
        self.left = -1
        self.clock.run(self.run(Plan(branches, policy), limit))

    async def perform(self, call: Call) -> Reply:
        self.open += 1
        self.calls.append(call)
        call.effort.attempts += 1
        call.effort.is_attempting = True
        try:
            with TimeLimit(self.clock, call.deadline):
                await self.clock.sleep(float(str(call.parameters["seconds"])))
        except TimeoutError as error:
            raise Failure(Reason.UPSTREAM_TIMEOUT, "late") from error
        finally:
            self.open -= 1
        if call.operation == "fail":
            raise Failure(Reason.UPSTREAM_FAILED, "broken")
        return Reply(Payload("application/json", b"{}"))

    async def run(self, plan: Plan, limit: float) -> None:
        started = self.clock.now()
        fan_out = open_fan_out(plan, self.clock, self.perform, started + limit)
        async with fan_out:
            while (outcome := await fan_out.next()) is not None:
                self.landed.append(outcome.branch)
        self.took = self.clock.now() - started
        if self.in_flight:
            await asyncio.sleep(0)  # the tasks are the scripted upstream's own
        self.left = len(asyncio.all_tasks()) - 1
        self.decision = fan_out.decision
        self.outcomes: Sequence[Outcome] = fan_out.outcomes

    def reasons(self) -> list[str]:
        return [
            outcome.result.reason.value if isinstance(outcome.result, Failure) else "OK"
            for outcome in self.outcomes
        ]


def open_fan_out(
    plan: Plan,
    clock: VirtualClock,
    perform: Perform,
    deadline: float,
    *,
    extract: Extract = extract,
) -> FanOut:
    call, begin_for = in_flight(perform) if Bench.in_flight else (perform, None)
    return FanOut(
        plan, clock=clock, call=call, extract=extract, deadline=deadline, begin_for=begin_for
    )


def test_all_ends_at_the_first_failure() -> None:
    bench = Bench([leg("slow", 5), leg("bad", 1, ok=False)], ALL)
    assert bench.decision is Decision.NOT_MET
    assert bench.took == pytest.approx(1)
    assert bench.reasons() == ["CALLER_CANCELLED", "UPSTREAM_FAILED"]
    assert (bench.open, bench.left) == (0, 0)


def test_a_quorum_ends_as_soon_as_it_is_met_or_cannot_be() -> None:
    legs = [leg("a", 1), leg("b", 2), leg("c", 3), leg("d", 4)]
    met = Bench(legs, CompletionPolicy(Rule.QUORUM, 2))
    assert (met.decision, met.took) == (Decision.MET, pytest.approx(2))
    bad = [leg("a", 1, ok=False), leg("b", 2, ok=False), leg("c", 30)]
    unmet = Bench(bad, CompletionPolicy(Rule.QUORUM, 2))
    assert (unmet.decision, unmet.took) == (Decision.NOT_MET, pytest.approx(2))


def test_the_first_success_decides_and_the_others_say_so() -> None:
    bench = Bench([leg("slow", 5), leg("bad", 0.5, ok=False), leg("fast", 1)], FIRST)
    assert bench.decision is Decision.MET
    assert bench.reasons() == ["CALLER_CANCELLED", "UPSTREAM_FAILED", "OK"]
    cancelled = bench.outcomes[0].result
    assert isinstance(cancelled, Failure)
    assert cancelled.context["decided"] == "policy"
    assert cancelled.operation == "up.ok"


def test_a_required_branch_must_succeed_whatever_the_rule_says() -> None:
    waits = Bench([leg("fast", 1), leg("must", 3, required=True)], FIRST)
    assert (waits.decision, waits.took) == (Decision.MET, pytest.approx(3))
    fails = Bench([leg("fast", 5), leg("must", 1, ok=False, required=True)], BEST)
    assert (fails.decision, fails.took) == (Decision.NOT_MET, pytest.approx(1))


def test_best_effort_waits_for_all_and_answers_in_time() -> None:
    done = Bench([leg("a", 1), leg("bad", 2, ok=False)], BEST)
    assert (done.decision, done.took) == (Decision.MET, pytest.approx(2))
    late = Bench([leg("a", 1), leg("never", 60)], BEST, limit=3)
    assert late.decision is Decision.MET
    assert late.took <= 3
    assert late.reasons() == ["OK", "UPSTREAM_TIMEOUT"]


def test_best_effort_without_its_required_branch_is_decided_by_time() -> None:
    bench = Bench([leg("a", 1), leg("must", 60, required=True)], BEST, limit=3)
    assert bench.decision is Decision.OUT_OF_TIME


def test_time_decides_what_is_not_decided_otherwise() -> None:
    bench = Bench([leg("a", 1), leg("never", 60)], ALL, limit=3)
    assert bench.decision is Decision.OUT_OF_TIME
    assert bench.took <= 3
    assert (bench.open, bench.left) == (0, 0)


def test_an_argument_comes_from_the_other_branch() -> None:
    bench = Bench([leg("child", after="parent"), leg("parent", 1)], ALL)
    assert bench.decision is Decision.MET
    assert bench.landed == ["parent", "child"]
    assert bench.calls[1].parameters["id"] == "7"


def test_the_timeout_of_a_branch_that_waits_begins_with_its_own_start() -> None:
    bench = Bench([leg("first", 2), leg("then", 0.5, after="first", timeout=1)], ALL)
    assert (bench.decision, bench.took) == (Decision.MET, pytest.approx(2.5))
    late = Bench([leg("first", 2), leg("then", 3, after="first", timeout=1)], BEST)
    assert late.took == pytest.approx(3)
    assert late.reasons() == ["OK", "UPSTREAM_TIMEOUT"]


def test_the_least_of_the_branchs_and_the_fan_outs_time_wins() -> None:
    bench = Bench([leg("slow", 9, timeout=7)], BEST, limit=5)
    assert bench.took == pytest.approx(5, abs=0.02)
    assert bench.reasons() == ["UPSTREAM_TIMEOUT"]


def test_the_first_success_does_not_decide_before_the_required_branch() -> None:
    bench = Bench([leg("quick", 1), leg("must", 3, required=True), leg("slow", 9)], FIRST)
    assert (bench.decision, bench.took) == (Decision.MET, pytest.approx(3))
    assert bench.reasons() == ["OK", "OK", "CALLER_CANCELLED"]
    bad = Bench([leg("quick", 1), leg("must", 3, ok=False, required=True), leg("slow", 9)], FIRST)
    assert (bad.decision, bad.took) == (Decision.NOT_MET, pytest.approx(3))


def test_a_failed_parent_fails_its_line_without_an_attempt() -> None:
    legs = [
        leg("parent", 1, ok=False),
        leg("child", after="parent"),
        leg("grandchild", after="child"),
        leg("other", 2),
    ]
    bench = Bench(legs, BEST)
    assert bench.reasons() == ["UPSTREAM_FAILED", "DEPENDENCY_FAILED", "DEPENDENCY_FAILED", "OK"]
    assert [outcome.effort.attempts for outcome in bench.outcomes] == [1, 0, 0, 1]


def test_an_argument_that_is_not_there_fails_the_dependant() -> None:
    child = leg("child")
    lost = BranchArgument("parent", compile_pointer("/missing"), "id")
    child = Branch(name="child", call=child.call, arguments_from=(lost,))
    assert Bench([leg("parent"), child], BEST).reasons() == ["OK", "DEPENDENCY_FAILED"]


def test_branches_that_never_began_are_cancelled_with_the_rest() -> None:
    legs = [leg("fast", 1), leg("parent", 5), leg("child", after="parent")]
    assert Bench(legs, FIRST).reasons() == ["OK", "CALLER_CANCELLED", "CALLER_CANCELLED"]


def test_a_bug_in_a_branch_is_that_branchs_failure() -> None:
    async def main() -> str:
        async def broken(_call: Call) -> Reply:
            raise ValueError("secret")

        plan = Plan([leg("bug")], BEST)
        fan_out = open_fan_out(plan, clock, broken, clock.now() + 1)
        async with fan_out:
            outcomes = await fan_out.finish()
        assert isinstance(outcomes[0].result, Failure)
        assert isinstance(outcomes[0].result.__cause__, ValueError)
        return outcomes[0].result.message

    clock = VirtualClock()
    assert "secret" not in clock.run(main())


def test_a_bug_behind_a_branch_does_not_outlive_the_fan_outs_time() -> None:
    """What an argument is taken out of may break whoever looks into it."""

    def breaks(_payload: Payload, _paths: Sequence[Path]) -> list[Argument | None]:
        raise TypeError("a bug")

    async def main() -> tuple[Decision | None, float]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        plan, started = Plan([leg("a", 1), leg("b", after="a")], ALL), clock.now()
        fan_out = open_fan_out(plan, clock, bench.perform, started + 5, extract=breaks)
        async with fan_out:
            await fan_out.finish()
        return fan_out.decision, clock.now() - started

    bench = Bench([leg("only")], ALL)
    clock = bench.clock = VirtualClock()
    assert clock.run(main()) == (Decision.OUT_OF_TIME, pytest.approx(5))


def test_a_caller_that_leaves_takes_everything_along() -> None:
    """L8: cancelled in the middle, no branch goes on and no further one begins."""
    open_now = 0

    async def perform(_call: Call) -> Reply:
        nonlocal open_now
        open_now += 1
        try:
            await clock.sleep(60)
        finally:
            open_now -= 1
        return Reply(Payload("text/plain", b""))

    async def fan_out() -> None:
        plan = Plan([leg("a"), leg("b"), leg("c", after="a")], ALL)
        running = open_fan_out(plan, clock, perform, 2000.0)
        async with running:
            await running.finish()

    async def main() -> None:
        task = asyncio.ensure_future(fan_out())
        await clock.sleep(1)
        assert open_now == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_now == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    clock = VirtualClock()
    clock.run(main())


@st.composite
def fan_outs(draw: st.DrawFn) -> tuple[list[Branch], CompletionPolicy]:
    size = draw(st.integers(1, 6))
    branches = []
    for place in range(size):
        after = draw(st.sampled_from(["", *(str(other) for other in range(place))]))
        seconds = float(draw(st.integers(0, 6)))
        ok, required = draw(st.booleans()), draw(st.booleans())
        branches.append(leg(str(place), seconds, ok=ok, after=after, required=required))
    rule = draw(st.sampled_from([Rule.ALL, Rule.FIRST_OK, Rule.BEST_EFFORT, Rule.QUORUM]))
    counted = size - len(
        {branch.arguments_from[0].branch for branch in branches if branch.arguments_from}
    )
    count = draw(st.integers(1, counted)) if rule is Rule.QUORUM else 0
    return branches, CompletionPolicy(rule, count)


@settings(max_examples=150, deadline=None)
@given(fan_outs())
def test_whatever_happens_there_is_one_outcome_per_branch_in_time_and_nothing_left(
    case: tuple[list[Branch], CompletionPolicy],
) -> None:
    """L1, L8, L12: and the decision says what the outcomes say."""
    branches, policy = case
    bench, again = Bench(branches, policy, limit=4.0), Bench(branches, policy, limit=4.0)
    assert [outcome.branch for outcome in bench.outcomes] == [branch.name for branch in branches]
    assert sorted(bench.landed) == sorted(branch.name for branch in branches)
    assert bench.took <= 4.0
    assert (bench.open, bench.left) == (0, 0)
    plan = Plan(branches, policy)
    succeeded = {place for place, outcome in enumerate(bench.outcomes) if outcome.is_ok}
    is_met = plan.required <= succeeded and len(plan.counted & succeeded) >= plan.needed
    assert (bench.decision is Decision.MET) == is_met
    assert (bench.decision, bench.reasons(), bench.landed) == (
        again.decision,
        again.reasons(),
        again.landed,
    )


def test_what_is_over_is_given_back_without_the_collector() -> None:
    """Its outcomes hold bodies, and a service collects seldom."""
    clock = VirtualClock()

    async def answer(_call: Call) -> Reply:
        await clock.sleep(1.0)
        return Reply(Payload("text/plain", b""))

    async def main() -> weakref.ref[FanOut]:
        plan = Plan([leg("a"), leg("b")], ALL)
        fan_out = open_fan_out(plan, clock, answer, clock.now() + 10.0)
        async with fan_out:
            assert len(await fan_out.finish()) == 2
        return weakref.ref(fan_out)

    gc.collect()
    gc.disable()
    try:
        assert clock.run(main())() is None
    finally:
        gc.enable()
