"""Masks secrets in everything that is logged, by known value and by the name of the field."""

from __future__ import annotations

import base64
import re
import urllib.parse
from collections.abc import Iterable, MutableMapping
from typing import Any

from interlaced.core.secret import Secret

__all__ = ["MASK", "Redactor"]

MASK = "***"

_LONGEST = 8192
_SHORTEST = 4
_NAMES = re.compile(
    r"(authorization|cookie|password|passwd|secret|token|api[-_]?key|credential|signature)", re.I
)
_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{4,}")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class Redactor:
    """Masks what must not be read: values it has learnt (plain, base64 and URL-encoded), fields
    with telling names, credentials in headers and URLs. Long texts are cut, and control and
    direction characters are taken out, so that one record stays one record."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[Secret]) -> None:
        """Adds values to mask; those under 4 characters would mask ordinary text and are left."""
        for secret in secrets:
            text = secret.reveal()
            if len(text) >= _SHORTEST:
                self._known |= {text, urllib.parse.quote(text, safe="")}
                self._known.add(base64.b64encode(text.encode()).decode().rstrip("="))
        longest_first = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if self._known else None

    def text(self, value: str) -> str:
        """Returns `value` as it may be shown."""
        if self._pattern is not None:
            value = self._pattern.sub(MASK, value)
        value = _USERINFO.sub(rf"\1{MASK}@", _HEADER.sub(rf"\1 {MASK}", value))
        if len(value) > _LONGEST:
            value = f"{value[:_LONGEST]}… ({len(value) - _LONGEST} characters cut)"
        return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", value)

    def value(self, value: object) -> object:
        """Returns any value as it may be shown."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bool | int | float) or value is None:
            return value
        if isinstance(value, MutableMapping):
            return {str(key): self.field(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return self.text(str(value))

    def field(self, name: str, value: object) -> object:
        """Returns the value of a named field as it may be shown."""
        return MASK if _NAMES.search(name) else self.value(value)

    def processor(
        self, _logger: object, _method: str, fields: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Redacts a whole record; a structlog processor."""
        for name, value in list(fields.items()):
            if not name.startswith("_"):
                fields[name] = self.field(name, value)
        return fields
