"""P40: the generated code of grpc.aio type-checks strictly, and every marked mistake is found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = ("--cache-dir", "/dev/null")


def check(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs mypy as a user would: strictly, elsewhere, with no configuration of ours."""
    flags = ["--strict", "--config-file", "", "--hide-error-context", "--no-pretty", *CACHE]
    return subprocess.run(
        [sys.executable, "-m", "mypy", *flags, str(source)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_p40_an_async_stub_and_an_async_servicer_pass_strictly(tmp_path: Path) -> None:
    told = check(HERE / "example_stub.py", tmp_path)
    assert told.returncode == 0, told.stdout + told.stderr


def test_p40_every_marked_mistake_is_found_and_nothing_else(tmp_path: Path) -> None:
    source = HERE / "wrong_client.py"
    told = check(source, tmp_path)
    assert told.returncode == 1, told.stdout + told.stderr
    found = re.findall(r"wrong_client\.py:(\d+): error: .*\[([a-z-]+)\]$", told.stdout, re.M)
    marked = [
        (str(number), mark[1])
        for number, line in enumerate(source.read_text().splitlines(), 1)
        if (mark := re.search(r"# wrong: ([a-z-]+)$", line))
    ]
    assert len(marked) > 15
    assert set(found) == set(marked), told.stdout
