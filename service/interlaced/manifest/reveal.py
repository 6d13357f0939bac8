"""What of a file's line may be shown: everything but values that are, or may be, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from interlaced.manifest.codes import CODES
from interlaced.manifest.problem import Problem
from interlaced.manifest.shape import Shape, is_telling
from interlaced.manifest.source import Finding, ListNode, MapNode, Node, ScalarNode, Source, Span

__all__ = ["Veil"]

_MASK = "***"
_WIDEST = 160
_REFERENCES = re.compile(r"(\$\{(env|file|secret):[^}:]*\})+")
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]"
)
_USERINFO = re.compile(r"(?<=://)[^/\s@\"']+(?=@)")
_UNREAD = re.compile(r"\$\{[^{}]*\}|\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|[^\s,{}\[\]\"':#]+")
_HARMLESS = re.compile(
    r"[-|>&*!?]|\d{1,6}|\d+(\.\d+)?(ms|s|m|h|d|%)|\$[a-z.]*|true|false|null", re.I
)


class Veil:
    """Knows which stretches of one source must not be shown, and turns findings into problems.

    A value is shown if the schema knows its place and it is no secret there, nothing on the way to
    it is called like one, or it is nothing but references. Lines that could not be read show keys,
    numbers and punctuation only.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._hidden: dict[int, list[tuple[int, int]]] = {}
        self._read: set[int] = set()
        self._texts: set[str] = set()

    def cover(self, document: Node, shape: Shape) -> None:
        """Learns what to hide in a document that has this shape."""
        span = document.span
        self._read.update(range(span.line, span.end_line + 1))
        for scalar in _secrets(document, shape, is_told=False):
            self._hide(scalar.span)
            if len(scalar.text) >= 4:
                self._texts.add(scalar.text)

    def _hide(self, span: Span) -> None:
        for line in range(span.line, span.end_line + 1):
            start = span.column if line == span.line else 0
            end = span.end_column if line == span.end_line else len(self._line(line))
            if end > start:
                self._hidden.setdefault(line, []).append((start, end))

    def problems(self, findings: Iterable[Finding], known: Iterable[str] = ()) -> list[Problem]:
        """Returns the findings as problems; `known` are further texts that must not be shown."""
        texts = sorted(self._texts | {text for text in known if len(text) >= 4}, key=len)
        return [self._problem(finding, texts[::-1]) for finding in findings]

    def _problem(self, finding: Finding, texts: list[str]) -> Problem:
        span, severity = finding.span, CODES[finding.code].severity
        shown, caret, width = "", 0, 1
        if span is not None and span.line < len(self._source.lines):
            shown, caret, width = self._shown(span)
        return Problem(
            file=self._source.file,
            line=span.line + 1 if span else 0,
            column=span.column + 1 if span else 0,
            code=finding.code,
            message=_without(finding.message, texts),
            hint=_without(finding.hint, texts),
            source=_without(shown, texts),
            caret=caret,
            width=width,
            severity=severity,
        )

    def _line(self, line: int) -> str:
        return self._source.lines[line] if line < len(self._source.lines) else ""

    def _shown(self, span: Span) -> tuple[str, int, int]:
        """Returns the masked line, where the place begins in it, and how wide it is."""
        line = self._line(span.line)
        hidden = sorted({*self._spans(span.line, line), *_userinfo(line)})
        end = span.end_column if span.end_line == span.line else len(line.rstrip())
        shown, ends = "", []
        place = 0
        for start, stop in hidden:
            if start >= place:
                shown += line[place:start] + _MASK
                ends.append((start, stop, len(shown)))
                place = stop
        shown += line[place:]
        caret = _moved(span.column, ends)
        width = max(1, _moved(max(end, span.column + 1), ends) - caret)
        shown = _UNPRINTABLE.sub(" ", shown)
        if len(shown) > _WIDEST:
            left = max(0, caret - 60)
            shown, caret = shown[left : left + _WIDEST], caret - left
        return shown.rstrip(), caret, min(width, _WIDEST - min(caret, _WIDEST - 1))

    def _spans(self, number: int, line: str) -> Iterable[tuple[int, int]]:
        """Lists what to hide: known stretches, or in an unread line whatever could be a value."""
        hidden = self._hidden.get(number, [])
        if number in self._read:
            return hidden
        return [*hidden, *_unread(line)]


def _moved(column: int, ends: list[tuple[int, int, int]]) -> int:
    """Returns where a column of the line stands in the masked line."""
    moved = column
    for start, stop, end in ends:
        if column >= stop:
            moved = end + column - stop
        elif column > start:
            return end if column == stop else end - len(_MASK)
        else:
            break
    return moved


def _unread(line: str) -> Iterator[tuple[int, int]]:
    for match in _UNREAD.finditer(line):
        is_key = re.match(r"\s*:(\s|$)", line[match.end() :]) and match[0].isidentifier()
        is_harmless = _HARMLESS.fullmatch(match[0]) or _REFERENCES.fullmatch(match[0])
        if not is_key and not is_harmless:
            yield match.span()


def _userinfo(line: str) -> Iterator[tuple[int, int]]:
    for match in _USERINFO.finditer(line):
        yield match.span()


def _without(text: str, texts: list[str]) -> str:
    """Takes out secrets, and what would move the cursor or cannot be encoded."""
    text = _UNPRINTABLE.sub(" ", text)
    for secret in texts:
        text = text.replace(secret, _MASK)
    return text


def _secrets(node: Node, shape: Shape, *, is_told: bool) -> Iterator[ScalarNode]:
    """Finds the values that must not be shown; `is_told` says that a key above is called so.

    The schema knows best; the names of keys count where it allows anything or knows nothing.
    """
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            member = shape.at(key)
            counts = isinstance(entry.value, ScalarNode) or not member.is_typed
            told = is_told or (counts and is_telling(key))
            yield from _secrets(entry.value, member, is_told=told)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _secrets(item, shape.at(index), is_told=is_told)
    elif _must_hide(node, shape, is_told=is_told):
        yield node


def _must_hide(scalar: ScalarNode, shape: Shape, *, is_told: bool) -> bool:
    if not scalar.text or _REFERENCES.fullmatch(scalar.text):
        return False
    if is_told or shape.is_secret:
        return True
    return not shape.is_known and _HARMLESS.fullmatch(scalar.text) is None
