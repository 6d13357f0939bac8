"""Writes the source of the functions that finish what msgspec has parsed.

`read` renames the keys of an object in place, for a constructor; `build` puts what a constructor
does not take into a message; both count keys and times. `count` counts the keys of plain data.
"""

from __future__ import annotations

from collections.abc import Callable

from interlaced.codecs.transcode_build import (
    DYNAMIC,
    PLAIN_KINDS,
    Builder,
    block,
    child_of,
)
from interlaced.codecs.transcode_plan import Field, Kind, Plan

__all__ = ["SourceWriter"]

_SPARE = 3
"""Where fewer levels than this are left, the careful reader counts them."""


class SourceWriter:
    """Writes for the types in `reached`, with the JSON names or the original names of fields."""

    def __init__(self, reached: list[Plan], *, original_names: bool) -> None:
        self._plans = {_name(plan): plan for plan in reached}
        self._original = original_names
        self._index = {name: index for index, name in enumerate(self._plans)}
        self._untouched = {name for name, plan in self._plans.items() if self._is_untouched(plan)}
        self._built = _find_built(reached)
        self._builder = Builder(self._index, self._built, self._untouched)
        self.root = "build" if _name(reached[0]) in self._built else "read"
        """The function of the first type."""

    def write(self) -> str:
        """The source of build0 or read0 and of count0, for the first type, and what they call."""
        lines = [line for plan in self._plans.values() for line in self._count(plan)]
        called = self._builder.called
        called.append((self.root, next(iter(self._plans))))
        done: set[tuple[str, str]] = set()
        while called:
            function, name = call = called.pop()
            if call not in done:
                done.add(call)
                plan = self._plans[name]
                lines += self._build(plan) if function == "build" else self._read(plan)
        return "\n".join(lines)

    def key(self, field: Field) -> str:
        """The key of a field in JSON."""
        return field.name if self._original else field.json_name

    def function_of(self, caller: str, field: Field) -> str:
        """What reads the messages in a field of a type that `caller` reads: "build" or "read"."""
        return "read" if caller == "read" else self._builder.function_of(field)

    def _is_untouched(self, plan: Plan) -> bool:
        """Whether the constructor takes such an object as it was parsed."""
        return not plan.oneofs and all(
            field.element.kind in PLAIN_KINDS
            and field.key is None
            and self.key(field) == field.name
            for field in plan.fields
        )

    def _build(self, plan: Plan) -> list[str]:
        index, fields = self._index[_name(plan)], plan.fields
        places = {field.name: f"d.f{number}" for number, field in enumerate(fields)}
        body = [*self._check(plan, lambda field: _is_held(field, places[field.name]))]
        body += self._builder.write(plan)
        return block(f"def build{index}(m, d, left):", [*body, "return n"])

    def _read(self, plan: Plan) -> list[str]:
        body = [*self._check(plan, lambda field: f"d.get({self.key(field)!r}) is not None")]
        body.append("n = len(d)")
        for field in plan.fields:
            body += self._read_field(field)
        return block(f"def read{self._index[_name(plan)]}(d, left):", [*body, "return n"])

    def _check(self, plan: Plan, is_set: Callable[[Field], str]) -> list[str]:
        """Lines that raise for what the careful reader must look at."""
        lines: list[str] = []
        if any(field.element.message is not None for field in plan.fields):
            lines = [f"if left < {_SPARE}: raise CodecError('deep')"]
        for members in plan.oneofs:
            held = " + ".join(f"({is_set(field)})" for field in members)
            lines.append(f"if {held} > 1: raise CodecError('two fields of one oneof are set')")
        return lines

    def _read_field(self, field: Field) -> list[str]:
        key, name = self.key(field), field.name
        lines: list[str] = []
        if child_of(field.element):
            item = "x" if field.repeated else "v"
            lines = self._builder.count_read(field.element, item)
            if field.repeated and child_of(field.element) in self._untouched:
                lines = ["n += sum(map(len, v))"]
            elif field.repeated:
                lines = block("for x in v:", lines)
        if key == name:
            return block(f"if (v := d.get({key!r})) is not None:", lines)
        lines.append(f"d[{name!r}] = v")
        return block(f"if (v := d.pop({key!r}, None)) is not None:", lines)

    def _count(self, plan: Plan) -> list[str]:
        body = ["n = len(d)"]
        for field in plan.fields:
            below = self._count_below(field)
            body += block(f"if (v := d.get({self.key(field)!r})) is not None:", below)
        return block(f"def count{self._index[_name(plan)]}(d):", [*body, "return n"])

    def _count_below(self, field: Field) -> list[str]:
        """Lines that add the keys below v, the field of plain data, to n."""
        lines = ["n += len(v)"] if field.key is not None else []
        many = "v.values()" if field.key is not None else "v"
        single = not field.repeated and field.key is None
        child = child_of(field.element)
        if child:
            count = "len" if child in self._untouched else f"count{self._index[child]}"
        elif field.element.kind in DYNAMIC:
            count = "keys"
        else:
            return lines
        return [*lines, f"n += {count}(v)" if single else f"n += sum(map({count}, {many}))"]


def _name(plan: Plan) -> str:
    return str(plan.message.full_name)


def _is_held(field: Field, taken: str) -> str:
    """The expression of whether a member of a oneof is there; null is a value of some."""
    if field.element.kind in {Kind.NULL, Kind.VALUE}:
        return f"{taken} is not UNSET"
    return f"{taken} is not UNSET and {taken} is not None"


def _find_built(reached: list[Plan]) -> set[str]:
    """The types with a field that no constructor takes as it was parsed, and those that hold them.

    Such is a map, too: a constructor would fill it in Python, at several times the cost.
    """
    built = {
        _name(plan)
        for plan in reached
        if any(
            field.key is not None or field.element.kind not in PLAIN_KINDS | {Kind.MESSAGE}
            for field in plan.fields
        )
    }
    grown = True
    while grown:
        more = {
            _name(plan)
            for plan in reached
            if any(child_of(field.element) in built for field in plan.fields)
        }
        grown = not more <= built
        built |= more
    return built
