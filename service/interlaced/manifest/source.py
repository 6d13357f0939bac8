"""A file as a tree of values that know their line and column, or the problems of its YAML.

Built from the parser's events instead of its own constructor: no tag ever makes an object, an alias
costs what it expands to, and every key keeps its place. Scalars are read by the core schema of YAML
1.2, so `NO` and `12:30` are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from interlaced.manifest.codes import Code

__all__ = [
    "LARGEST_FILE",
    "Entry",
    "Finding",
    "ListNode",
    "MapNode",
    "Node",
    "ScalarNode",
    "Source",
    "Span",
    "read_source",
]

LARGEST_FILE = 1024 * 1024
"""The most bytes of a manifest."""

_DEEPEST = 32
_MOST_NODES = 20_000
_MOST_ALIASES = 64

_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,300}|[0-9]{1,300}(\.[0-9]{0,300})?)([eE][-+]?[0-9]{1,3})?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_HINTS = {
    "mapping values are not allowed": "put quotes around a text that holds ': '",
    "found character '\\t'": "indent with spaces, not with tabs",
    "found unknown escape": "use single quotes for a text with backslashes",
    "while scanning a quoted scalar": "the quote is not closed",
    "found unexpected end of stream": "the quote is not closed",
    "expected ',' or ": "a comma or a closing bracket is missing",
    "expected <block end>": "the indentation does not fit the lines above",
    "could not find expected ':'": "a key needs ': ' and a value behind it",
    "expected the node content": "a bracket is not closed",
    "found undefined alias": "name the anchor before the alias",
}
"""What the parser says at the beginning of its text, and what we say: its text quotes the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a file; lines and columns count from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class ScalarNode:
    """A single value: its text as written, without quotes, and whether it was without quotes."""

    span: Span
    text: str
    is_plain: bool

    @property
    def value(self) -> str | int | float | bool | None:
        """The value by YAML 1.2's core schema."""
        return _core_value(self.text) if self.is_plain else self.text


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list."""

    span: Span
    items: list[Node]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value."""

    key: ScalarNode
    value: Node


@dataclass(frozen=True, slots=True)
class MapNode:
    """A mapping; its keys are unique."""

    span: Span
    entries: dict[str, Entry]


Node: TypeAlias = ScalarNode | ListNode | MapNode


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a place of a source, before it is known what of the line may be shown."""

    span: Span | None
    code: Code
    message: str
    hint: str = ""


@dataclass(slots=True)
class Source:
    """A file that was read: its lines, its documents, and what is wrong with its YAML."""

    file: str
    lines: list[str] = field(default_factory=list)
    documents: list[Node] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def read_source(file: str, data: bytes) -> Source:
    """Reads a file's YAML; never raises, everything wrong is in `findings`."""
    source = Source(file)
    if len(data) > LARGEST_FILE:
        source.findings.append(Finding(None, Code.TOO_LARGE, "the file is larger than 1 MiB"))
        return source
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        source.findings.append(Finding(None, Code.BAD_YAML, f"line {line} is not UTF-8"))
        return source
    source.lines = _BREAK.split(text)
    _compose(source, text)
    return source


class _Yaml(YAML):
    """The parser, without plug-ins: ruamel looks for their files each time that one is made."""

    def official_plug_ins(self) -> list[str]:
        """None."""
        return []


def _compose(source: Source, text: str) -> None:
    """Fills in documents until the end or the first place that cannot be read."""
    reader = _Composer(source)
    try:
        for event in _Yaml(typ="safe", pure=True).parse(text):
            reader.take(event)
    except _Unreadable:
        return  # the finding is noted already
    except MarkedYAMLError as error:
        _note_bad_yaml(source, error)
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, AssertionError):
        # the parser raises all of these on odd input; its text would quote the file
        source.findings.append(
            Finding(None, Code.BAD_YAML, "the file holds characters that YAML does not allow")
        )


def _note_bad_yaml(source: Source, error: MarkedYAMLError) -> None:
    mark = error.problem_mark or error.context_mark
    span = None if mark is None else Span(mark.line, mark.column, mark.line, mark.column + 1)
    said = f"{error.problem or ''}\n{error.context or ''}"
    hints = [hint for start, hint in _HINTS.items() if f"\n{said}".find(f"\n{start}") >= 0]
    if span is not None and source.lines[span.line : span.line + 1]:
        line = source.lines[span.line]
        if line[max(0, span.column - 1) : span.column + 1] == "${":
            hints.insert(0, 'put quotes around it, as in "${env:NAME}"')
    source.findings.append(Finding(span, Code.BAD_YAML, "this is not YAML", next(iter(hints), "")))


class _Unreadable(Exception):  # noqa: N818  # ends the reading; the finding is already noted
    """What comes next cannot be read."""


@dataclass(slots=True)
class _Open:
    """A collection that is being read."""

    event: Event
    anchor: str | None
    items: list[Node] = field(default_factory=list)


class _Composer:
    """Builds documents from events, without recursion, and counts what they cost."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: list[_Open] = []
        self._start_document()

    def _start_document(self) -> None:
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._nodes = 0
        self._aliases = 0

    def take(self, event: Event) -> None:
        """Takes the next event."""
        if isinstance(event, DocumentStartEvent):
            self._start_document()
            self._check_directives(event)
        elif isinstance(event, NodeEvent) and not isinstance(event, AliasEvent):
            self._take_node(event)
        elif isinstance(event, AliasEvent):
            self._take_alias(event)
        elif isinstance(event, SequenceEndEvent | MappingEndEvent):
            self._close(event)
        elif isinstance(event, DocumentEndEvent):
            self._open.clear()

    def _check_directives(self, event: DocumentStartEvent) -> None:
        if event.tags:
            self._find(_span(event), Code.TAG, "%TAG is refused")
        if event.version not in (None, (1, 2)):
            self._find(_span(event), Code.BAD_YAML, "this is read as YAML 1.2", "remove %YAML")

    def _take_node(self, event: NodeEvent) -> None:
        self._count(_span(event), 1)
        if getattr(event, "tag", None):
            self._find(_span(event), Code.TAG, "tags are refused", "remove the tag")
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, ScalarEvent):
            node = ScalarNode(
                _span(event), event.value, bool(event.implicit[0]) and not event.style
            )
            self._put(node, event.anchor, 1)
        elif len(self._open) >= _DEEPEST:
            self._find(_span(event), Code.TOO_DEEP, f"nested deeper than {_DEEPEST} levels")
            raise _Unreadable
        elif isinstance(event, SequenceStartEvent | MappingStartEvent):
            self._open.append(_Open(event, event.anchor))

    def _take_alias(self, event: AliasEvent) -> None:
        self._aliases += 1
        span = _span(event)
        found = self._anchors.get(event.anchor or "")
        if found is None:
            self._find(span, Code.ALIAS, "the alias refers to no complete anchor of this document")
            raise _Unreadable
        if self._aliases > _MOST_ALIASES:
            self._find(span, Code.ALIAS, f"more than {_MOST_ALIASES} aliases in one document")
            raise _Unreadable
        node, size = found
        self._count(span, size)
        self._put(node, None, size)

    def _count(self, span: Span, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > _MOST_NODES:
            self._find(span, Code.TOO_LARGE, f"more than {_MOST_NODES:,} values in one document")
            raise _Unreadable

    def _close(self, event: Event) -> None:
        opened = self._open.pop()
        start, end = _span(opened.event), _span(event)
        span = Span(start.line, start.column, end.end_line, end.end_column)
        node: Node
        if isinstance(opened.event, SequenceStartEvent):
            node = ListNode(span, opened.items)
        else:
            node = MapNode(span, self._entries(opened.items))
        self._put(node, opened.anchor, _size(node))

    def _put(self, node: Node, anchor: str | None, size: int) -> None:
        if anchor:
            self._anchors[anchor] = (node, size)
        if self._open:
            self._open[-1].items.append(node)
        else:
            self._source.documents.append(node)

    def _entries(self, items: list[Node]) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        for key, value in zip(items[::2], items[1::2], strict=True):
            text = self._key(key)
            if text is None or not isinstance(key, ScalarNode):
                continue
            if text in entries:
                first = entries[text].key.span.line + 1
                self._find(
                    key.span, Code.DUPLICATE_KEY, f"the key {text!r} is already on line {first}"
                )
            else:
                entries[text] = Entry(key, value)
        return entries

    def _key(self, key: Node) -> str | None:
        """Returns a key's text; whole numbers (`404: ...`) are taken as their digits."""
        if isinstance(key, ScalarNode):
            value = key.value
            if isinstance(value, str) or (type(value) is int and key.text.isdecimal()):
                return key.text
        self._find(key.span, Code.KEY_NOT_TEXT, "the key is not text", "put it in quotes")
        return None

    def _find(self, span: Span, code: Code, message: str, hint: str = "") -> None:
        self._source.findings.append(Finding(span, code, message, hint))


def _size(node: Node) -> int:
    """Counts a node with all below it; aliases are counted as often as they stand there."""
    return sum(1 for _ in _walk(node))


def _walk(node: Node) -> Iterator[Node]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ListNode):
            waiting.extend(node.items)
        elif isinstance(node, MapNode):
            waiting.extend(entry.value for entry in node.entries.values())


def _span(event: Event) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line, start.column, end.line, end.column)


def _core_value(text: str) -> str | int | float | bool | None:
    """Reads a plain scalar; numbers of absurd length stay text."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text) or _SPECIAL.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text
