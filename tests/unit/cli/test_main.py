"""The command as a whole: help, unknown verbs, Ctrl-C, broken pipes, no traceback."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest
from command import NOBODY, DevService, clean, command, interrupted, invoke, run

from interlaced.cli import main as main_module
from interlaced.cli.main import build

VERBS = (
    *("dev", "serve", "reload", "lint", "explain", "schema", "help"),
    *("call", "fanout", "watch", "publish", "chaos", "version"),
)


def test_every_verb_is_there_and_leads_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    overview = invoke(capsys, "--help")
    assert overview.code == 0
    for verb in VERBS:
        assert f"\n  {verb} " in overview.out
        told = invoke(capsys, verb, "--help")
        assert told.code == 0
        assert "Usage: interlace " in told.out
        if verb != "version":
            assert f"Example: interlace {verb}" in told.out
    assert "..." not in overview.out.partition("Commands:")[2], "a summary is cut off"
    assert len(build().registered_commands) == len(VERBS)


def test_no_verb_takes_a_secret_as_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        for line in invoke(capsys, verb, "--help").out.splitlines():
            option = line.strip().partition(" ")[0]
            if any(word in option for word in ("key", "secret", "token", "password")):
                assert "<path>" in line or option == "--key" or "--idempotency-key" in line, line


def test_an_unknown_verb_gets_a_proposal_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    ended = invoke(capsys, "cal")
    assert ended.code == 2
    assert ended.out == ""
    assert "Did you mean 'call'?" in ended.err


def test_nothing_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    ended = invoke(capsys)
    assert ended.code == 2
    assert "Commands:" in ended.out + ended.err


def test_python_m_is_the_same_command() -> None:
    ended = run("version")
    assert ended.code == 0
    assert ended.err == ""
    assert ended.lines[0].startswith("interlace ")


def test_ctrl_c_ends_it_with_130_and_a_place_to_go_on(dev: DevService) -> None:
    ended = interrupted(["watch", "ticks.Ticks"], after="demo.tick.v1", environment=dev.environment)
    assert ended.code == 130
    assert ended.err.startswith("cursor ")
    assert "Traceback" not in ended.err


def test_an_interrupt_anywhere_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "build", interrupt)
    with pytest.raises(SystemExit) as ended:
        main_module.main([])
    assert ended.value.code == 130


def test_a_reader_that_leaves_early_is_no_traceback(dev: DevService) -> None:
    with subprocess.Popen(
        command("watch", "ticks.Ticks"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean(dev.environment),
        text=True,
    ) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        assert "demo.tick.v1" in watch.stdout.readline()
        watch.stdout.close()
        told = watch.stderr.read()
        assert watch.wait(30) == 1
    assert "Traceback" not in told
    assert "Error" not in told


def test_nothing_but_plain_text_leaves_it_without_a_terminal(dev: DevService) -> None:
    """No color, no progress, no hint, and no lines of gRPC's own."""
    asked = ["fanout", "one=shop.GetProduct?id=p001", "two=shop.GetProduct?id=nothing"]
    ended = run(*asked, "--policy", "best_effort", environment=dev.environment)
    assert ended.code == 0
    assert ended.err == ""
    assert "\x1b" not in ended.out
    ended = run("call", "shop.ListProducts", environment={"INTERLACE_SERVER": NOBODY})
    assert ended.code == 6
    assert ended.err == f"interlace: nothing answers at {NOBODY}; is it running? (interlace dev)\n"


def test_it_starts_without_the_libraries_that_a_verb_does_not_need() -> None:
    probe = (
        "import sys, interlaced.cli.main;"
        "print(sorted({'aiohttp', 'uvloop', 'ruamel.yaml', 'pydantic'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "[]"


def test_a_server_boots_without_the_client_that_others_ask_with() -> None:
    probe = (
        "import sys\nfrom interlaced.cli.main import main\ntry: main(['serve', '--help'])\n"
        "except SystemExit: print('interlace' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True, text=True)
    assert told.stdout.splitlines()[-1] == "False"


def test_a_boot_that_fails_leaves_the_collector_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ended = invoke(capsys, "serve", "--config", str(tmp_path / "nothing.yaml"), "--port", "0")
    assert ended.code == 3
    assert gc.isenabled()
