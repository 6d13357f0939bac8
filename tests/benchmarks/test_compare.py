"""Two runs beside each other: improved, regressed or within noise, and never more than is known."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from bench_runs import codecs_run, pair, service_run, without
from benchmarks.compare import Change, compare, main
from benchmarks.harness.results import Case, Interval, Run, Sample, write_run

Capture = pytest.CaptureFixture[str]


def run_of(*cases: Case) -> Run:
    return replace(service_run(), cases=cases)


def scaled(case: Case, factor: float, *, side: str | None = None) -> Case:
    """The same case with every figure of a side, or of all, multiplied, and a little noise."""
    chance = random.Random(f"{case.scenario}{factor}")
    samples = tuple(
        Sample(
            one.side,
            {
                key: value * (factor if side in (None, one.side) else 1) * chance.gauss(1, 0.005)
                for key, value in one.values.items()
            },
        )
        for one in case.samples
    )
    return replace(case, samples=samples)


def changed(before: Case, after: Case) -> Change:
    (change,), alone = compare(run_of(before), run_of(after))
    assert alone == []
    return change


CALL = pair("call", {}, 160, 360)


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [(1.0, "within noise"), (1.3, "regressed"), (0.7, "improved"), (1.02, "within noise")],
)
def test_the_cost_of_interlace_beside_its_baseline_is_judged(factor: float, verdict: str) -> None:
    change = changed(CALL, scaled(CALL, factor, side="interlace"))
    assert change.verdict() == verdict
    assert change.is_paired
    assert change.ratio.mid == pytest.approx(factor, rel=0.05)


def test_a_machine_that_slows_both_sides_changes_nothing() -> None:
    assert changed(CALL, scaled(CALL, 1.8)).verdict() == "within noise"


def test_more_of_a_rate_is_better() -> None:
    feed = pair("subscribe", {"subscribers": 100}, 1e6, 5e4, key="rate")
    assert changed(feed, scaled(feed, 1.4, side="interlace")).verdict() == "improved"
    assert changed(feed, scaled(feed, 0.6, side="interlace")).verdict() == "regressed"


def test_a_change_counts_where_its_interval_excludes_the_threshold() -> None:
    change = Change("x", "interlace", Interval(1.04, 1.08, 1.12), False, True, (8, 8))
    assert change.verdict(0.03) == "regressed"
    assert change.verdict(0.05) == "within noise"


def test_every_library_of_a_case_is_judged_by_itself() -> None:
    before = next(case for case in codecs_run().cases if case.scenario == "encode")
    changes, _ = compare(run_of(before), run_of(scaled(before, 1.5, side="orjson")))
    told = {change.side: change.verdict() for change in changes}
    assert told.pop("orjson") == "regressed"
    assert set(told.values()) == {"within noise"}
    assert not any(change.is_paired for change in changes)


def test_a_case_that_only_one_run_has_is_named(tmp_path: Path, capsys: Capture) -> None:
    before, after = service_run(), without(service_run(), ["boot"])
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    write_run(before, paths[0])
    write_run(after, paths[1])
    assert main([str(path) for path in paths]) == 0
    told = capsys.readouterr()
    assert "only in A: boot\n" in told.out
    assert "fanout (width=8)  [ratio of windows run in turn]" in told.out
    assert ", 0 regressed, " in told.err
    assert "from commit 0123456789ab to 0123456789ab\n" in told.err


def test_only_under_the_gate_a_regression_ends_it_with_5(tmp_path: Path, capsys: Capture) -> None:
    paths = [str(tmp_path / "a.json"), str(tmp_path / "b.json")]
    write_run(run_of(CALL), Path(paths[0]))
    write_run(run_of(scaled(CALL, 1.5, side="interlace")), Path(paths[1]))
    assert main(paths) == 0
    assert main([*paths, "--gate"]) == 5
    assert main([*paths, "--gate", "--threshold", "80"]) == 0
    assert capsys.readouterr().out.startswith("regressed ")


@pytest.mark.parametrize("text", [None, "[", "{}", '{"schema": 9}', '{"schema": 1}', "[]"])
def test_a_file_that_is_no_run_is_a_wrong_call(
    tmp_path: Path, capsys: Capture, text: str | None
) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main([str(path), str(path)])
    assert ended.value.code == 2
    assert "no results can be read here" in capsys.readouterr().err
