"""Unpacks the servers that the tests need under build/, without touching the system.

On Debian and its kin: `apt-get download` and `dpkg -x`, with package lists of our own where the
system has none. Elsewhere it says what to do instead, and which tests are skipped until then. Doing
it again does nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build" / "servers"
PACKAGES = {"nats-server": "nats-server"}
"""The executable that is wanted, and the package that has it."""

ADVICE = """\
{program}: it cannot be unpacked here ({why}).
  Put {program} on PATH, or set NATS_URL to a server with JetStream. Until then the tests marked
  `live` that need it are skipped; with NATS_URL those that kill and restart it still are. In CI a
  skipped test is a failure.
"""


class UnavailableError(Exception):
    """A server cannot be had here; the text says why."""


def find(program: str) -> Path | None:
    """Returns where a program has been unpacked, or None."""
    return next((path for path in sorted(BUILD.glob(f"**/{program}")) if path.is_file()), None)


def unpack(package: str) -> None:
    """Downloads a package and unpacks it under build/; raises UnavailableError."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        raise UnavailableError("there is no apt-get")
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        if not download(apt, package, Path(folder), []):
            options = own_lists(apt, BUILD / "apt")
            if not download(apt, package, Path(folder), options):
                raise UnavailableError("apt-get could not download it")
        archive = next(Path(folder).glob("*.deb"))
        if not run([dpkg, "-x", str(archive), str(BUILD / package)], Path(folder)):
            raise UnavailableError("dpkg could not unpack it")


def download(apt: str, package: str, folder: Path, options: list[str]) -> bool:
    """Downloads a package into `folder`; returns whether it is there."""
    command = [apt, "-o", "APT::Sandbox::User=", *options, "download", "--quiet", package]
    return run(command, folder) and any(folder.glob("*.deb"))


def own_lists(apt: str, folder: Path) -> list[str]:
    """Fetches package lists into a folder of our own, and returns the options that use them."""
    lists, cache = folder / "lists" / "partial", folder / "cache" / "archives" / "partial"
    lists.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    options = ["-o", f"Dir::State::Lists={lists.parent}", "-o", f"Dir::Cache={cache.parent.parent}"]
    run([apt, "-o", "APT::Sandbox::User=", *options, "--quiet", "update"], folder)
    return options


def run(command: list[str], folder: Path) -> bool:
    """Runs a command quietly; shows what it said if it failed."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
    return done.returncode == 0


def main() -> None:
    """Makes every server available, or says why not."""
    for program, package in PACKAGES.items():
        if find(program) is None and shutil.which(program) is None and not os.getenv("NATS_URL"):
            try:
                unpack(package)
            except UnavailableError as why:
                sys.stderr.write(ADVICE.format(program=program, why=why))


if __name__ == "__main__":
    main()
