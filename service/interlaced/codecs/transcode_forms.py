"""What msgspec lets pass for each message type, and what it makes of it.

A type that `build` reads becomes a struct, with a field for each field under its number; one that
`read` hands to a constructor becomes a dict.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypedDict

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


def describe(reached: list[Plan], writer: SourceWriter) -> Any:
    """The type that msgspec reads for the first of the plans."""
    forms = _Forms(reached, writer)
    root = forms.of(writer.root, reached[0].message.full_name)
    forms.finish()
    return root


class _Forms:
    """Makes each type empty, so that others may name it, and describes its fields later."""

    def __init__(self, reached: list[Plan], writer: SourceWriter) -> None:
        self._plans = {plan.message.full_name: plan for plan in reached}
        self._writer = writer
        self._made: dict[tuple[str, str], Any] = {}
        self._waiting: list[tuple[str, str]] = []

    def of(self, function: str, name: str) -> Any:
        """The type of what `function` reads a message from."""
        made = self._made.get((function, name))
        if made is None:
            plan = self._plans[name]
            made = self._make_struct(plan) if function == "build" else _make_dict(plan)
            self._made[function, name] = made
            self._waiting.append((function, name))
        return made

    def finish(self) -> None:
        """Describes the fields of all types that were asked for."""
        while self._waiting:
            function, name = form = self._waiting.pop()
            described = self._made[form]
            for index, field in enumerate(self._plans[name].fields):
                held = self._type_of_field(function, field)
                if function == "build":
                    described.__annotations__[f"f{index}"] = held | msgspec.UnsetType
                else:
                    described.__annotations__[self._writer.key(field)] = held
            if function == "read":
                described.__optional_keys__ = frozenset(described.__annotations__)

    def _make_struct(self, plan: Plan) -> type[msgspec.Struct]:
        fields = [(f"f{index}", Any, msgspec.UNSET) for index, _ in enumerate(plan.fields)]
        keys = {f"f{index}": self._writer.key(field) for index, field in enumerate(plan.fields)}
        return msgspec.defstruct(plan.message.name, fields, rename=keys, gc=False)

    def _type_of_field(self, function: str, field: Field) -> Any:
        held: Any = self._type(function, field)
        if field.key is not None:
            # A key that is no text is a text in JSON; msgspec reads integers, and not booleans.
            key: Any = str if field.key in {Kind.STRING, Kind.BOOL} else int
            return dict[key, held] | None  # made from data
        if field.repeated:
            return list[held] | None
        return held if held in (None, Any) else held | None

    def _type(self, function: str, field: Field) -> Any:
        element = field.element
        if element.kind is Kind.MESSAGE:
            below = self._writer.function_of(function, field)
            return self.of(below, element.child.full_name)
        if element.enum is not None and element.kind is Kind.ENUM:
            # Only names that are there: protobuf 6.33 dies of half a surrogate pair in a name.
            return Literal[tuple(element.enum.values_by_name)] | int
        if element.kind is Kind.WRAPPER:
            return _TYPES[element.wrapped.kind]
        return _TYPES[element.kind]


def _make_dict(plan: Plan) -> Any:
    return TypedDict(plan.message.name, {}, total=False)  # type: ignore[operator]  # made from data
