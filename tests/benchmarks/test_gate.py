"""The gate: 0 where every budget holds, 5 where one fails or nobody measured it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bench_runs import codecs_run, service_run, without
from benchmarks.gate import main
from benchmarks.summary import to_summary

Capture = pytest.CaptureFixture[str]


def place(folder: Path, summary: Any) -> list[str]:
    path = folder / "summary.json"
    path.write_text(summary if isinstance(summary, str) else json.dumps(summary))
    return ["--summary", str(path)]


def test_it_ends_with_0_where_every_budget_holds(tmp_path: Path, capsys: Capture) -> None:
    summary = to_summary([service_run(), codecs_run()], command="make bench")
    assert main(place(tmp_path, summary)) == 0
    told = capsys.readouterr()
    assert told.out.count("ok ") == 14
    assert told.err == "all 14 budgets hold\n"


def test_a_budget_that_fails_is_told_with_its_interval_and_the_way_to_measure_again(
    tmp_path: Path, capsys: Capture
) -> None:
    summary = to_summary([service_run(call=330), codecs_run()], command="make bench-quick")
    assert main(place(tmp_path, summary)) == 5
    told = capsys.readouterr()
    (line,) = [line for line in told.out.splitlines() if line.startswith("FAILED")]
    assert line.startswith("FAILED   call: 0.9")
    assert line.endswith("at most 0.75, clearly")
    assert told.err == (
        "1 of 14 budgets fail or were not measured; measure again with: make bench-quick\n"
    )


def test_a_budget_that_nobody_measured_counts_as_failed(tmp_path: Path, capsys: Capture) -> None:
    runs = [without(service_run(), ["workers"]), codecs_run()]
    assert main(place(tmp_path, to_summary(runs, command="x"))) == 5
    assert "MISSING  workers: CPU per call at 2 workers against 1; not in this run" in (
        capsys.readouterr().out
    )


def test_an_interval_that_holds_the_budget_is_said_to_be_unsure(
    tmp_path: Path, capsys: Capture
) -> None:
    summary = to_summary([service_run(), codecs_run()], command="x")
    summary["budgets"][0]["measured"] = {"low": 0.7, "mid": 0.76, "high": 0.8}
    assert main(place(tmp_path, summary)) == 5
    assert "at most 0.75, but the interval holds the budget" in capsys.readouterr().out


def test_the_word_of_the_file_is_not_taken_for_it(tmp_path: Path) -> None:
    """`passed` and the budget of the file are for readers; the gate judges by the table."""
    summary = to_summary([service_run(call=330), codecs_run()], command="x")
    summary["budgets"][0] |= {"passed": True, "budget": 2.0}
    assert main(place(tmp_path, summary)) == 5


@pytest.mark.parametrize("text", [None, "", "[", '{"schema": 2, "budgets": []}', "[]"])
def test_without_a_summary_that_it_can_read_it_ends_with_5(
    tmp_path: Path, capsys: Capture, text: str | None
) -> None:
    arguments = (
        ["--summary", str(tmp_path / "none.json")] if text is None else place(tmp_path, text)
    )
    assert main(arguments) == 5
    assert capsys.readouterr().err.endswith("make one with: interlace bench quick\n")
