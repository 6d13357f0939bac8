"""What a JSON Schema says about a place in a document: which keys, which values, how secret.

The loader's own messages are made of it, so that they propose what the editor would propose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Shape", "is_telling"]

Schema: TypeAlias = Mapping[str, Any]

_BRANCHES = ("anyOf", "oneOf", "allOf")
_TELLING = re.compile(
    r"auth|cookie|passw|secret|token|api[-_]?key|credential|signature|private[-_]?key|[-_]key$|bearer|basic",
    re.I,
)


def is_telling(key: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    return _TELLING.search(key) is not None


@dataclass(frozen=True, slots=True)
class Shape:
    """The alternatives that a schema allows at one place."""

    root: Schema
    options: tuple[Schema, ...]

    @classmethod
    def of(cls, schema: Schema) -> Shape:
        """Returns the shape of a whole document."""
        return cls(schema, tuple(_options(schema, schema)))

    def at(self, key: str | int) -> Shape:
        """Returns the shape of a member; it has no options if the schema knows no such member."""
        found = (part for option in self.options for part in _members(option, key))
        return Shape(self.root, tuple(each for part in found for each in _options(self.root, part)))

    @property
    def is_known(self) -> bool:
        """Whether the schema knows this place."""
        return bool(self.options)

    @property
    def is_typed(self) -> bool:
        """Whether the schema knows this place and does not allow just anything there."""
        return self.is_known and all("type" in option for option in self.options)

    @property
    def is_secret(self) -> bool:
        """Whether any alternative is a secret."""
        return any(option.get("writeOnly") for option in self.options)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that can stand here, in order, without those that the user makes up."""
        names = (name for option in self.options for name in option.get("properties", ()))
        return tuple(dict.fromkeys(names))

    @property
    def values(self) -> tuple[str, ...]:
        """The texts that can stand here, if only certain ones can."""
        texts = (text for option in self.options for text in _choices(option))
        return tuple(dict.fromkeys(texts))

    def paths(self, depth: int = 2) -> Iterator[str]:
        """Lists the keys that can stand here and below, dotted, to a depth."""
        for key in self.keys:
            yield key
            if depth > 1:
                for path in self.at(key).paths(depth - 1):
                    yield f"{key}.{path}"

    def takes_scalar(self, path: str) -> bool:
        """Whether a single value can stand at a dotted path."""
        shape = self
        for key in path.split("."):
            shape = shape.at(key)
        return any(
            option.get("type") not in ("object", "array", "null") for option in shape.options
        )


def _options(root: Schema, schema: object) -> Iterator[Schema]:
    """Follows references and unions down to schemas that say something themselves."""
    if schema is True:
        yield {}
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield from _options(root, root.get("$defs", {})[schema["$ref"].rpartition("/")[2]])
        return
    unions = [branch for name in _BRANCHES for branch in schema.get(name, ())]
    if not unions or "properties" in schema:
        yield schema
    for branch in unions:
        yield from _options(root, branch)


def _members(option: Schema, key: str | int) -> Iterator[object]:
    """Finds what an option says of one member; an option that says nothing allows anything."""
    if not option.keys() - {"title", "description", "default", "examples"}:
        yield True
    elif isinstance(key, int):
        prefix = option.get("prefixItems", ())
        yield prefix[key] if key < len(prefix) else option.get("items", False)
    elif key in option.get("properties", ()):
        yield option["properties"][key]
    else:
        yield from _free_members(option, key)


def _free_members(option: Schema, key: str) -> Iterator[object]:
    """Finds what an option says of a member whose name the user made up."""
    patterns = option.get("patternProperties", {})
    fitting = [schema for pattern, schema in patterns.items() if re.search(pattern, key)]
    yield from fitting
    if not fitting and option.get("type") == "object":
        yield option.get("additionalProperties", "properties" not in option and not patterns)


def _choices(option: Schema) -> list[str]:
    values = [*option.get("enum", ()), *([option["const"]] if "const" in option else ())]
    return [value for value in values if isinstance(value, str)]
