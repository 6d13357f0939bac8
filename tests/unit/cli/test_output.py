"""Results go to stdout, talk to stderr; color and hints are for terminals."""

from __future__ import annotations

import io
import json
import sys

import pytest

from interlaced.cli.output import CommandError, Exit, fail, paint, print_json, say, show, suggest


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_exit_codes_are_those_that_the_papers_promise() -> None:
    assert {code.name: code.value for code in Exit} == {
        "OK": 0,
        "FAILURE": 1,
        "USAGE": 2,
        "CONFIG_INVALID": 3,
        "EXPECTATION_FAILED": 4,
        "REGRESSION": 5,
        "UNREACHABLE": 6,
        "RPC_STATUS": 64,
        "INTERRUPTED": 130,
    }


def test_results_go_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    show("a result")
    say("a word")
    assert capsys.readouterr() == ("a result\n", "a word\n")


def test_json_is_one_line_and_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Käse\n"})
    told = capsys.readouterr().out
    assert told.count("\n") == 1
    assert "Käse" in told
    assert json.loads(told) == {"name": "Käse\n"}


def test_failing_carries_the_code() -> None:
    with pytest.raises(CommandError, match="no") as failed:
        fail("no", Exit.UNREACHABLE)
    assert failed.value.code == 6


def test_color_is_for_terminals_and_no_color_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert paint("ok", "green") == "ok"
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert paint("ok", "green") == "\x1b[32mok\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("ok", "green") == "ok"


def test_the_next_command_is_proposed_to_a_person_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suggest("interlace version")
    assert capsys.readouterr() == ("", "")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    suggest("interlace version")
    assert screen.getvalue() == "next:  interlace version\n"
