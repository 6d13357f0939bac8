"""The bench of the policy suite; its clauses are proven in tests/conformance and tests/broken."""

from __future__ import annotations

from policy_rig import ANSWER

from interlaced.core.failure import Failure, Reason
from interlaced.testing.policy_suite import PolicyBench, PolicySuite


def bare(operation, *, policy, tools, permits):
    """No policy at all."""
    return operation.attempt


async def answer(call, clock):
    await clock.sleep(1.0)
    return ANSWER


async def refuse(call, clock):
    raise Failure(Reason.UPSTREAM_NOT_FOUND, "404")


def test_the_bench_counts_what_arrives_and_is_under_way():
    bench = PolicyBench(bare, answer)
    assert bench.clock.run(bench.crowd(3)) == [ANSWER] * 3
    assert len(bench.upstream.arrivals) == bench.upstream.most_under_way == 3
    assert bench.upstream.under_way == 0


def test_the_bench_gives_failures_back():
    assert PolicyBench(bare, refuse).run_one().reason is Reason.UPSTREAM_NOT_FOUND


def test_abandoned_calls_are_cancelled():
    bench = PolicyBench(bare, answer)
    bench.clock.run(bench.abandon(3, after=0.5))
    assert bench.upstream.under_way == 0


def test_a_stack_without_policies_fails_most_clauses():
    failed = 0
    clauses = [name for name in dir(PolicySuite) if name.startswith("test_")]
    for name in clauses:
        try:
            getattr(PolicySuite(), name)(bare)
        except (AssertionError, Failure):
            failed += 1
    assert failed > len(clauses) / 2
