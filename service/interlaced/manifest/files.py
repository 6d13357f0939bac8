"""The files of a configuration: which ones count, what is in them, and what may be shown of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from interlaced.core.secret import Secret
from interlaced.manifest.codes import CODES, Code, Severity
from interlaced.manifest.problem import Problem
from interlaced.manifest.references import ReadFile
from interlaced.manifest.reveal import Veil
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import LARGEST_FILE, Finding, Node, Source, read_source

__all__ = ["ManifestFile", "find_files", "read_limited"]

_SUFFIXES = (".yaml", ".yml")


def read_limited(path: Path, limit: int) -> bytes:
    """Reads a file up to `limit` bytes, and one more if there are more. Raises OSError."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def find_files(paths: Iterable[Path]) -> Iterator[Path | Problem]:
    """Lists the manifests of files and directories (not of directories below), ordered by name."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(each for each in path.iterdir() if _is_manifest(each))
        yield from found
        if not found:
            yield _whole(str(path), Code.NO_MANIFEST, "the directory holds no manifest")


def _is_manifest(path: Path) -> bool:
    name = path.name
    return (
        name.endswith(_SUFFIXES)
        and not name.startswith(".")
        and not name.removesuffix(path.suffix).endswith(".test")
        and path.is_file()
    )


def _whole(file: str, code: Code, message: str) -> Problem:
    severity = CODES[code].severity
    return Problem(file=file, line=0, column=0, code=code, message=message, severity=severity)


@dataclass(slots=True)
class ManifestFile:
    """A file with its documents, and what is found wrong in it on the way."""

    source: Source
    base: Path = Path()
    findings: list[Finding] = field(default_factory=list)
    shapes: list[tuple[Node, Callable[[], Shape]]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path, read_file: ReadFile) -> ManifestFile:
        """Reads a file; never raises."""
        try:
            data = read_file(path, LARGEST_FILE)
        except OSError:
            source = Source(str(path))
            found = Finding(
                None, Code.UNREADABLE_FILE, "the file does not exist or is not readable"
            )
            source.findings.append(found)
        else:
            source = read_source(str(path), data)
        return cls(source, path.parent, list(source.findings))

    @property
    def name(self) -> str:
        """The file's name as messages show it."""
        return self.source.file

    @property
    def has_errors(self) -> bool:
        """Whether anything found so far keeps the configuration from being loaded."""
        return any(CODES[each.code].severity is Severity.ERROR for each in self.findings)

    def problems(self, findings: Iterable[Finding], secrets: Iterable[Secret]) -> list[Problem]:
        """Returns findings of this file as problems, in order, without anything secret."""
        veil = Veil(self.source)
        for document, shape in self.shapes:
            veil.cover(document, shape())
        found = veil.problems(dict.fromkeys(findings), (each.reveal() for each in secrets))
        return sorted(found, key=lambda problem: (problem.line, problem.column))
