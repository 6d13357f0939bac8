"""Code that a person would write for each shape, written out from the schema instead.

Touching, checking and building go field by field with the plainest code there is (`value.name`,
`value["name"]`), since a walk by reflection would hide what it measures behind its own cost.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.codecs.rules import (
    FLOAT_LIMIT,
    INT_LIMIT,
    MAX_BYTES,
    MAX_ITEMS,
    MAX_TEXT,
    BrokenRuleError,
)
from benchmarks.codecs.schema import Field, spec_of

__all__ = ["ATTRIBUTES", "ITEMS", "JSON_ITEMS", "NATIVE", "UPB", "Reading", "builder", "checker"]
__all__ += ["toucher"]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a library's value is read: the expression of a field, and of an optional one's presence.

    `present` is empty where an absent field reads as None.
    """

    read: str
    optional: str
    present: str = ""
    binary: str = "{0}"


ITEMS = Reading(read='value["{0}"]', optional='value.get("{0}")')
# Base64 is the only way in which JSON carries bytes: who touches the field has to undo it.
JSON_ITEMS = Reading(read=ITEMS.read, optional=ITEMS.optional, binary="b64decode({0})")
ATTRIBUTES = Reading(read="value.{0}", optional="value.{0}")
UPB = Reading(read="value.{0}", optional="value.{0}", present='value.HasField("{0}")')
NATIVE = Reading(read="value.{0}", optional="value.{0}", present='value.has_field("{0}")')

_LIMITS = {
    "int": f"-{INT_LIMIT} <= one <= {INT_LIMIT}",
    "float": f"-{FLOAT_LIMIT} <= one <= {FLOAT_LIMIT}",
    "str": f"len(one) <= {MAX_TEXT}",
    "bytes": f"len(one) <= {MAX_BYTES}",
    "bool": "one is True or one is False",
}


def toucher(message: str, reading: Reading) -> Callable[[Any], None]:
    """Return a function that reads every field of a value, down to the last item."""

    def lines(field: Field) -> list[str]:
        read = _expression(field, reading)
        inner = f"touch_{field.message}(one)" if field.message else "pass"
        if field.keyed:
            return [f"for key, one in {read}.items():", f"    {inner}"]
        if field.repeated:
            return [f"for one in {read}:", f"    {inner}"]
        if field.message:
            return [f"touch_{field.message}({read})"]
        if field.optional and reading.present:
            return [f"if {reading.present.format(field.name)}:", f"    {read}"]
        return [read]

    return _compiled(message, "touch", lines, {"b64decode": b64decode})


def checker(message: str, reading: Reading) -> Callable[[Any], None]:
    """Return a function that raises BrokenRuleError for a value outside of the rules."""

    def lines(field: Field) -> list[str]:
        read = _expression(field, reading)
        test = _check(field)
        count = [f"if len(many) > {MAX_ITEMS}:", f'    raise BrokenRuleError("{field.name}")']
        if field.keyed:
            many = [f"many = {read}", *count, "for key, one in many.items():"]
            long = [f"if len(key) > {MAX_TEXT}:", f'    raise BrokenRuleError("{field.name}")']
            return [*many, *(f"    {line}" for line in [*long, *test])]
        if field.repeated:
            return [f"many = {read}", *count, "for one in many:", *(f"    {line}" for line in test)]
        if not field.optional:
            return [f"one = {read}", *test]
        present = reading.present.format(field.name) or f"{read} is not None"
        return [f"if {present}:", f"    one = {read}", *(f"    {line}" for line in test)]

    return _compiled(message, "check", lines, {"BrokenRuleError": BrokenRuleError})


def builder(message: str, class_of: Callable[[str], Any]) -> Callable[[Any], Any]:
    """Return a function that makes an instance of `class_of(message)` from plain data."""
    if not any(field.message for field in spec_of(message).fields):
        made = class_of(message)
        return lambda value: made(**value)

    def argument(field: Field) -> str:
        read = f'value["{field.name}"]'
        if field.optional:
            return f'value.get("{field.name}")'
        if not field.message:
            return read
        if field.keyed:
            return f"{{key: build_{field.message}(one) for key, one in {read}.items()}}"
        if field.repeated:
            return f"[build_{field.message}(one) for one in {read}]"
        return f"build_{field.message}({read})"

    def lines(field: Field) -> list[str]:
        return [f"    {field.name}={argument(field)},"]

    classes = {f"class_{name}": class_of(name) for name in _reachable(message)}
    return _compiled(message, "build", lines, classes, wrap=("return class_{0}(", ")"))


def _expression(field: Field, reading: Reading) -> str:
    read = (reading.optional if field.optional else reading.read).format(field.name)
    plain = field.kind == "bytes" and not field.repeated and not field.keyed
    return reading.binary.format(read) if plain else read


def _check(field: Field) -> list[str]:
    if field.message:
        return [f"check_{field.message}(one)"]
    test = f"one in {field.numbers!r}" if field.kind == "enum" else _LIMITS[field.kind]
    return [f"if not ({test}):", f'    raise BrokenRuleError("{field.name}")']


def _reachable(message: str) -> list[str]:
    found = [message]
    for name in found:
        found += {one.message for one in spec_of(name).fields if one.message} - set(found)
    return found


def _compiled(
    message: str,
    verb: str,
    lines: Callable[[Field], list[str]],
    names: dict[str, Any],
    *,
    wrap: tuple[str, str] | None = None,
) -> Callable[[Any], Any]:
    source: list[str] = []
    for name in _reachable(message):
        body = [line for field in spec_of(name).fields for line in lines(field)]
        if wrap is not None:
            body = [wrap[0].format(name), *body, wrap[1]]
        source += [f"def {verb}_{name}(value):", *(f"    {line}" for line in body)]
    space = dict(names)
    exec("\n".join(source), space)  # noqa: S102 # written above, from the schema of this folder
    made: Callable[[Any], Any] = space[f"{verb}_{message}"]
    return made
