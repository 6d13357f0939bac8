"""The whole harness runs: real processes, real windows, a file that reads back, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from benchmarks.harness.process import tree
from benchmarks.harness.results import Case, Sample, read_run
from benchmarks.harness.stats import ENOUGH_PAIRS
from benchmarks.service.__main__ import QUICK_PACE, WHOLE_PACE, main
from benchmarks.service.boot import imported, third_party
from benchmarks.service.run import has_failed, summary_line
from benchmarks.service.scenarios import ALL, QUICK

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_measures_and_writes_what_it_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "service.json"
    command = [sys.executable, "-m", "benchmarks.service", "--quick", "--only", "call"]
    done = subprocess.run(
        [*command, "--seconds", "0.3", "--rounds", "2", "--json", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = read_run(path)
    assert [case.scenario for case in run.cases] == ["call"]
    assert run.machine["protobuf"] == "upb"
    assert run.machine["usable_cores"] == sorted(os.sched_getaffinity(0))  # not those of the load
    for case in run.cases:
        assert case.ratio is not None
        assert [sample.side for sample in case.samples].count("interlace") == 2
        assert "2 pairs: the interval is one of 50%, not of 95 %" in case.notes
        for sample in case.samples:
            assert sample.values["errors"] == 0
            assert sample.values["calls"] > 0
            assert sample.values["cpu_us_per_call"] > 0
            assert sample.values["rss_mb"] > 0


def test_a_run_that_is_terminated_leaves_no_server_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.service", "--only", "call", "--seconds", "60"]
    with subprocess.Popen(
        [*command, "--json", str(tmp_path / "x.json")], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as running:
        until = time.monotonic() + 60
        while len(pids := tree(running.pid)) < 4 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(pids) == 4  # the run, an upstream, and both sides
        running.send_signal(signal.SIGTERM)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "stopped" in told
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_every_scenario_of_the_quick_run_exists() -> None:
    assert set(QUICK) <= set(ALL)


def test_an_unknown_scenario_is_refused_with_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "calls"])
    assert "unknown: calls; there is call," in capsys.readouterr().err


def test_a_run_has_failed_where_any_case_has() -> None:
    good = Case("service", "call", {}, "cpu_us_per_call", notes=("closed loop",))
    bad = Case("service", "call", {}, "cpu_us_per_call", notes=("failed: interlace: spoilt",))
    assert not has_failed([good])
    assert has_failed([good, bad])


def test_a_line_tells_scenario_sides_and_what_is_missing() -> None:
    samples = (Sample("interlace", {"cpu_us_per_call": 200.0}),)
    case = Case("service", "call", {"upstreams": 1}, "cpu_us_per_call", samples, None, ("why",))
    line = summary_line(case)
    assert line == "call  upstreams=1  interlace 200  cpu_us_per_call  why"


def test_modules_of_third_parties_are_told_from_ours_and_the_standard_librarys() -> None:
    log = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       100 |        100 |   json\n"
        "import time:       100 |        100 |     grpc._cython\n"
        "import time:       100 |        100 | interlaced.app\n"
        '{"event": "server.started"}\n'
    )
    assert imported(log) == ["json", "grpc._cython", "interlaced.app"]
    assert third_party(imported(log)) == ["grpc._cython"]


def test_every_run_has_enough_pairs_for_an_interval_of_95_percent() -> None:
    assert QUICK_PACE.rounds >= ENOUGH_PAIRS
    assert WHOLE_PACE.rounds >= ENOUGH_PAIRS
