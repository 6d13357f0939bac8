"""Secrets in files: a mounted directory with a file per secret, or files that hold several."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from interlaced.manifest.references import ReadFile
from interlaced.manifest.source import MapNode, ScalarNode, read_source

__all__ = ["SecretFiles", "no_secrets"]

_LARGEST = 64 * 1024
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.-]*)=(.*)")


def no_secrets(_path: str, _key: str) -> str | None:
    """The provider that has none: INTERLACE_SECRETS is not set."""
    return None


@dataclass(frozen=True, slots=True)
class SecretFiles:
    """Finds `${secret:path#key}` under a directory, in the first of these that is there:

    the file `path/key` · the key of the file `path`, `path.yaml`, `path.yml`, `path.json` or
    `path.env`, which hold lines of KEY=VALUE or a YAML or JSON mapping · without a key, the whole
    file `path`. Nothing outside of the directory can be named.
    """

    directory: Path
    read_file: ReadFile

    def __call__(self, path: str, key: str) -> str | None:
        """Returns the secret, or None."""
        if not _is_below(path) or not _is_below(key or "x"):
            return None
        place = self.directory / path
        if not key:
            return self._text(place)
        alone = self._text(place / key)
        if alone is not None:
            return alone
        for suffix in ("", ".yaml", ".yml", ".json", ".env"):
            text = self._text(place.with_name(place.name + suffix))
            if text is not None:
                return _member(text, key)
        return None

    def _text(self, place: Path) -> str | None:
        try:
            data = self.read_file(place, _LARGEST)
            return None if len(data) > _LARGEST else data.decode().rstrip("\r\n")
        except (OSError, ValueError):
            return None


def _is_below(path: str) -> bool:
    parts = PurePosixPath(path)
    return bool(parts.parts) and not parts.is_absolute() and ".." not in parts.parts


def _member(text: str, key: str) -> str | None:
    """Reads one key of KEY=VALUE lines or of a YAML or JSON mapping."""
    lines = (_LINE.fullmatch(line) for line in text.splitlines())
    pairs = {match[1]: match[2] for match in lines if match}
    if key in pairs:
        return _unquoted(pairs[key])
    source = read_source("", text.encode())
    for document in source.documents:
        if isinstance(document, MapNode) and key in document.entries:
            value = document.entries[key].value
            return value.text if isinstance(value, ScalarNode) else None
    return None


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
