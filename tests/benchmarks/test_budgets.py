"""The table of budgets is that of the paper, and finds the cases that decide it."""

from __future__ import annotations

import pytest
from bench_runs import codecs_run, pair, service_run, without
from benchmarks.budgets import AT_LEAST, AT_MOST, BUDGETS, Budget
from benchmarks.summary import judge

PAPER = {
    "call": (0.75, 0.5, AT_MOST),
    "fanout_8": (0.50, 0.4, AT_MOST),
    "fanout_32": (0.42, 0.33, AT_MOST),
    "session_256": (0.25, 0.15, AT_MOST),
    "session_64": (0.35, 0.25, AT_MOST),
    "subscribe_100": (10.0, 25.0, AT_LEAST),
    "idle_subscriber": (1.5, 1.1, AT_MOST),
    "json_to_protobuf_plain": (10.0, 20.0, AT_LEAST),
    "protobuf_to_json_plain": (8.0, 12.0, AT_LEAST),
    "json_to_protobuf_converting": (7.0, 20.0, AT_LEAST),
    "protobuf_to_json_converting": (7.0, 12.0, AT_LEAST),
    "policies": (1.12, 1.05, AT_MOST),
    "boot": (2.0, 1.3, AT_MOST),
    "workers": (1.25, 1.1, AT_MOST),
}


def test_every_budget_of_the_paper_is_there_with_its_figures() -> None:
    assert {one.name: (one.budget, one.aim, one.sense) for one in BUDGETS} == PAPER


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda one: one.name)
def test_the_aim_is_beyond_what_must_be_reached(budget: Budget) -> None:
    assert budget.holds(budget.budget)
    assert budget.holds(budget.aim)
    assert budget.reaches_aim(budget.aim)
    assert not budget.reaches_aim(budget.budget)


def test_a_whole_run_decides_every_budget() -> None:
    judged = judge([service_run(), codecs_run()])
    assert {one.budget.name: one.why for one in judged if one.why} == {}
    assert all(one.passed for one in judged)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda one: one.name)
def test_a_scenario_that_did_not_run_leaves_its_budgets_missing(budget: Budget) -> None:
    runs = [without(run, [budget.scenario]) for run in (service_run(), codecs_run())]
    missing = {one.budget.name for one in judge(runs) if one.measured is None}
    assert missing == {one.name for one in BUDGETS if one.scenario == budget.scenario}


def test_a_case_of_another_variant_or_suite_does_not_count() -> None:
    eight = next(one for one in BUDGETS if one.name == "fanout_8")
    assert eight.covers(pair("fanout", {"width": 8}, 1, 2))
    assert not eight.covers(pair("fanout", {"width": 16}, 1, 2))
    assert not eight.covers(pair("slow_branch", {"width": 8}, 1, 2))
