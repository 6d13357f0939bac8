"""Admission of the whole process."""

from __future__ import annotations

import asyncio

import pytest
from policy_rig import ANSWER, Stack, slowly

from interlaced.core.failure import Disposition, Failure, Reason
from interlaced.resilience.admission import Admission

NO_BULKHEAD = {"bulkhead": None}


def test_a_call_beyond_the_limit_is_shed_before_any_side_effect():
    """F27: OVERLOADED at once, with when to come back, and the upstream saw nothing of it."""
    stack = Stack(slowly(1.0), NO_BULKHEAD, admission=Admission(2, retry_after=3.0))

    async def crowd() -> list[object]:
        return await asyncio.gather(*(stack.ask() for _ in range(6)))

    outcomes = stack.clock.run(crowd())
    shed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(shed) == 4
    assert {failure.reason for failure in shed} == {Reason.OVERLOADED}
    assert {failure.retry_after for failure in shed} == {3.0}
    assert {failure.disposition for failure in shed} == {Disposition.PERSISTENT}
    assert stack.upstream.attempts == 2
    rejections = stack.observer.operations["shop", "Get"].rejections
    assert [policy for policy, _ in rejections] == ["admission"] * 4


def test_waves_of_overload_leak_no_permits():
    """P28, F27: ten waves at ten times the limit; each gets exactly the limit through."""
    stack = Stack(slowly(0.1), NO_BULKHEAD, admission=Admission(10))

    async def waves() -> list[int]:
        served = []
        for _ in range(10):
            outcomes = await asyncio.gather(*(stack.ask() for _ in range(100)))
            served.append(sum(outcome is ANSWER for outcome in outcomes))
        return served

    assert stack.clock.run(waves()) == [10] * 10
    assert stack.is_idle


def test_goodput_under_ten_times_the_load_stays_at_its_peak():
    """P28: an open loop at ten times what 10 permits and 100 ms allow; goodput >= 80 % of peak,
    and nobody who is let in waits."""
    stack = Stack(slowly(0.1), NO_BULKHEAD, admission=Admission(10))
    peak = 100.0
    took: list[float] = []

    async def one() -> None:
        since = stack.clock.now()
        if await stack.ask() is ANSWER:
            took.append(stack.clock.now() - since)

    async def load() -> None:
        tasks = []
        for _ in range(5000):
            tasks.append(asyncio.create_task(one()))
            await stack.clock.sleep(0.001)
        await asyncio.gather(*tasks)

    stack.clock.run(load())
    assert len(took) / 5.0 >= 0.8 * peak
    assert max(took) == pytest.approx(0.1)
    assert stack.is_idle


def test_a_call_may_wait_where_a_queue_is_configured():
    stack = Stack(slowly(1.0), NO_BULKHEAD, admission=Admission(1, queue=1))

    async def crowd() -> list[object]:
        return await asyncio.gather(*(stack.ask() for _ in range(3)))

    outcomes = stack.clock.run(crowd())
    assert sum(outcome is ANSWER for outcome in outcomes) == 2
    assert stack.observer.operations["shop", "Get"].waits == [("admission", 1.0)]
    assert stack.admission.in_flight == 0


@pytest.mark.parametrize(("limit", "queue"), [(0, 0), (1, -1)])
def test_a_senseless_limit_is_refused(limit: int, queue: int):
    with pytest.raises(ValueError, match="at least one permit"):
        Admission(limit, queue=queue)
