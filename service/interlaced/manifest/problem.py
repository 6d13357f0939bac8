"""A problem with its place, and the error that carries all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interlaced.manifest.codes import Code, Severity

__all__ = ["ManifestError", "Problem", "render"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong at a place of a file; `line` and `column` count from 1, 0 is the whole file.

    `source` is the line as it may be shown, with the values of secret fields masked; the place
    begins at its character `caret` (from 0) and is `width` characters long.
    """

    file: str
    line: int
    column: int
    code: Code
    message: str
    hint: str = ""
    source: str = ""
    caret: int = 0
    width: int = 1
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        hint = f": {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column} {self.code} {self.message}{hint}"


class ManifestError(Exception):
    """The configuration cannot be loaded; `problems` holds everything found in all files."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        files = len({problem.file for problem in errors})
        super().__init__(
            f"{len(errors)} problem{'s' * (len(errors) != 1)} in {files} file{'s' * (files != 1)}"
        )
        self.problems = tuple(problems)


def render(problem: Problem) -> str:
    """Returns the problem as a person reads it: the place, the line, a caret and a proposal."""
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.line else problem.file
    docs = f"docs: interlace help {problem.code}"
    grade = "warning: " if problem.severity is Severity.WARNING else ""
    head = f"{place}  {problem.code}  {grade}{problem.message}"
    if not problem.source:
        return "\n".join(
            [head, *([f"      = {problem.hint}"] if problem.hint else []), f"      = {docs}"]
        )
    caret = " " * problem.caret + "^" * problem.width
    told = f"{caret} {problem.hint}".rstrip()
    return f"{head}\n{problem.line:5} | {problem.source}\n      | {told:<60} {docs}"
