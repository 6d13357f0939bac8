"""The `interlace` command: as a process, and within this one; and an `interlace dev` to talk to."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from interlaced.cli.main import main

HANG = 30.0
NOBODY = "127.0.0.1:1"
"""Nothing ever listens on this port."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed as results."""
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, object]]:
        """The same, read as one JSON object per line."""
        return [json.loads(line) for line in self.lines]


@dataclass(frozen=True)
class DevService:
    """A running `interlace dev`."""

    grpc: str
    admin: str
    log: Path

    @property
    def environment(self) -> dict[str, str]:
        """What makes the command talk to it."""
        return {"INTERLACE_SERVER": self.grpc, "INTERLACE_ADMIN": self.admin}


def command(*arguments: str) -> list[str]:
    """The command line of `interlace ARGUMENTS`."""
    return [sys.executable, "-m", "interlaced", *arguments]


def clean(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would bend the command."""
    bending = {"INTERLACE_SERVER", "INTERLACE_ADMIN", "INTERLACE_SECRETS", "NO_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in bending}
    return {**kept, **(environment or {})}


def run(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    cwd: Path | None = None,
) -> Ended:
    """Runs the command as a process."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        env=clean(environment),
        timeout=HANG,
        check=False,
        cwd=cwd,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def invoke(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ended:
    """Runs the command within this process, which is ten times as fast."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    told = capsys.readouterr()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ended(int(code or 0), told.out, told.err)


@contextlib.contextmanager
def dev_service(folder: Path, *arguments: str) -> Iterator[DevService]:
    """Runs `interlace dev` on free ports in a process of its own."""
    ports, log = folder / "ports.json", folder / "dev.log"
    line = ["dev", "--port", "0", "--admin-port", "0", "--ports-file", str(ports), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command(*line), stdout=output, stderr=output, env=clean())
    try:
        addresses = _addresses(ports, process, log)
        yield DevService(addresses["grpc"], addresses["admin"], log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(HANG)


def _addresses(ports: Path, process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    """Waits for the file that is written once everything is bound."""
    ends = time.monotonic() + HANG
    while not ports.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < ends, "the service did not start"
        time.sleep(0.02)
    found: dict[str, str] = json.loads(ports.read_text())
    return found


def interrupted(arguments: Sequence[str], *, after: str, environment: Mapping[str, str]) -> Ended:
    """Runs the command, presses Ctrl-C once it has printed a line that holds `after`."""
    with subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean(environment),
        text=True,
    ) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert after in told
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        code = process.wait(HANG)
    return Ended(code, told + out, err)
