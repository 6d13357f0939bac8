"""The summary: the worst case decides, what is missing says why, and noise is called noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench_runs import codecs_run, service_run, without
from benchmarks.gate import check
from benchmarks.harness.results import Case, Interval, Run, write_run
from benchmarks.summary import Judged, judge, main, sure, to_summary, verdict


def place(folder: Path, *runs: Run) -> Path:
    for run in runs:
        write_run(run, folder / f"{run.kind}.json")
    return folder


def named(judged: list[Judged], name: str) -> Judged:
    return next(one for one in judged if one.budget.name == name)


def with_ratio(run: Run, scenario: str, ratio: Interval | None, *notes: str) -> Run:
    cases = tuple(
        replace(case, ratio=ratio, notes=notes) if case.scenario == scenario else case
        for case in run.cases
    )
    return replace(run, cases=cases)


def test_the_file_has_what_was_agreed_on(tmp_path: Path) -> None:
    place(tmp_path, service_run(), codecs_run())
    assert main(["--folder", str(tmp_path), "--command", "make bench-quick"]) == 0
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["schema"] == 1
    assert told["command"] == "make bench-quick"
    assert told["machine"]["commit"] == "0123456789ab"
    assert told["missing"] == []
    record = told["budgets"][0]
    assert (record["name"], record["budget"], record["aim"]) == ("call", 0.75, 0.5)
    assert (record["sense"], record["passed"]) == ("at_most", True)
    assert record["measured"]["low"] <= record["measured"]["mid"] <= record["measured"]["high"]
    assert record["case"]["scenario"] == "call"


def test_the_worst_of_the_cases_decides() -> None:
    run = codecs_run()
    slow = tuple(
        replace(case, ratio=Interval(5.9, 6.0, 6.1))
        if case.variant.get("shape") == "deep_nested" and case.ratio
        else case
        for case in run.cases
    )
    judged = judge([replace(run, cases=slow)])
    told = named(judged, "json_to_protobuf_plain")
    assert told.measured == Interval(5.9, 6.0, 6.1)
    assert told.case is not None
    assert told.case.variant["shape"] == "deep_nested"
    assert not told.passed
    assert named(judged, "json_to_protobuf_converting").passed


def test_a_shape_that_was_left_out_leaves_the_budget_missing() -> None:
    run = codecs_run()
    fewer = tuple(case for case in run.cases if case.variant.get("shape") != "list_1000")
    told = named(judge([replace(run, cases=fewer)]), "json_to_protobuf_plain")
    assert (told.measured, told.why) == (None, "not measured for list_1000")


def test_a_case_whose_windows_had_errors_is_missing_and_never_passed() -> None:
    run = with_ratio(service_run(), "call", None, "failed: interlace: 3 errors")
    told = named(judge([run]), "call")
    assert told.measured is None
    assert not told.passed
    assert "failed: interlace: 3 errors" in told.why
    assert to_summary([run], command="x")["why_missing"]["call"] == told.why


def test_a_scenario_that_could_not_be_measured_says_why() -> None:
    broken = Case("service", "fanout", {}, "", notes=("failed: TimeoutError: no answer",))
    run = replace(service_run(), cases=(broken,))
    assert named(judge([run]), "fanout_8").why == "failed: TimeoutError: no answer"
    assert named(judge([run]), "boot").why == "not in this run"


@pytest.mark.parametrize(
    ("ratio", "passed", "words"),
    [
        (Interval(0.70, 0.72, 0.74), True, "clearly passed"),
        (Interval(0.70, 0.74, 0.78), True, "passed, within noise of the budget"),
        (Interval(0.72, 0.76, 0.78), False, "failed, within noise of the budget"),
        (Interval(0.76, 0.77, 0.78), False, "clearly failed"),
    ],
)
def test_the_middle_decides_and_the_interval_says_how_sure_it_is(
    ratio: Interval, passed: bool, words: str
) -> None:
    told = named(judge([with_ratio(service_run(), "call", ratio)]), "call")
    assert (told.passed, verdict(told)) == (passed, words)
    assert sure(told) == words.startswith("clearly")


@pytest.mark.parametrize(("pairs", "is_sure"), [(2, False), (5, False), (6, True)])
def test_few_pairs_are_never_sure_however_narrow_their_interval(pairs: int, is_sure: bool) -> None:
    run = with_ratio(service_run(), "call", Interval(0.5, 0.5, 0.5))
    fewer = [
        replace(case, samples=case.samples[: 2 * pairs]) if case.scenario == "call" else case
        for case in run.cases
    ]
    summary = to_summary([replace(run, cases=tuple(fewer))], command="x")
    told = named(judge([replace(run, cases=tuple(fewer))]), "call")
    assert told.passed
    assert sure(told) is is_sure
    assert summary["budgets"][0]["pairs"] == pairs
    assert ("too few windows" in verdict(told)) is not is_sure
    (line,) = [line for line in check(summary)[0] if line.startswith("ok       call:")]
    assert ("too few windows" in line) is not is_sure


def test_without_any_run_every_budget_is_missing(tmp_path: Path) -> None:
    assert main(["--folder", str(tmp_path / "none")]) == 0
    told = json.loads((tmp_path / "none" / "summary.json").read_text())
    assert told["budgets"] == []
    assert len(told["missing"]) == 14
    assert set(told["why_missing"].values()) == {"not in this run"}


def test_one_suite_alone_decides_its_own_budgets() -> None:
    told = to_summary([without(service_run(), ["boot"])], command="x")
    assert "boot" in told["missing"]
    assert {"json_to_protobuf_plain", "protobuf_to_json_plain"} <= set(told["missing"])
    assert "call" in {record["name"] for record in told["budgets"]}
