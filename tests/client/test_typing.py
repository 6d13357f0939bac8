"""P40: what users write type-checks, strictly, and what is wrong does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[1] / "typing" / "example_client.py"


def check(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs mypy as a user would: strictly, elsewhere, with no configuration of ours."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(source)]
    cache = ["--cache-dir", str(folder / "cache")]
    return subprocess.run(
        [*command, *cache], cwd=folder, capture_output=True, text=True, check=False
    )


def test_p40_an_example_client_passes_strictly(tmp_path: Path) -> None:
    told = check(EXAMPLE, tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('await client.call("a", "b", {"c": object()})', "dict-item"),
        ('await client.call("a", "b", tiemout=1)', "Unexpected keyword"),
        ('await client.call("a", "b", timeout="1s")', "timeout"),
        ('client.subscribe("a.b", start="oldest")', "start"),
        ('(await client.call("a", "b")).body', "attr-defined"),
    ],
)
def test_p40_what_is_wrong_does_not(tmp_path: Path, line: str, complaint: str) -> None:
    source = tmp_path / "wrong.py"
    source.write_text(
        f"from interlace import Client\n\n\nasync def wrong(client: Client) -> None:\n    {line}\n"
    )
    told = check(source, tmp_path)
    assert told.returncode == 1
    assert complaint in told.stdout
