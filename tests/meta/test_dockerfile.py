"""The image, as far as it can be held without a container engine."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
STAGES = re.split(r"^FROM ", TEXT, flags=re.M)[1:]


def test_it_has_a_build_stage_and_a_run_stage_on_the_same_base() -> None:
    assert len(STAGES) == 2
    bases = [stage.split()[0] for stage in STAGES]
    assert len(set(bases)) == 1


def test_everything_is_installed_from_the_locks_with_hashes() -> None:
    installs = re.findall(r"pip install (.*?)(?:\s*&&|\s*\\?$)", TEXT, flags=re.M)
    third_party = [line for line in installs if "/wheels/" not in line]
    assert third_party
    assert all("--require-hashes" in line and "requirements/" in line for line in third_party)
    assert all("--no-deps" in line for line in installs if "/wheels/" in line)


def test_the_run_stage_installs_nothing_and_is_not_root() -> None:
    run = STAGES[-1]
    assert not re.search(r"\b(apt|apt-get|pip|gcc|make)\b", run)
    user = re.search(r"^USER (\d+):(\d+)$", run, flags=re.M)
    assert user is not None
    assert int(user[1]) >= 10_000


def test_everything_that_is_copied_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.*)$", TEXT, flags=re.M):
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
