"""P40: what users write type-checks strictly; `tests/typing` holds what must not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
