"""msgspec types of the schema: typed, and typed with the rules of the validated tier."""

from __future__ import annotations

from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Literal

import msgspec

from benchmarks.codecs.rules import FLOAT_LIMIT, INT_LIMIT, MAX_BYTES, MAX_ITEMS, MAX_TEXT
from benchmarks.codecs.schema import Field, spec_of

__all__ = ["struct_of"]

_BARE: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "enum": int,
}
_RULED: dict[str, Any] = {
    "int": Annotated[int, msgspec.Meta(ge=-INT_LIMIT, le=INT_LIMIT)],
    "float": Annotated[float, msgspec.Meta(ge=-FLOAT_LIMIT, le=FLOAT_LIMIT)],
    "str": Annotated[str, msgspec.Meta(max_length=MAX_TEXT)],
    "bool": bool,
    "bytes": Annotated[bytes, msgspec.Meta(max_length=MAX_BYTES)],
}


@cache
def struct_of(name: str, *, ruled: bool = False) -> type[msgspec.Struct]:
    """Return the struct of the message `name`; with `ruled`, one that checks the rules too.

    The structs are not tracked by the garbage collector, as msgspec advises for trees of data.
    """
    spec = spec_of(name)
    fields = [_annotated(field, name, ruled=ruled) for field in spec.fields]
    made = msgspec.defstruct(
        _title(name, ruled=ruled),
        fields,
        module=__name__,
        gc=False,
        omit_defaults=any(field.optional for field in spec.fields),
    )
    # A message that holds itself is named by text, which msgspec looks up here.
    globals()[made.__name__] = made
    return made


def _title(name: str, *, ruled: bool) -> str:
    return f"Ruled{name}" if ruled else name


def _annotated(field: Field, owner: str, *, ruled: bool) -> Any:
    one = _scalar(field, owner, ruled=ruled)
    many = Annotated[Any, msgspec.Meta(max_length=MAX_ITEMS)] if ruled else None
    if field.keyed:
        key = _RULED["str"] if ruled else str
        return field.name, _bounded(GenericAlias(dict, (key, one)), many)
    if field.repeated:
        return field.name, _bounded(GenericAlias(list, (one,)), many)
    return (field.name, one | None, None) if field.optional else (field.name, one)


def _bounded(kind: Any, bound: Any) -> Any:
    return kind if bound is None else Annotated[kind, bound.__metadata__[0]]


def _scalar(field: Field, owner: str, *, ruled: bool) -> Any:
    if field.message:
        itself = field.message == owner
        return _title(owner, ruled=ruled) if itself else struct_of(field.message, ruled=ruled)
    if ruled and field.kind == "enum":
        return Literal[field.numbers]
    return _RULED[field.kind] if ruled else _BARE[field.kind]
