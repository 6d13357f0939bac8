"""Writes the source of the functions that finish what msgspec has parsed for a constructor.

`read` renames and converts in place and counts keys and times; `fill` puts maps of scalars into the
finished message; `count` counts the keys of plain data of the same shape.
"""

from __future__ import annotations

import keyword

from interlaced.codecs.transcode_plan import Element, Field, Kind, Plan

__all__ = ["ONE_TIME", "PLAIN_KINDS", "SourceWriter"]

ONE_TIME = 2**40
"""What one Timestamp adds to a count of keys: a text of JSON has less keys than that."""

PLAIN_KINDS = frozenset(
    {
        Kind.INT32,
        Kind.UINT32,
        Kind.DOUBLE,
        Kind.FLOAT,
        Kind.BOOL,
        Kind.STRING,
        Kind.BYTES,
        Kind.ENUM,
    }
)
"""What the constructor takes as msgspec parsed it."""

_DYNAMIC = frozenset({Kind.STRUCT, Kind.VALUE, Kind.LIST})
_LONGS = frozenset({Kind.INT64, Kind.UINT64})
_MANY_LONGS = 3
"""So many single fields of 64 bits are faster converted as a whole."""
_SPARE = 3
"""Where fewer levels than this are left, the careful reader counts them."""


class SourceWriter:
    """Writes for the types in `reached`, with the JSON names or the original names of fields."""

    def __init__(self, reached: list[Plan], *, original_names: bool) -> None:
        self._reached = reached
        self._original = original_names
        self._index = {plan.message.full_name: index for index, plan in enumerate(reached)}
        self._untouched = {self._name(plan) for plan in reached if self._is_untouched(plan)}
        self._loose = _find_loose(reached)
        self._carriers = self._find_carriers()

    def write(self) -> str:
        """The source of read0, fill0 and count0 for the first type, and of what they call."""
        lines: list[str] = []
        for plan in self._reached:
            lines += [*self._read(plan), *self._fill(plan), *self._count(plan)]
        return "\n".join(lines)

    def key(self, field: Field) -> str:
        """The key of a field in JSON."""
        return field.name if self._original else field.json_name

    @staticmethod
    def _name(plan: Plan) -> str:
        return str(plan.message.full_name)

    def _is_untouched(self, plan: Plan) -> bool:
        """Whether the constructor takes such an object as it was parsed."""
        return not plan.oneofs and all(
            field.element.kind in PLAIN_KINDS
            and field.key is None
            and self.key(field) == field.name
            for field in plan.fields
        )

    def _late(self, plan: Plan) -> list[Field]:
        """The maps that are filled into the finished message.

        Protobuf's constructor would fill a map of scalars in Python, at several times the cost.
        A message in a map has no place by which to find it again: its maps stay with it.
        """
        if self._name(plan) in self._loose:
            return []
        return [
            field
            for field in plan.fields
            if field.key is not None and field.element.message is None
        ]

    def _find_carriers(self) -> set[str]:
        """The types with such maps, and those that hold them."""
        carriers = {self._name(plan) for plan in self._reached if self._late(plan)}
        grown = True
        while grown:
            more = {
                self._name(plan)
                for plan in self._reached
                if any(_child(field) in carriers for field in plan.fields if field.key is None)
            }
            grown = not more <= carriers
            carriers |= more
        return carriers - self._loose

    def _read(self, plan: Plan) -> list[str]:
        body = ["n = len(d)"]
        if any(field.element.message is not None for field in plan.fields):
            body.insert(0, f"if left < {_SPARE}: raise CodecError('deep')")
        for members in plan.oneofs:
            held = " + ".join(f"({self._is_set(field)})" for field in members)
            body.append(f"if {held} > 1: raise CodecError('two fields of one oneof are set')")
        late = self._late(plan)
        for field in late:
            body.append(f"later.append(v := d.pop({self.key(field)!r}, None))")
            body.append("if v is not None: n += len(v)")
        together = _find_longs(plan)
        if together:
            body += self._read_longs(together)
        for field in plan.fields:
            if field not in late and field not in together:
                body += self._read_field(field)
        return _define(f"read{self._index[self._name(plan)]}(d, left, later)", [*body, "return n"])

    def _read_longs(self, fields: list[Field]) -> list[str]:
        """Converts them as a whole if all are there; a list is the last of them."""
        single = [field for field in fields if not field.repeated]
        places = [f"d[{field.name!r}]" for field in single]
        items = [f"d.pop({self.key(field)!r}, None)" for field in single]
        names = ", ".join(repr(field.name) for field in single)
        several: list[str] = []
        if fields[-1].repeated:
            key, name = self.key(fields[-1]), fields[-1].name
            items.append(f"*(d.pop({key!r}, None) or ())")
            places.append(f"*d[{name!r}]")
            several = [f"    d[{name!r}] = longs(x[{len(single)}:])"]
        return [
            f"x = [{', '.join(items)}]",
            f"if None not in x: {', '.join(places)} = longs(x)",
            "else:",
            *several,
            f"    for k, v in zip(({names}), x):",
            "        if v is not None: d[k] = long(v)",
        ]

    def _is_set(self, field: Field) -> str:
        key = self.key(field)
        if field.element.kind in {Kind.NULL, Kind.VALUE}:
            return f"{key!r} in d"
        return f"d.get({key!r}) is not None"

    def _read_field(self, field: Field) -> list[str]:
        key, name, kind = self.key(field), field.name, field.element.kind
        if kind is Kind.ANY:
            return [f"if {key!r} in d: raise CodecError('an Any is for the careful reader')"]
        counts = [*self._times(field), *self._below(field, "n += read{}({}, left - 1, later)")]
        if kind in {Kind.NULL, Kind.VALUE} and not field.repeated and field.key is None:
            made = f"d[{name!r}] = {_convert(field.element, 'v')}"
            return _block(f"if {key!r} in d:", [f"v = d.pop({key!r})", *counts, made])
        changed = _change(field)
        if changed or key != name:
            counts.append(f"d[{name!r}] = {changed or 'v'}")
        taken = f"d.pop({key!r}, None)" if key != name else f"d.get({key!r})"
        return _block(f"if (v := {taken}) is not None:", counts)

    @staticmethod
    def _times(field: Field) -> list[str]:
        """Adds the times in v, the field, to n."""
        if field.element.kind is not Kind.TIMESTAMP:
            return []
        single = not field.repeated and field.key is None
        return [f"n += {ONE_TIME}" if single else f"n += len(v) * {ONE_TIME}"]

    def _below(self, field: Field, call: str) -> list[str]:
        """Lines that add the keys below v, the field, to n."""
        lines = ["n += len(v)"] if field.key is not None else []
        many = "v.values()" if field.key is not None else "v"
        single = not field.repeated and field.key is None
        child = _child(field)
        if child in self._untouched:
            return [*lines, "n += len(v)" if single else f"n += sum(map(len, {many}))"]
        if child:
            index = self._index[child]
            if single:
                return [*lines, call.format(index, "v")]
            return [*lines, f"for x in {many}: {call.format(index, 'x')}"]
        if field.element.kind in _DYNAMIC:
            return [*lines, "n += keys(v)" if single else f"n += sum(map(keys, {many}))"]
        return lines

    def _fill(self, plan: Plan) -> list[str]:
        if self._name(plan) not in self._carriers:
            return []
        body: list[str] = []
        for field in self._late(plan):
            key = "boolean(k)" if field.key is Kind.BOOL else "k"
            item = _convert(field.element, "x")
            put = f"for k, x in v.items(): w[{key}] = {item}"
            if field.element.kind in _LONGS:
                put = f"for k, x in zip(v, longs([*v.values()])): w[{key}] = x"
            taken = _block("if (v := next(later)):", [f"w = {_attribute(field)}", put])
            body += taken
        for field in plan.fields:
            child = _child(field)
            if field.key is not None or child not in self._carriers:
                continue
            fill = f"fill{self._index[child]}"
            if field.repeated:
                body.append(f"for x in {_attribute(field)}: {fill}(x, later)")
            else:
                body.append(f"if m.HasField({field.name!r}): {fill}({_attribute(field)}, later)")
        return _define(f"fill{self._index[self._name(plan)]}(m, later)", body)

    def _count(self, plan: Plan) -> list[str]:
        body = ["n = len(d)"]
        for field in plan.fields:
            below = self._below(field, "n += count{}({})")
            body += _block(f"if (v := d.get({self.key(field)!r})) is not None:", below)
        return _define(f"count{self._index[self._name(plan)]}(d)", [*body, "return n"])


def _find_loose(reached: list[Plan]) -> set[str]:
    """The types that lie in a map somewhere, and all below them."""
    children = {plan.message.full_name: set(map(_child, plan.fields)) for plan in reached}
    waiting = [_child(field) for plan in reached for field in plan.fields if field.key is not None]
    loose: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name and name not in loose:
            loose.add(name)
            waiting += children[name]
    return loose


def _child(field: Field) -> str:
    """The name of the type of message that the field holds, or empty."""
    return field.element.child.full_name if field.element.kind is Kind.MESSAGE else ""


def _find_longs(plan: Plan) -> list[Field]:
    """The fields of 64 bits that are converted as a whole: single ones, and a list behind them."""
    longs = [field for field in plan.fields if field.element.kind in _LONGS and field.key is None]
    single = [field for field in longs if not field.repeated]
    if len(single) < _MANY_LONGS:
        return []
    return [*single, *[field for field in longs if field.repeated][:1]]


def _attribute(field: Field) -> str:
    return f"getattr(m, {field.name!r})" if keyword.iskeyword(field.name) else f"m.{field.name}"


def _define(head: str, body: list[str]) -> list[str]:
    return _block(f"def {head}:", body)


def _block(head: str, body: list[str]) -> list[str]:
    """A head with its body, or nothing where the body is empty."""
    return [head, *(f"    {line}" for line in body)] if body else []


def _change(field: Field) -> str:
    """The expression of v that the constructor takes; empty where that is v itself."""
    item = _convert(field.element, "x")
    if field.key is not None:
        key = "boolean(k)" if field.key is Kind.BOOL else "k"
        return "" if (key, item) == ("k", "x") else f"{{{key}: {item} for k, x in v.items()}}"
    if field.repeated and field.element.kind in _LONGS:
        return "longs(v)"
    if field.repeated:
        return "" if item == "x" else f"[{item} for x in v]"
    whole = _convert(field.element, "v")
    return "" if whole == "v" else whole


def _convert(element: Element, value: str) -> str:
    kind = element.kind
    if kind in PLAIN_KINDS or kind is Kind.MESSAGE:
        return value
    if kind in _LONGS:
        # A text is taken at once if it is spelled as that integer is.
        same = f"i if str(i := int({value})) == {value} else wide({value})"
        return f"({value} if {value}.__class__ is int else {same})"
    if kind is Kind.NULL:
        return "0"
    if kind is Kind.WRAPPER:
        return f"{{'value': {_convert(element.wrapped, value)}}}"
    return f"{kind}({value})"
