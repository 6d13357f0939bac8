"""What msgspec lets pass for each message type: a struct, with its fields under their numbers.

There are two ways. One takes null everywhere, and the texts of 64-bit integers as texts. In the
other msgspec converts texts to numbers itself, faster than anything behind it could. Asked to do
that, it also takes "null" for null and 1 for true, and rounds what has a point. So null is no part
of those types, and a float or a text is part of them, which protobuf then refuses.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from interlaced.codecs.transcode_plan import Field, Kind, Plan
from interlaced.codecs.transcode_source import SourceWriter
from interlaced.codecs.wellknown import LARGEST_FLOAT

__all__ = ["describe"]

_TYPES: dict[Kind, Any] = {
    Kind.INT32: int,
    Kind.UINT32: int,
    Kind.INT64: int | str,
    Kind.UINT64: int | str,
    Kind.DOUBLE: float | Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)],
    Kind.FLOAT: Annotated[float, msgspec.Meta(ge=-LARGEST_FLOAT, le=LARGEST_FLOAT)]
    | Annotated[int, msgspec.Meta(ge=-(2**24), le=2**24)],
    Kind.BOOL: bool,
    Kind.STRING: str,
    Kind.BYTES: bytes,
    Kind.NULL: None,
    Kind.TIMESTAMP: str,
    Kind.DURATION: str,
    Kind.FIELD_MASK: str,
    Kind.STRUCT: dict[str, Any],
    Kind.VALUE: Any,
    Kind.LIST: list[Any],
    Kind.ANY: Any,
}
"""What msgspec lets pass; integers in a double stay below what it rounds."""

_CONVERTED_TYPES = _TYPES | {
    Kind.INT32: int | float,
    Kind.UINT32: int | float,
    Kind.INT64: int | float,
    Kind.UINT64: int | float,
    Kind.DOUBLE: _TYPES[Kind.DOUBLE] | str,
    Kind.FLOAT: _TYPES[Kind.FLOAT] | str,
    Kind.BOOL: bool | str | float,
    Kind.NULL: Any,
}
"""The same where msgspec converts texts: protobuf takes no float for an integer or a bool."""


def describe(reached: list[Plan], writer: SourceWriter, *, nulls: bool = True) -> Any:
    """The type that msgspec reads for the first of the plans; without `nulls` it converts texts."""
    forms = _Forms(reached, writer, nulls=nulls)
    root = forms.of(reached[0].message.full_name)
    forms.finish()
    return root


class _Forms:
    """Makes each type empty, so that others may name it, and describes its fields later."""

    def __init__(self, reached: list[Plan], writer: SourceWriter, *, nulls: bool) -> None:
        self._plans = {plan.message.full_name: plan for plan in reached}
        self._writer = writer
        self._nulls = nulls
        self._types = _TYPES if nulls else _CONVERTED_TYPES
        self._made: dict[str, Any] = {}
        self._waiting: list[str] = []

    def of(self, name: str) -> Any:
        """The struct of a message type."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._make(self._plans[name])
            self._waiting.append(name)
        return made

    def finish(self) -> None:
        """Describes the fields of all types that were asked for."""
        while self._waiting:
            name = self._waiting.pop()
            described = self._made[name].__annotations__
            for index, field in enumerate(self._plans[name].fields):
                described[f"f{index}"] = self._type_of_field(field) | msgspec.UnsetType

    def _make(self, plan: Plan) -> type[msgspec.Struct]:
        fields = [(f"f{index}", Any, msgspec.UNSET) for index, _ in enumerate(plan.fields)]
        keys = {f"f{index}": self._writer.key(field) for index, field in enumerate(plan.fields)}
        return msgspec.defstruct(plan.message.name, fields, rename=keys, gc=False)

    def _type_of_field(self, field: Field) -> Any:
        held: Any = self._type(field)
        if field.key is not None:
            # A key that is no text is a text in JSON; msgspec reads integers, and not booleans.
            key: Any = self._types[Kind.INT32]
            if field.key in {Kind.STRING, Kind.BOOL}:
                key = str
            held = dict[key, held]
        elif field.repeated:
            held = list[held]
        return held if held in (None, Any) or not self._nulls else held | None

    def _type(self, field: Field) -> Any:
        element = field.element
        if element.kind is Kind.MESSAGE:
            return self.of(element.child.full_name)
        if element.enum is not None and element.kind is Kind.ENUM:
            # Only names that are there: protobuf 6.33 dies of half a surrogate pair in a name.
            return Literal[tuple(element.enum.values_by_name)] | self._types[Kind.INT32]
        if element.kind is Kind.WRAPPER:
            return self._types[element.wrapped.kind]
        return self._types[element.kind]
