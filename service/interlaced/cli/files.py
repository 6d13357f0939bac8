"""The files that options name: keys, certificates, bodies. Secrets stand in files, never in flags.

What is wrong with one ends the command, with `code`: for those who ask that is USAGE, for a server
CONFIG_INVALID.
"""

import ssl
from pathlib import Path

from interlaced.cli.output import Exit, fail
from interlaced.core.secret import Secret

__all__ = ["check_ca", "check_certificate", "read_api_key", "read_file", "read_keys"]


def read_file(path: Path | None, *, code: Exit = Exit.USAGE) -> bytes | None:
    """Reads a file, or ends the command; None stays None."""
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError:
        fail(f"{path}: cannot be read", code)


def read_keys(path: Path | None, *, code: Exit = Exit.USAGE) -> tuple[Secret, ...]:
    """Reads one key a line; empty lines and those with # are left out. Ends the command where there
    is none."""
    data = read_file(path, code=code)
    if data is None:
        return ()
    lines = [line.strip() for line in _text(data, path, code).splitlines()]
    keys = tuple(Secret(line) for line in lines if line and not line.startswith("#"))
    if not keys:
        fail(f"{path}: holds no key", code)
    return keys


def read_api_key(path: Path | None) -> str:
    """Reads the one key of a caller; it travels in a header, which takes printable ASCII alone."""
    keys = read_keys(path)
    if not keys:
        return ""
    key = keys[0].reveal()
    if len(keys) > 1 or not (key.isascii() and key.isprintable()):
        fail(f"{path}: expected one line of printable ASCII, the API key", Exit.USAGE)
    return key


def check_ca(path: Path | None, *, code: Exit = Exit.USAGE) -> None:
    """Ends the command unless the file holds certificates; gRPC would only fail to connect."""
    if path is None:
        return
    read_file(path, code=code)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except ssl.SSLError:
        fail(f"{path}: holds no certificate in PEM", code)


def check_certificate(chain: Path | None, key: Path | None, *, code: Exit = Exit.USAGE) -> None:
    """Ends the command unless both or none are given, and the key is that of the certificate."""
    if chain is None and key is None:
        return
    if chain is None or key is None:
        fail("--tls-cert and --tls-key belong together; give both or neither", code)
    for path in (chain, key):
        read_file(path, code=code)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password=_no_password)
    except ssl.SSLError:
        fail(f"{chain} and {key}: no certificate in PEM with its plain private key", code)


def _no_password() -> str:
    """Nobody is there to type it: a key under a password is refused."""
    return ""


def _text(data: bytes, path: Path | None, code: Exit) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        fail(f"{path}: is no text", code)
