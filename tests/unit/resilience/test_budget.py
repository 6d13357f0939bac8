"""The retry budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlaced.resilience.budget import RetryBudget
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeConnectorObserver


def make(share: float, clock: VirtualClock) -> RetryBudget:
    return RetryBudget(share, clock, FakeConnectorObserver())


def test_a_quiet_connector_may_retry_once_a_second():
    clock = VirtualClock()
    budget = make(0.1, clock)
    budget.add_call(clock.now())
    assert sum(budget.try_spend() for _ in range(100)) == 10

    clock.run(clock.sleep(10.0))
    assert budget.try_spend(), "what was spent ten seconds ago is forgotten"


def test_a_busy_connector_may_retry_its_share():
    clock = VirtualClock()
    budget = make(0.2, clock)
    for _ in range(1000):
        budget.add_call(clock.now())
    assert sum(budget.try_spend() for _ in range(1000)) == 200


def test_a_share_of_nothing_allows_none():
    clock = VirtualClock()
    budget = make(0.0, clock)
    budget.add_call(clock.now())
    assert not budget.try_spend()


def test_the_observer_hears_what_is_left():
    observer = FakeConnectorObserver()
    budget = RetryBudget(0.1, VirtualClock(), observer)
    budget.try_spend()
    assert observer.budget_changes == [9.0]


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 30)), max_size=60))
def test_retries_never_pass_the_larger_of_share_and_minimum(steps: list[tuple[float, int]]):
    """R3: whenever it is spent, ten seconds hold at most 10 % of their calls, or ten."""
    clock = VirtualClock()
    budget = make(0.1, clock)
    spent = 0
    calls = 0
    for wait, load in steps:
        clock.run(clock.sleep(wait))
        for _ in range(load):
            budget.add_call(clock.now())
            calls += 1
            spent += budget.try_spend()
    windows = (clock.now() - 1000.0) // 10 + 1
    assert spent <= 0.1 * calls + 10 * windows
