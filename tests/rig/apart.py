"""Scripts of the tests that need a process to themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run_apart(script: Path) -> subprocess.CompletedProcess[str]:
    """Runs a script beside the rigs and the service, for a minute at most."""
    path = os.pathsep.join([str(ROOT / "tests" / "rig"), str(ROOT / "service")])
    return subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
