"""Writes the source of the functions that put what msgspec has parsed into a message.

`build` sets field by field what JSON writes in another way than protobuf: a constructor would want
a dict for each time and each wrapper, and take longer to read those than it takes to set a field.
"""

from __future__ import annotations

import keyword

from interlaced.codecs.transcode_plan import Element, Field, Kind, Plan

__all__ = ["DYNAMIC", "LONGS", "ONE_TIME", "PLAIN_KINDS", "Builder", "block", "child_of"]

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
"""What protobuf takes as msgspec parsed it."""

LONGS = frozenset({Kind.INT64, Kind.UINT64})
DYNAMIC = frozenset({Kind.STRUCT, Kind.VALUE, Kind.LIST})
_MANY_LONGS = 3
"""So many single fields of 64 bits are faster converted as a whole."""


class Builder:
    """Writes the lines of `build`; `index` has the number of each type by name.

    A list of a type that is not in `built` is made by constructors, from objects as `read` has
    left them, or as they were parsed for a type in `untouched`. `called` collects the functions
    that the lines call, with the names of their types.
    """

    def __init__(self, index: dict[str, int], built: set[str], untouched: set[str]) -> None:
        self._index = index
        self._built = built
        self._untouched = untouched
        self.called: list[tuple[str, str]] = []

    def write(self, plan: Plan) -> list[str]:
        """The lines that set the fields of m from d, and make n the number of keys and times."""
        taken = {field.name: f"d.f{index}" for index, field in enumerate(plan.fields)}
        together = _find_longs(plan)
        # Most fields of most messages are there: the absent ones are taken off.
        lines = [f"n = {len(plan.fields)}"]
        if together:
            lines += _put_longs(together, [taken[field.name] for field in together])
        for field in plan.fields:
            if field not in together:
                lines += self._field(plan, field, taken[field.name])
        return lines

    def function_of(self, field: Field) -> str:
        """What reads the messages in a field of a type that is built: "build" or "read"."""
        return "read" if field.repeated and child_of(field.element) not in self._built else "build"

    def _field(self, plan: Plan, field: Field, taken: str) -> list[str]:
        kind = field.element.kind
        absent = f"if (v := {taken}) is UNSET: n -= 1"
        if kind is Kind.ANY:
            return [absent, "else: raise CodecError('an Any is for the careful reader')"]
        lines = [*_count_times(field), *self._put(plan, field)]
        if kind in {Kind.NULL, Kind.VALUE} and not field.repeated and field.key is None:
            return [absent, *block("else:", lines)]
        return [absent, *block("elif v is not None:", lines)]

    def _put(self, plan: Plan, field: Field) -> list[str]:
        """The lines that put v, the field, into m."""
        to, element = _attribute(field), field.element
        if field.key is not None:
            return self._put_map(field, to)
        if field.repeated:
            return self._put_list(element, to)
        if element.message is None:
            return [_assign(field, _convert(element, "v"))]
        lines = self._fill(element, to, "v")
        if element.kind is Kind.MESSAGE:
            # An empty object sets no field, and is a message all the same.
            has = f"has{self._index[plan.message.full_name]}(m, {field.name!r})"
            lines.append(f"if not {has}: {to}.SetInParent()")
        return lines

    def _put_list(self, element: Element, to: str) -> list[str]:
        if element.kind in LONGS:
            return [f"{to}.extend(longs(v))"]
        if element.message is None:
            item = _convert(element, "x")
            return [f"{to}.extend({'v' if item == 'x' else f'[{item} for x in v]'})"]
        child = child_of(element)
        if child and child not in self._built:
            lines = [*self.count_read(element, "x"), "add(**x)"]
        else:
            lines = self._fill(element, "add()", "x")
        return [f"add = {to}.add", *block("for x in v:", lines)]

    def _put_map(self, field: Field, to: str) -> list[str]:
        key = "boolean(k)" if field.key is Kind.BOOL else "k"
        head = ["n += len(v)", f"w = {to}"]
        if field.element.kind in LONGS:
            return [*head, f"for k, x in zip(v, longs([*v.values()])): w[{key}] = x"]
        if field.element.message is None:
            item = _convert(field.element, "x")
            return [*head, f"for k, x in v.items(): w[{key}] = {item}"]
        lines = self._fill(field.element, f"w[{key}]", "x")
        return [*head, *block("for k, x in v.items():", lines)]

    def _fill(self, element: Element, message: str, value: str) -> list[str]:
        """The lines that fill the message of the expression `message`."""
        kind = element.kind
        if kind is Kind.WRAPPER:
            return [f"{message}.value = {_convert(element.wrapped, value)}"]
        if kind is Kind.MESSAGE:
            return [f"n += {self._call('build', element)}({message}, {value}, left - 1)"]
        if kind in {Kind.TIMESTAMP, Kind.DURATION}:
            return [f"u = {message}", f"u.seconds, u.nanos = {kind}({value})"]
        lines = [f"u = {message}", "u.SetInParent()"]
        if kind is Kind.FIELD_MASK:
            return [*lines, f"u.paths.extend({kind}({value})['paths'])"]
        return [f"n += keys({value})", *lines, f"u.MergeFromString({kind}({value}))"]

    def _call(self, function: str, element: Element) -> str:
        name = child_of(element)
        self.called.append((function, name))
        return f"{function}{self._index[name]}"

    def count_read(self, element: Element, value: str) -> list[str]:
        """The line that makes an object ready for its constructor, and counts its keys."""
        if child_of(element) in self._untouched:
            return [f"n += len({value})"]
        return [f"n += {self._call('read', element)}({value}, left - 1)"]


def child_of(element: Element) -> str:
    """The name of the type of a plain message, or empty."""
    return str(element.child.full_name) if element.kind is Kind.MESSAGE else ""


def _count_times(field: Field) -> list[str]:
    """Adds the times in v, the field, to n."""
    if field.element.kind is not Kind.TIMESTAMP:
        return []
    single = not field.repeated and field.key is None
    return [f"n += {ONE_TIME}" if single else f"n += len(v) * {ONE_TIME}"]


def _find_longs(plan: Plan) -> list[Field]:
    """The fields of 64 bits that are converted as a whole: single ones, and a list behind them."""
    longs = [field for field in plan.fields if field.element.kind in LONGS and field.key is None]
    single = [field for field in longs if not field.repeated and _is_name(field)]
    if len(single) < _MANY_LONGS:
        return []
    return [*single, *[field for field in longs if field.repeated][:1]]


def _put_longs(fields: list[Field], taken: list[str]) -> list[str]:
    """Converts them as a whole if no single one is missing; a list is the last of them."""
    places = [_attribute(field) for field in fields]
    names = [f"x{index}" for index, _ in enumerate(fields)]
    lines = [f"{name} = {value}" for name, value in zip(names, taken, strict=True)]
    each: list[str] = []
    for name, place, field in zip(names, places, fields, strict=True):
        put = f"{place}.extend(longs({name}))" if field.repeated else f"{place} = long({name})"
        each += [f"    if {name} is UNSET: n -= 1", f"    elif {name} is not None: {put}"]
    behind: list[str] = []
    if fields[-1].repeated:
        name, place = names.pop(), places.pop()
        behind = [f"    if y: {place}.extend(y)", f"    elif {name} is UNSET: n -= 1"]
        whole = f"{', '.join(places)}, *y = longs([{', '.join(names)}, *({name} or ())])"
    else:
        whole = f"{', '.join(places)} = longs([{', '.join(names)}])"
    # Nothing at all and null are false; so is the number 0, which is no text anyway.
    return [*lines, f"if {' and '.join(names)}:", f"    {whole}", *behind, "else:", *each]


def _is_name(field: Field) -> bool:
    """Whether Python takes it as a name, as it is: it reads other letters than ASCII anew."""
    name = field.name
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def _attribute(field: Field) -> str:
    return f"m.{field.name}" if _is_name(field) else f"getattr(m, {field.name!r})"


def _assign(field: Field, value: str) -> str:
    if _is_name(field):
        return f"m.{field.name} = {value}"
    return f"setattr(m, {field.name!r}, {value})"


def block(head: str, body: list[str]) -> list[str]:
    """A head with its body, or nothing where the body is empty."""
    return [head, *(f"    {line}" for line in body)] if body else []


def _convert(element: Element, value: str) -> str:
    """The expression of what protobuf takes for a value that is no message."""
    if element.kind in PLAIN_KINDS:
        return value
    if element.kind is Kind.NULL:
        return "0"
    # A text is taken at once if it is spelled as that integer is.
    same = f"i if str(i := int({value})) == {value} else wide({value})"
    return f"({value} if {value}.__class__ is int else {same})"
