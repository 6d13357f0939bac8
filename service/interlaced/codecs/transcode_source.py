"""Writes the source of the functions that finish what msgspec has parsed.

`build` puts it into a message, and counts keys and times; `count` counts the keys of plain data.
"""

from __future__ import annotations

from interlaced.codecs.transcode_build import DYNAMIC, Builder, block, child_of
from interlaced.codecs.transcode_plan import Field, Kind, Plan

__all__ = ["SourceWriter"]

_SPARE = 3
"""Where fewer levels than this are left, the careful reader counts them."""


class SourceWriter:
    """Writes for the types in `reached`, with the JSON names or the original names of fields.

    Without `nulls` the functions expect no null, and 64-bit integers that are integers. With
    `by_wire` they merge lists of times in their wire form.
    """

    def __init__(
        self,
        reached: list[Plan],
        *,
        original_names: bool,
        nulls: bool = True,
        by_wire: bool = False,
    ) -> None:
        self._plans = {str(plan.message.full_name): plan for plan in reached}
        self._original = original_names
        self._index = {name: index for index, name in enumerate(self._plans)}
        self._builder = Builder(self._plans, nulls=nulls, by_wire=by_wire)

    def write(self) -> str:
        """The source of build0 and of count0, for the first type, and of what they call."""
        lines = [line for plan in self._plans.values() for line in self._count(plan)]
        called = self._builder.called
        called.append(next(iter(self._plans)))
        done: set[str] = set()
        while called:
            name = called.pop()
            if name not in done:
                done.add(name)
                lines += self._build(self._plans[name])
        return "\n".join(lines)

    def key(self, field: Field) -> str:
        """The key of a field in JSON."""
        return field.name if self._original else field.json_name

    def _build(self, plan: Plan) -> list[str]:
        body = [*_check(plan), f"n = {len(plan.fields)}", *self._builder.write(plan), "return n"]
        return block(f"def build{self._index[plan.message.full_name]}(m, d, left):", body)

    def _count(self, plan: Plan) -> list[str]:
        body = ["n = len(d)"]
        for field in plan.fields:
            below = self._count_below(field)
            body += block(f"if (v := d.get({self.key(field)!r})) is not None:", below)
        index = self._index[plan.message.full_name]
        return block(f"def count{index}(d):", [*body, "return n"])

    def _count_below(self, field: Field) -> list[str]:
        """Lines that add the keys below v, the field of plain data, to n."""
        lines = ["n += len(v)"] if field.key is not None else []
        many = "v.values()" if field.key is not None else "v"
        single = not field.repeated and field.key is None
        child = child_of(field.element)
        if child:
            below = any(map(_holds_keys, self._plans[child].fields))
            count = f"count{self._index[child]}" if below else "len"
        elif field.element.kind in DYNAMIC:
            count = "keys"
        else:
            return lines
        return [*lines, f"n += {count}(v)" if single else f"n += sum(map({count}, {many}))"]


def _holds_keys(field: Field) -> bool:
    return field.key is not None or field.element.kind in {Kind.MESSAGE, *DYNAMIC}


def _check(plan: Plan) -> list[str]:
    """Lines that raise for what the careful reader must look at."""
    lines: list[str] = []
    if any(field.element.message is not None for field in plan.fields):
        lines = [f"if left < {_SPARE}: raise CodecError('deep')"]
    places = {field.name: f"d.f{index}" for index, field in enumerate(plan.fields)}
    for members in plan.oneofs:
        held = " + ".join(f"({_is_held(field, places[field.name])})" for field in members)
        lines.append(f"if {held} > 1: raise CodecError('two fields of one oneof are set')")
    return lines


def _is_held(field: Field, taken: str) -> str:
    """The expression of whether a member of a oneof is there; null is a value of some."""
    if field.element.kind in {Kind.NULL, Kind.VALUE}:
        return f"{taken} is not UNSET"
    return f"{taken} is not UNSET and {taken} is not None"
