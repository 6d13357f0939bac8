"""`bench`: finds the checkout, runs its suite as a process, and ends as that ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import command, invoke

from interlaced.cli.bench import find_checkout

Capture = pytest.CaptureFixture[str]
MODULES = ("codecs", "service", "summary", "report", "gate", "compare")

STAND_IN = """\
import json, os, pathlib, sys
with open("told.jsonl", "a") as told:
    print(json.dumps([__name__ == "__main__", "NAME", sys.argv[1:]]), file=told)
sys.exit(int(os.environ.get("END_NAME", "0")))
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose suite only says how it was called; the command runs in a folder of it."""
    suite = tmp_path / "benchmarks"
    suite.mkdir()
    (suite / "__init__.py").touch()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "interlaced"\n')
    for name in MODULES:
        (suite / f"{name}.py").write_text(STAND_IN.replace("NAME", name))
    below = tmp_path / "docs" / "deep"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    return tmp_path


def told(checkout: Path) -> list[list[object]]:
    """Which modules ran, with which arguments."""
    lines = (checkout / "told.jsonl").read_text().splitlines()
    return [json.loads(line)[1:] for line in lines]


def test_quick_runs_both_suites_in_short_then_the_summary_and_the_page(
    checkout: Path, capsys: Capture
) -> None:
    assert invoke(capsys, "bench", "quick").code == 0
    again = ["--command", "interlace bench quick"]
    assert told(checkout) == [
        ["codecs", ["--quick"]],
        ["service", ["--quick"]],
        ["summary", again],
        ["report", again],
    ]


@pytest.mark.parametrize("verb", ["codecs", "service"])
def test_a_suite_runs_whole(checkout: Path, capsys: Capture, verb: str) -> None:
    assert invoke(capsys, "bench", verb).code == 0
    assert told(checkout) == [[verb, []]]


def test_report_writes_the_summary_and_the_page_where_it_was_asked_to(
    checkout: Path, capsys: Capture
) -> None:
    assert invoke(capsys, "bench", "report", "--output", "here").code == 0
    summary, report = told(checkout)
    assert summary == ["summary", ["--command", "make bench"]]
    assert report[1] == ["--command", "make bench", "--output", str(Path.cwd() / "here")]


def test_compare_takes_paths_from_where_it_was_called(checkout: Path, capsys: Capture) -> None:
    ended = invoke(capsys, "bench", "compare", "a.json", "b.json", "--threshold", "2", "--gate")
    assert ended.code == 0
    files = [str(Path.cwd() / name) for name in ("a.json", "b.json")]
    assert told(checkout) == [["compare", [*files, "--threshold", "2.0", "--gate"]]]


def test_the_gate_ends_with_5_where_the_suite_does(
    checkout: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke(capsys, "bench", "gate").code == 0
    monkeypatch.setenv("END_gate", "5")
    assert invoke(capsys, "bench", "gate").code == 5


def test_a_suite_that_fails_ends_quick_with_1_after_the_page_was_written(
    checkout: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("END_codecs", "77")
    ended = invoke(capsys, "bench", "quick")
    assert ended.code == 1
    assert ended.err == (
        "interlace: benchmarks.codecs ended with 77; the report says what is missing\n"
    )
    assert [name for name, _ in told(checkout)] == ["codecs", "service", "summary", "report"]


def test_a_verb_ends_with_1_where_its_module_does_not_end_well(
    checkout: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("END_service", "77")
    ended = invoke(capsys, "bench", "service")
    assert (ended.code, ended.err) == (1, "interlace: benchmarks.service ended with 77\n")
    monkeypatch.setenv("END_summary", "3")
    assert invoke(capsys, "bench", "report").code == 1
    assert [name for name, _ in told(checkout)] == ["service", "summary"]


@pytest.mark.parametrize(
    ("verb", "kept"),
    [("quick", []), ("codecs", ["service.json"]), ("service", ["codecs.json"])],
)
def test_what_an_older_run_left_is_never_taken_for_what_is_measured_now(
    checkout: Path, capsys: Capture, verb: str, kept: list[str]
) -> None:
    results = checkout / "build" / "bench"
    results.mkdir(parents=True)
    for name in ("service.json", "codecs.json", "summary.json", "other.json"):
        (results / name).write_text("{}")
    assert invoke(capsys, "bench", verb).code == 0
    assert {path.name for path in results.iterdir()} == {"other.json", *kept}


@pytest.mark.parametrize("arguments", [["quick"], ["gate"], ["report"], ["compare", "a", "b"]])
def test_without_a_checkout_it_says_so_and_ends_with_2(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = invoke(capsys, "bench", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"interlace: {tmp_path}: no checkout of Interlace here or above; "
        "the benchmarks run from its sources and are not installed\n"
    )


@pytest.mark.parametrize("project", ['[project]\nname = "other"\n', "no toml [", None])
def test_a_folder_of_another_project_is_passed_by(checkout: Path, project: str | None) -> None:
    inner = checkout / "docs" / "benchmarks"
    inner.mkdir()
    (inner / "__init__.py").touch()
    if project is not None:
        (checkout / "docs" / "pyproject.toml").write_text(project)
    assert find_checkout(Path.cwd()) == checkout


def test_every_verb_of_it_leads_with_an_example(capsys: Capture) -> None:
    overview = invoke(capsys, "bench", "--help")
    assert "..." not in overview.out.partition("Commands:")[2], "a summary is cut off"
    for verb in ("quick", "codecs", "service", "report", "gate", "compare"):
        assert f"\n  {verb} " in overview.out
        assert "Example: interlace bench" in invoke(capsys, "bench", verb, "--help").out


def test_ctrl_c_ends_the_suite_before_the_command(checkout: Path) -> None:
    """A terminal sends it to both; the command waits for the suite and ends with 130."""
    (checkout / "benchmarks" / "codecs.py").write_text(
        "import signal, time\n"
        "def leave(*_):\n    print('left', flush=True)\n    raise SystemExit(130)\n"
        "signal.signal(signal.SIGINT, leave)\n"
        "print('started', flush=True)\n"
        "time.sleep(30)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", _RESET_SIGNALS, *command("bench", "codecs")],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "left\n"
        assert process.wait(30) == 130


_RESET_SIGNALS = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "os.execv(sys.argv[1], sys.argv[1:])"
)
