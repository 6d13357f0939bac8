"""The two commands start from a machine with Python, pip and make; what is missing is said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from snippets import ROOT, make_targets

FIND = ROOT / "tools" / "find_python.sh"


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what a `make test` around this one has put there."""
    return {name: value for name, value in environment.items() if not name.startswith("MAKE")}


def make(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What make says; it ends with 0."""
    line = [shutil.which("make") or "make", "--no-print-directory", *arguments]
    done = subprocess.run(
        line,
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
        env=clean(os.environ if environment is None else environment),
    )
    return done.stdout


def find(folder: Path) -> subprocess.CompletedProcess[str]:
    """Looks for a Python where there is nothing but what `folder` holds."""
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(
        [shell, str(FIND)],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": str(folder)},
    )


def stand_in(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def test_make_alone_lists_every_command() -> None:
    told = make()
    for target, text in make_targets().items():
        assert re.search(rf"^  make {target} +{re.escape(text)}$", told, re.M)
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony
    assert set(phony[1].split()) == set(make_targets())


@pytest.mark.parametrize("target", ["demo", "run", "test", "check"])
def test_every_command_installs_what_it_needs_before_it_runs(target: str) -> None:
    told = make("--dry-run", "--always-make", target)
    assert told.index("-m venv") < told.index("--require-hashes")
    assert "--no-deps --no-build-isolation -e clients/python -e ." in told


@pytest.mark.parametrize("as_variable", [True, False])
def test_python_can_be_chosen(as_variable: bool, tmp_path: Path) -> None:
    """As an argument of make, and from the environment."""
    chosen, said, venv = tmp_path / "chosen", tmp_path / "said", tmp_path / "venv"
    stand_in(chosen, f'echo "$@" > {said}; mkdir {venv}')
    choice = f"PYTHON={chosen}"
    told = make(
        *(f"VENV={venv}", f"{venv}/.created", *([] if as_variable else [choice])),
        environment={**os.environ, **({"PYTHON": str(chosen)} if as_variable else {})},
    )
    assert told == f"creating {venv} with {chosen}\n"
    assert said.read_text() == f"-m venv --clear {venv}\n"


def test_no_python_at_all_is_said_with_what_to_install(tmp_path: Path) -> None:
    done = find(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Python 3.11 or newer with venv" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr


def test_one_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    stand_in(tmp_path / "python3", "exit 1")
    assert find(tmp_path).returncode == 1
    stand_in(tmp_path / "python3.11", f'exec {sys.executable} "$@"')
    assert find(tmp_path).stdout.strip() == str(tmp_path / "python3.11")


def test_the_newest_is_taken(tmp_path: Path) -> None:
    for name in ("python3.12", "python3.13", "python3"):
        stand_in(tmp_path / name, "exit 0")
    assert find(tmp_path).stdout.strip() == str(tmp_path / "python3.13")


def test_a_machine_without_python_gets_the_reason_from_make(tmp_path: Path) -> None:
    """Nothing is installed and nothing is half made."""
    for name in ("sh", "touch", "echo"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    done = subprocess.run(
        [shutil.which("make") or "make", "demo", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert "Interlace needs Python 3.11 or newer with venv" in done.stderr
    assert not (tmp_path / "venv").exists()
