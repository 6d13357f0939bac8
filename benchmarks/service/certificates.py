"""One certificate for loopback, signed by itself, for a run alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.service.rig import Certificates

__all__ = ["NoOpensslError", "make_certificates"]


class NoOpensslError(RuntimeError):
    """There is no `openssl` on the PATH, or it refused."""


def make_certificates(folder: Path) -> Certificates:
    """Make a key and a certificate of 127.0.0.1 in `folder`. Raise NoOpensslError."""
    program = shutil.which("openssl")
    if program is None:
        raise NoOpensslError("there is no openssl on the PATH to make a certificate with")
    certificate, key = folder / "server.pem", folder / "server.key"
    command = [
        *(program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
        *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoOpensslError(f"openssl refused: {done.stderr[-200:]}")
    return Certificates(ca=certificate, certificate=certificate, key=key)
