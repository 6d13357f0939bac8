"""Unpacks the servers that the tests need under build/, without touching the system.

On Debian and its kin: `apt-get download` and `dpkg -x`. Elsewhere it says what to do instead. Doing
it again does nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build" / "servers"
PACKAGES = {"nats-server": "nats-server"}
"""The executable that is wanted, and the package that has it."""


def find(program: str) -> Path | None:
    """Returns where a program has been unpacked, or None."""
    return next((path for path in sorted(BUILD.glob(f"**/{program}")) if path.is_file()), None)


def unpack(package: str) -> None:
    """Downloads a package with apt-get and unpacks it under build/."""
    apt, dpkg = shutil.which("apt-get"), shutil.which("dpkg")
    if apt is None or dpkg is None:
        raise SystemExit(
            f"{package}: there is no apt-get here. Put its executable on PATH, or set NATS_URL to "
            "a server with JetStream; tests that kill and restart the server are then skipped."
        )
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        subprocess.run(
            [apt, "-o", "APT::Sandbox::User=root", "download", "--quiet", package],
            cwd=folder,
            check=True,
        )  # noqa: S603  # a fixed command
        archive = next(Path(folder).glob("*.deb"))
        subprocess.run([dpkg, "-x", str(archive), str(BUILD / package)], check=True)  # noqa: S603  # a fixed command


def main() -> int:
    """Makes every server available; returns 1 if one could not be had."""
    for program, package in PACKAGES.items():
        if find(program) is None:
            try:
                unpack(package)
            except (subprocess.CalledProcessError, StopIteration):
                sys.stderr.write(f"{package}: it could not be downloaded; see above\n")
                return 1
        sys.stdout.write(f"{program}: {find(program)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
