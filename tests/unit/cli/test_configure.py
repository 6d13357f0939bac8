"""`lint`, `explain`, `schema` and `help`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import invoke

from interlaced.core.failure import Reason
from interlaced.manifest.codes import CODES

Capture = pytest.CaptureFixture[str]

GOOD = """\
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: hello}}
"""
WRONG = GOOD + "policy: {retries: 4}\n"


def place(folder: Path, text: str) -> str:
    path = folder / "desk.yaml"
    path.write_text(text)
    return str(path)


def test_a_right_manifest_is_said_to_be_one(tmp_path: Path, capsys: Capture) -> None:
    ended = invoke(capsys, "lint", place(tmp_path, GOOD))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "1 connector: no problem found\n"


def test_a_problem_has_its_line_its_column_and_a_proposal(tmp_path: Path, capsys: Capture) -> None:
    path = place(tmp_path, WRONG)
    ended = invoke(capsys, "lint", path)
    assert ended.code == 3
    assert ended.lines[0].startswith(f"{path}:6:10  IL112  ")
    assert "did you mean 'retry.attempts'?" in ended.out
    assert "docs: interlace help IL112" in ended.out
    assert ended.err == "interlace: 1 problem in 1 file\n"


def test_every_problem_of_every_file_is_told(tmp_path: Path, capsys: Capture) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(
            WRONG.replace("desk", name).replace("reply:", "repply:")
        )
    ended = invoke(capsys, "lint", str(tmp_path))
    assert ended.code == 3
    assert ended.err == "interlace: 4 problems in 2 files\n"


def test_json_is_one_versioned_record_a_problem(tmp_path: Path, capsys: Capture) -> None:
    path = place(tmp_path, WRONG)
    (record,) = invoke(capsys, "lint", path, "--format", "json").records
    assert record == {
        "version": 1,
        "file": path,
        "line": 6,
        "column": 10,
        "code": "IL112",
        "message": record["message"],
        "hint": "did you mean 'retry.attempts'?",
        "severity": "error",
    }
    assert invoke(capsys, "lint", place(tmp_path, GOOD), "--format", "json").out == ""


def test_github_gets_annotations_that_stay_on_their_line(tmp_path: Path, capsys: Capture) -> None:
    (line,) = invoke(capsys, "lint", place(tmp_path, WRONG), "--format", "github").lines
    assert line.startswith(f"::error file={tmp_path / 'desk.yaml'},line=6,col=10,title=IL112::")
    (tmp_path / "desk.yaml").write_text(WRONG.replace("retries", '"re%try\\n"'))
    (line,) = invoke(capsys, "lint", str(tmp_path), "--format", "github").lines
    assert "%25" in line


def test_a_path_that_is_not_there_is_a_problem_and_no_traceback(capsys: Capture) -> None:
    ended = invoke(capsys, "lint", "nothing-here")
    assert ended.code == 3
    assert ended.lines[0] == "nothing-here  IL100  the file does not exist or is not readable"
    assert invoke(capsys, "lint").code == 2


def test_explain_prints_the_policy_in_force_and_the_worst_case(capsys: Capture) -> None:
    ended = invoke(capsys, "explain", "shop.GetProduct")
    assert (ended.code, ended.err) == (0, "")
    for word in ("deadline", "retry", "breaker", "bulkhead", "worst case", "can fail with"):
        assert word in ended.out


def test_explain_reads_your_own_manifests(tmp_path: Path, capsys: Capture) -> None:
    path = place(tmp_path, GOOD)
    assert "desk.Hello" in invoke(capsys, "explain", "desk.Hello", "--config", path).out
    ended = invoke(capsys, "explain", "desk.Helo", "--config", path)
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'Hello'?" in ended.err
    ended = invoke(capsys, "explain", "desk", "--config", place(tmp_path, WRONG))
    assert (ended.code, ended.out) == (3, "")
    assert "IL112" in ended.err


@pytest.mark.parametrize("name", ["shp", "shop.GetProdct", "", "shop.", ".x"])
def test_explain_of_what_is_not_there_is_a_usage_error(name: str, capsys: Capture) -> None:
    ended = invoke(capsys, "explain", name)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_the_schema_is_a_json_schema(capsys: Capture) -> None:
    ended = invoke(capsys, "schema")
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "upstream" in ended.out


@pytest.mark.parametrize("code", [*CODES, *Reason], ids=str)
def test_every_code_and_every_reason_is_explained(code: str, capsys: Capture) -> None:
    ended = invoke(capsys, "help", str(code).lower())
    assert (ended.code, ended.err) == (0, "")
    title, empty, *text = ended.lines
    assert title.startswith(f"{str(code).upper()}: ")
    assert empty == ""
    assert text


def test_an_unknown_code_gets_the_nearest_one(capsys: Capture) -> None:
    ended = invoke(capsys, "help", "BREAKER_OPN")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "interlace: BREAKER_OPN is not known; did you mean BREAKER_OPEN?\n"
    assert invoke(capsys, "help", "???").err == "interlace: ??? is not known\n"


def test_secrets_are_not_in_what_lint_prints(tmp_path: Path, capsys: Capture) -> None:
    text = GOOD.replace("{memory: desk}", '{rest: "http://localhost:1", auth: {bearer: s3cr3t-x}}')
    path = place(tmp_path, text.replace("{reply: {greeting: hello}}", "{gett: /x}"))
    ended = invoke(capsys, "lint", path)
    assert ended.code == 3
    assert "s3cr3t" not in ended.out + ended.err
