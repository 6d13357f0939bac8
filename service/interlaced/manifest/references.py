"""References in manifests: `${env:X}`, `${env:X:-default}`, `${file:/path}`, `${secret:path#key}`.

A document's values are taken out of its tree here, with every reference resolved. No message names
a value: not what a reference led to, and not what stands around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from interlaced.core.secret import Secret
from interlaced.manifest.codes import Code
from interlaced.manifest.source import Finding, ListNode, MapNode, Node, ScalarNode

__all__ = ["ReadFile", "Resolved", "Resolver", "SecretProvider", "has_reference"]

ReadFile: TypeAlias = Callable[[Path, int], bytes]
"""Reads a file up to so many bytes, and one more if there are more; raises OSError."""

SecretProvider: TypeAlias = Callable[[str, str], str | None]
"""Looks a secret up by path and key (empty: the whole of it); None if there is none."""

_LARGEST_FILE = 64 * 1024
_REFERENCE = re.compile(r"\$(\$)?\{([^{}]*)(\})?")
_BODY = re.compile(r"(env|file|secret):(.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def has_reference(text: str) -> bool:
    """Whether a text refers to something outside of the manifest."""
    return any(not match[1] for match in _REFERENCE.finditer(text))


class _Bad(Exception):  # noqa: N818  # carries a finding's parts out of a substitution
    """A reference is wrong; the arguments are code, message and hint."""

    def __init__(self, code: Code, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.parts = (code, message, hint)


@dataclass(slots=True)
class Resolved:
    """A document as plain values. `broken` are the places whose value is not known, `secrets` what
    came from files and secrets."""

    data: object = None
    findings: list[Finding] = field(default_factory=list)
    broken: set[int] = field(default_factory=set)
    secrets: set[Secret] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Resolves references with an environment, files (relative to `base`) and a secret provider."""

    env: Mapping[str, str]
    read_file: ReadFile
    secret: SecretProvider
    base: Path = Path()

    def resolve(self, document: Node) -> Resolved:
        """Returns the document's values with every reference resolved; never raises."""
        resolved = Resolved()
        resolved.data = self._value(document, resolved)
        return resolved

    def _value(self, node: Node, into: Resolved) -> object:
        if isinstance(node, MapNode):
            return {key: self._value(entry.value, into) for key, entry in node.entries.items()}
        if isinstance(node, ListNode):
            return [self._value(item, into) for item in node.items]
        value = node.value
        return self._text(node, into) if isinstance(value, str) and "${" in value else value

    def _text(self, node: ScalarNode, into: Resolved) -> str:
        def replace(match: re.Match[str]) -> str:
            return self._replacement(match, into)

        try:
            return _REFERENCE.sub(replace, node.text)
        except _Bad as bad:
            into.findings.append(Finding(node.span, *bad.parts))
            into.broken.add(id(node))
            return ""

    def _replacement(self, match: re.Match[str], into: Resolved) -> str:
        if match[1]:
            return match[0].removeprefix("$")
        if not match[3]:
            raise _Bad(Code.BAD_REFERENCE, "the reference is not closed", "write ${env:NAME}")
        body = _BODY.fullmatch(match[2])
        if body is None:
            raise _unprefixed(match[2])
        scheme, rest = body.groups()
        if scheme == "env":
            return self._variable(rest)
        found = self._file(rest) if scheme == "file" else self._secret(rest)
        into.secrets.add(Secret(found))
        return found

    def _variable(self, text: str) -> str:
        name, dash, default = text.partition(":-")
        if not _VARIABLE.fullmatch(name):
            raise _Bad(Code.BAD_REFERENCE, "the name of the variable does not fit", "${env:NAME}")
        value = self.env.get(name)
        if dash:
            return value or default
        if value is None:
            hint = f"set it, or write ${{env:{name}:-default}}"
            raise _Bad(
                Code.UNRESOLVED_REFERENCE, f"the environment variable {name} is not set", hint
            )
        return value

    def _file(self, text: str) -> str:
        try:
            data = self.read_file(self.base / text, _LARGEST_FILE)
            value = data.decode()
        except (OSError, ValueError) as error:
            raise _Bad(Code.UNRESOLVED_REFERENCE, f"the file {text} cannot be read") from error
        if len(data) > _LARGEST_FILE:
            raise _Bad(Code.UNRESOLVED_REFERENCE, f"the file {text} is larger than 64 KiB")
        return value.rstrip("\r\n")

    def _secret(self, text: str) -> str:
        path, _, key = text.partition("#")
        value = self.secret(path, key)
        if value is None:
            hint = "INTERLACE_SECRETS names the directory of secrets"
            raise _Bad(Code.UNRESOLVED_REFERENCE, f"there is no secret {text}", hint)
        return value


def _unprefixed(body: str) -> _Bad:
    """Says what is wrong with `${X}`; the name is repeated only if it looks like one."""
    name = body.partition(":")[0]
    if body == name and name.isupper() and _VARIABLE.fullmatch(name):
        return _Bad(
            Code.BAD_REFERENCE, f"the reference to {name} names no provider", f"${{env:{name}}}"
        )
    hint = "there is ${env:NAME}, ${file:/path} and ${secret:path#key}"
    return _Bad(Code.BAD_REFERENCE, "the reference names no known provider", hint)
