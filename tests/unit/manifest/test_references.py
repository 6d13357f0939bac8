"""References are resolved with the provider named, and no message tells a value."""

from pathlib import Path

import pytest

from interlaced.core.secret import Secret
from interlaced.manifest.codes import Code
from interlaced.manifest.references import Resolved, Resolver, has_reference
from interlaced.manifest.source import read_source

CANARY = "canary-9"


def read_file(path: Path, limit: int) -> bytes:
    files = {"/run/token": b"filed\n", "base/near": b"near", "/run/big": b"x" * 70_000}
    if str(path) == "/run/binary":
        return b"\xff\xfe"
    if str(path) not in files:
        raise FileNotFoundError(path)
    return files[str(path)][: limit + 1]


def secret(path: str, key: str) -> str | None:
    return {("billing", "token"): "told"}.get((path, key))


RESOLVER = Resolver({"A": "one", "EMPTY": ""}, read_file, secret, Path("base"))


def resolve(text: str) -> Resolved:
    (document,) = read_source("x", f"k: '{text}'\n".encode()).documents
    return RESOLVER.resolve(document)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${env:A}", "one"),
        ("http://${env:A}/${env:A}", "http://one/one"),
        ("${env:B:-two}", "two"),
        ("${env:EMPTY:-two}", "two"),
        ("${env:EMPTY}", ""),
        ("${env:B:-}", ""),
        ("${file:/run/token}", "filed"),
        ("${file:near}", "near"),
        ("${secret:billing#token}", "told"),
        ("$${env:A}", "${env:A}"),
        ("$req.name", "$req.name"),
        ("plain", "plain"),
    ],
)
def test_a_reference_is_resolved(text: str, value: str) -> None:
    resolved = resolve(text)
    assert resolved.data == {"k": value}
    assert resolved.findings == []
    assert not resolved.broken


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        ("${A}", Code.BAD_REFERENCE, "A"),
        (f"${{{CANARY}}}", Code.BAD_REFERENCE, ""),
        ("${vault:x}", Code.BAD_REFERENCE, ""),
        ("${env:A", Code.BAD_REFERENCE, "closed"),
        ("${env:1A}", Code.BAD_REFERENCE, ""),
        (f"${{env:NOWHERE}}{CANARY}", Code.UNRESOLVED_REFERENCE, "NOWHERE"),
        ("${file:/run/nothing}", Code.UNRESOLVED_REFERENCE, "/run/nothing"),
        ("${file:/run/binary}", Code.UNRESOLVED_REFERENCE, "/run/binary"),
        ("${file:/run/big}", Code.UNRESOLVED_REFERENCE, "64 KiB"),
        ("${secret:billing#other}", Code.UNRESOLVED_REFERENCE, "billing#other"),
    ],
)
def test_a_bad_reference_names_what_is_missing_and_no_value(
    text: str, code: Code, names: str
) -> None:
    """P49: what stands around the reference is not repeated."""
    resolved = resolve(text)
    (finding,) = resolved.findings
    assert finding.code is code
    assert names in finding.message
    assert CANARY not in finding.message + finding.hint
    assert len(resolved.broken) == 1


def test_what_comes_from_files_and_secrets_is_collected() -> None:
    assert resolve("${file:/run/token}${secret:billing#token}${env:A}").secrets == {
        Secret("filed"),
        Secret("told"),
    }


def test_only_values_are_resolved_and_keep_their_type() -> None:
    (document,) = read_source("x", b"'${env:A}': [1, true, {k: '${env:A}'}]").documents
    assert RESOLVER.resolve(document).data == {"${env:A}": [1, True, {"k": "one"}]}


def test_a_text_with_an_escape_only_has_no_reference() -> None:
    assert has_reference("x ${env:A}")
    assert not has_reference("x $${env:A}")
    assert not has_reference("$req.name")
