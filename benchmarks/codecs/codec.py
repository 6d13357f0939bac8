"""What one library does with one shape, and the proof that it carries the same content."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.codecs.schema import Field, restore
from benchmarks.codecs.shapes import Shape

__all__ = [
    "ACTIONS",
    "DOCUMENT",
    "SCHEMA",
    "TYPED",
    "UNTYPED",
    "Codec",
    "UnequalContentError",
    "assert_equal_content",
    "from_items",
    "from_json_items",
    "is_same",
]

SCHEMA = "schema"
DOCUMENT = "document"
UNTYPED = "untyped"
TYPED = "typed"
ACTIONS = ("build", "encode", "decode", "decode_touch", "decode_validate", "round_trip")


class UnequalContentError(AssertionError):
    """A library does not give back what it was given, so its times would mean nothing."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One library, made ready for one shape. Whatever can be made beforehand has been made.

    `build` makes the library's own value from plain data; None where plain data is that value.
    `encode` takes the library's value, `decode` gives it, `touch` reads each of its fields, and
    `validate` takes bytes and gives a value that keeps the rules, or raises. `touch` and
    `validate` are None for a document without a schema. `restore` gives plain data, untimed.
    """

    tier: str
    build: Callable[[Any], Any] | None
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    touch: Callable[[Any], None] | None
    validate: Callable[[bytes], Any] | None
    restore: Callable[[Any], Any]

    def value(self, data: Any) -> Any:
        """Return `data` as the library's own value."""
        return data if self.build is None else self.build(data)

    def action(self, name: str, data: Any) -> tuple[Callable[[Any], Any], Any] | None:
        """Return the callable of one of ACTIONS and its argument, or None where it has none."""
        value = self.value(data)
        raw = self.encode(value)
        simple: dict[str, tuple[Callable[[Any], Any] | None, Any]] = {
            "build": (self.build, data),
            "encode": (self.encode, value),
            "decode": (self.decode, raw),
            "decode_touch": (self._decode_touch(), raw),
            "decode_validate": (self.validate, raw),
            "round_trip": (self._round_trip(), data),
        }
        run, argument = simple[name]
        return None if run is None else (run, argument)

    def _decode_touch(self) -> Callable[[Any], Any] | None:
        if self.touch is None:
            return None
        decode, touch = self.decode, self.touch
        return lambda raw: touch(decode(raw))

    def _round_trip(self) -> Callable[[Any], Any]:
        build, encode, decode = self.build, self.encode, self.decode
        # Written out, so that nobody pays for a step that it does not have.
        if (touch := self.touch) is None:
            if build is None:
                return lambda data: decode(encode(data))
            return lambda data: decode(encode(build(data)))
        if build is None:
            return lambda data: touch(decode(encode(data)))
        return lambda data: touch(decode(encode(build(data))))


def assert_equal_content(library: str, codec: Codec, shape: Shape) -> None:
    """Raise UnequalContentError unless `codec` gives back the content of `shape`, both ways."""
    raw = codec.encode(codec.value(shape.data))
    if not isinstance(raw, bytes):
        raise UnequalContentError(f"{library} encodes {shape.name} to {type(raw).__name__}")
    if not is_same(codec.restore(codec.decode(raw)), shape.data):
        raise UnequalContentError(f"{library} does not give back the content of {shape.name}")
    if codec.touch is not None:
        codec.touch(codec.decode(raw))
    if codec.validate is not None:
        codec.validate(raw)


def is_same(left: Any, right: Any) -> bool:
    """Whether two trees of plain data hold the same content.

    Numbers are equal by value, and never equal to a truth value; text is never equal to bytes.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(
            is_same(one, right[key]) for key, one in left.items()
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(is_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _read_item(value: Any, field: Field) -> Any:
    return value.get(field.name)


def _read_json_item(value: Any, field: Field) -> Any:
    one = value.get(field.name)
    return b64decode(one) if field.kind == "bytes" and one is not None else one


def from_items(shape: Shape) -> Callable[[Any], Any]:
    """Return the `restore` of a library that decodes to dicts."""
    return lambda value: restore(shape.message, value, _read_item) if shape.message else value


def from_json_items(shape: Shape) -> Callable[[Any], Any]:
    """Return the `restore` of a library that decodes to dicts with bytes in Base64."""
    return lambda value: restore(shape.message, value, _read_json_item) if shape.message else value
