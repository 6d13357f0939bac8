"""P13: the client imports and works on the lowest and the highest versions that it admits."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("end", ["lowest", "highest"])
def test_p13_the_installed_client_works_at_both_ends_of_its_range(end: str) -> None:
    """P13, P39: its wheel, in an environment of its own, from another directory."""
    tool = ROOT / "tools" / "client_matrix.py"
    told = subprocess.run([sys.executable, tool, end], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    for name, wanted in pins(end).items():
        assert f"{name}=={wanted}" in told.stdout


def pins(end: str) -> dict[str, str]:
    lock = (ROOT / "requirements" / f"client-{end}.txt").read_text()
    found = dict(re.findall(r"^([a-z-]+)==([\d.]+)", lock, re.M))
    return {name: found[name] for name in ("grpcio", "protobuf", "googleapis-common-protos")}


def test_p13_the_low_end_is_the_floor_that_the_package_states() -> None:
    project = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())
    for line in project["project"]["dependencies"]:
        name, floor = re.match(r"([a-z-]+)>=([\d.]+)", line).groups()  # type: ignore[union-attr]  # each has one
        assert (pins("lowest")[name] + ".").startswith(floor + "."), line
