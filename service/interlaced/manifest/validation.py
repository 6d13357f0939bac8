"""What pydantic found wrong, told at the line and column where it stands, in our own words.

Pydantic's messages may quote what was written, so none of them is passed on; only the texts that
our own models raise are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import ValidationError

from interlaced.manifest.codes import Code
from interlaced.manifest.propose import propose_key, propose_name
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import Entry, Finding, ListNode, MapNode, Node, ScalarNode, Span

__all__ = ["Keys", "dotted", "find_key", "find_value", "translate"]

Keys: TypeAlias = tuple[str | int, ...]
"""The way from a document's top to a place in it."""

_MESSAGES: Mapping[str, str] = {
    "int_parsing": "expected a whole number",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected a text; put it in quotes",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "set_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "model_attributes_type": "expected a mapping of keys to values",
    "none_required": "expected nothing here",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "too_short": "expected at least {min_length} of these",
    "too_long": "expected at most {max_length} of these",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
    "string_pattern_mismatch": "the text does not have the form that is expected here",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
}
_OF_TYPE = {"string_type", "int_type", "float_type", "bool_type", "list_type", "tuple_type"}
_OF_TYPE |= {"dict_type", "model_type", "model_attributes_type", "none_required", "int_parsing"}
_OF_TYPE |= {"float_parsing", "bool_parsing", "set_type"}

_OF_MEMBER = re.compile(r"(operation|feed|sink) ([A-Za-z][A-Za-z0-9_-]*): ")
_OF_PARAMETER = re.compile(r"\bparameter ([A-Za-z][A-Za-z0-9_-]*)")


def find_value(document: Node, keys: Keys) -> Node | None:
    """Returns the value at a place, or None."""
    node: Node | None = document
    for key in keys:
        node = _member(node, key)
    return node


def _member(node: Node | None, key: str | int) -> Node | None:
    if isinstance(node, MapNode):
        entry = node.entries.get(str(key))
        return entry.value if entry else None
    if isinstance(node, ListNode) and isinstance(key, int) and 0 <= key < len(node.items):
        return node.items[key]
    return None


def find_key(document: Node, keys: Keys) -> Span:
    """Returns where the key of a place stands: that of the nearest place above that has one."""
    for size in range(len(keys), 0, -1):
        above = find_value(document, keys[: size - 1])
        if isinstance(above, MapNode) and str(keys[size - 1]) in above.entries:
            return above.entries[str(keys[size - 1])].key.span
        if isinstance(above, ListNode):
            item = _member(above, keys[size - 1])
            if item is not None:
                return item.span
    return _beginning(document.span)


def _beginning(span: Span) -> Span:
    return Span(span.line, span.column, span.line, span.column + 1)


def dotted(keys: Iterable[str | int]) -> str:
    """Writes a place as `operations.GetProduct.query[0]`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}"
    return text.removeprefix(".")


def translate(
    error: ValidationError, document: Node, shape: Shape, *, below: Keys = (), broken: set[int]
) -> list[Finding]:
    """Returns the findings of a failed validation of the part of a document that is `below`.

    `broken` are nodes whose value is not known since a reference failed; about these it is silent.
    """
    translator = _Translator(document, shape, broken)
    details = error.errors(include_url=False, include_input=False, include_context=True)
    chosen = _choose([_Detail(document, below, dict(detail)) for detail in details])
    findings = (translator.finding(detail) for detail in chosen)
    return [finding for finding in findings if finding is not None]


class _Detail:
    """One of pydantic's errors, with its place in the document and the union branches passed."""

    __slots__ = ("branches", "context", "is_key", "keys", "message", "type")

    def __init__(self, document: Node, below: Keys, detail: dict[str, Any]) -> None:
        self.type: str = detail["type"]
        self.message: str = detail["msg"]
        self.context: Mapping[str, Any] = detail.get("ctx", {})
        self.is_key = False
        self.branches: list[tuple[Keys, str]] = []
        self.keys = self._locate(document, below, detail["loc"])

    def _locate(self, document: Node, below: Keys, place: Sequence[str | int]) -> Keys:
        keys, node = below, find_value(document, below)
        for index, part in enumerate(place):
            is_last = index == len(place) - 1
            if is_last and part == "[key]":
                self.is_key = True
                break
            member = _member(node, part)
            if member is None and not (is_last and self.type == "missing"):
                self.branches.append((keys, str(part)))
                continue
            keys, node = (*keys, part), member
        return keys


def _choose(details: list[_Detail]) -> list[_Detail]:
    """Keeps, of each union, the errors of the branch that was most probably meant."""
    unions: dict[Keys, dict[str, list[_Detail]]] = {}
    chosen: list[_Detail] = []
    for detail in details:
        if detail.branches:
            place, branch = detail.branches.pop(0)
            unions.setdefault(place, {}).setdefault(branch, []).append(detail)
        else:
            chosen.append(detail)
    for place, branches in unions.items():
        best = min(branches.values(), key=lambda found: _distance(place, found))
        chosen.extend(_choose(best))
    return chosen


def _distance(place: Keys, details: list[_Detail]) -> tuple[bool, int]:
    is_other_type = any(
        len(detail.keys) <= len(place) and detail.type in _OF_TYPE for detail in details
    )
    return is_other_type, len(details)


class _Translator:
    """Turns errors into findings."""

    def __init__(self, document: Node, shape: Shape, broken: set[int]) -> None:
        self._document = document
        self._shape = shape
        self._broken = broken

    def finding(self, detail: _Detail) -> Finding | None:
        """Returns the finding, or None if it only follows from a reference that failed."""
        if self._is_broken(detail.keys):
            return None
        if detail.type == "missing":
            return self._missing(detail)
        if detail.type == "extra_forbidden":
            return self._unknown(detail)
        if detail.is_key:
            return self._bad_key(detail)
        if detail.type == "value_error" and not detail.keys:
            return self._member_error(detail)
        return self._bad_value(detail)

    def _bad_key(self, detail: _Detail) -> Finding:
        span, key = find_key(self._document, detail.keys), detail.keys[-1]
        if detail.type == "string_pattern_mismatch":
            hint = "a letter, then at most 62 letters, digits, - or _"
            return Finding(span, Code.BAD_NAME, f"the name {key!r} does not fit", hint)
        return Finding(span, Code.BAD_VALUE, f"the key {key!r}: {_message(detail)}")

    def _bad_value(self, detail: _Detail) -> Finding:
        node, where = find_value(self._document, detail.keys), dotted(detail.keys)
        is_single = isinstance(node, ScalarNode) and node.text
        span = node.span if node and is_single else find_key(self._document, detail.keys)
        message = f"{where}: {_message(detail)}" if where else _message(detail)
        return Finding(span, Code.BAD_VALUE, message, self._proposal(detail))

    def _member_error(self, detail: _Detail) -> Finding:
        """Places what a whole connector says of one member: `operation NAME: ...`."""
        message, code, keys = _message(detail), Code.BAD_VALUE, detail.keys
        match = _OF_MEMBER.match(message)
        if match and find_value(self._document, (f"{match[1]}s", match[2])):
            keys = (f"{match[1]}s", match[2])
            about = _OF_PARAMETER.search(message)
            if about and find_value(self._document, (*keys, "parameters", about[1])):
                keys, code = (*keys, "parameters", about[1]), Code.UNKNOWN_PARAMETER
        return Finding(find_key(self._document, keys), code, message)

    def _is_broken(self, keys: Keys) -> bool:
        node = find_value(self._document, keys)
        return node is not None and any(id(each) in self._broken for each in _below(node))

    def _missing(self, detail: _Detail) -> Finding:
        *above, key = detail.keys
        where = f" in {dotted(above)}" if above else ""
        span = find_key(self._document, tuple(above))
        return Finding(span, Code.MISSING_KEY, f"the key {key!r} is missing{where}")

    def _unknown(self, detail: _Detail) -> Finding:
        *above, key = detail.keys
        shape, node = self._shape, find_value(self._document, detail.keys)
        for each in above:
            shape = shape.at(each)
        where = f" in {dotted(above)}" if above else ""
        hint = propose_key(shape, str(key), is_scalar=isinstance(node, ScalarNode))
        span = find_key(self._document, detail.keys)
        return Finding(span, Code.UNKNOWN_KEY, f"unknown key {key!r}{where}", hint)

    def _proposal(self, detail: _Detail) -> str:
        if detail.type not in ("literal_error", "enum"):
            return ""
        node, shape = find_value(self._document, detail.keys), self._shape
        for each in detail.keys:
            shape = shape.at(each)
        if not isinstance(node, ScalarNode) or len(shape.values) > 50:
            return ""
        hint = propose_name(node.text, shape.values)
        return hint if hint.startswith("did") else ""


def _below(node: Node) -> Iterable[Node]:
    yield node
    if isinstance(node, MapNode):
        for entry in node.entries.values():
            yield from _below_entry(entry)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from _below(item)


def _below_entry(entry: Entry) -> Iterable[Node]:
    yield from _below(entry.value)


def _message(detail: _Detail) -> str:
    if detail.type == "value_error":
        return detail.message.removeprefix("Value error, ")
    if detail.context.get("expected", "").count(",") > 8:
        return "expected one of the values that `interlace schema` lists"
    try:
        return _MESSAGES[detail.type].format_map(detail.context)
    except KeyError:
        return "the value does not fit"
