"""Writes the source of the functions that put what msgspec has parsed into a message.

They set field by field: a constructor would want a dict for each message, with the names of its
fields, and take longer to read those than it takes to set a field.
"""

from __future__ import annotations

import keyword

from interlaced.codecs.transcode_plan import Element, Field, Kind, Plan

__all__ = ["DYNAMIC", "LONGS", "ONE_TIME", "Builder", "block", "child_of"]

ONE_TIME = 2**40
"""What one Timestamp adds to a count of colons, besides its own: no text of JSON has so many."""

_LENGTH_FOLLOWS = 2
"""What the last three bits of a tag say where a length stands behind it."""
LONGS = frozenset({Kind.INT64, Kind.UINT64})
DYNAMIC = frozenset({Kind.STRUCT, Kind.VALUE, Kind.LIST})
_MOST_INLINED = 24
"""A message of more fields has a function of its own wherever it is held."""


class Builder:
    """Writes the lines of `build`; `plans` has the plan of each type by name.

    With `nulls` they look for null, and convert the texts of 64-bit integers. With `by_wire` they
    merge a list of times as a whole, in its wire form. `called` collects the names of the types
    whose functions the lines call.
    """

    def __init__(
        self, plans: dict[str, Plan], *, nulls: bool, by_wire: bool, suffix: str = ""
    ) -> None:
        self._plans = plans
        self._index = {name: index for index, name in enumerate(plans)}
        self._nulls = nulls
        self._by_wire = by_wire
        self.called: list[str] = []
        self._message, self._data, self._value = f"m{suffix}", f"d{suffix}", f"v{suffix}"
        self._held, self._map, self._add = f"u{suffix}", f"w{suffix}", f"add{suffix}"
        # What is inlined has variables of its own, and inlines nothing.
        inner = None if suffix else Builder(plans, nulls=nulls, by_wire=by_wire, suffix="1")
        self._inner = inner

    def write(self, plan: Plan) -> list[str]:
        """The lines that set the fields of m from d, and take those that are not there off n.

        Most fields of most messages are there, so n has been raised by the number of all; and it
        is raised further, by the keys and times within.
        """
        return [
            line
            for index, field in enumerate(plan.fields)
            for line in self._field(plan, field, f"{self._data}.f{index}")
        ]

    def _field(self, plan: Plan, field: Field, taken: str) -> list[str]:
        kind, value = field.element.kind, self._value
        absent = f"if ({value} := {taken}) is UNSET: n -= 1"
        if kind is Kind.ANY:
            return [absent, "else: raise CodecError('an Any is for the careful reader')"]
        lines = [*self._count_times(field), *self._put(plan, field)]
        single = not field.repeated and field.key is None
        if not self._nulls or (single and kind in {Kind.NULL, Kind.VALUE}):
            return [absent, *block("else:", lines)]
        return [absent, *block(f"elif {value} is not None:", lines)]

    def _count_times(self, field: Field) -> list[str]:
        """Adds the times in v, the field, to n."""
        if field.element.kind is not Kind.TIMESTAMP:
            return []
        single = not field.repeated and field.key is None
        one = ONE_TIME + 2
        return [f"n += {one}" if single else f"n += len({self._value}) * {one}"]

    def _put(self, plan: Plan, field: Field) -> list[str]:
        """The lines that put v, the field, into m."""
        to, element = _attribute(self._message, field), field.element
        if field.key is not None:
            return self._put_map(field, to)
        if field.repeated:
            lines = self._put_list(element, to)
            return self._put_times(plan, field, lines) if self._is_merged(element) else lines
        if element.message is None:
            return [_assign(self._message, field, self._convert(element, self._value))]
        if element.kind is not Kind.MESSAGE:
            return self._fill(element, to, self._value)
        # An empty object sets no field, and is a message all the same.
        has = f"has{self._index[plan.message.full_name]}({self._message}, {field.name!r})"
        held = self._held
        lines = [f"{held} = {to}", *self._build(element, held, self._value)]
        return [*lines, f"if not {has}: {held}.SetInParent()"]

    def _is_merged(self, element: Element) -> bool:
        return self._by_wire and element.kind is Kind.TIMESTAMP

    def _put_times(self, plan: Plan, field: Field, otherwise: list[str]) -> list[str]:
        """The lines for a list of times, and those for one with a time that is unusual."""
        tag = plan.message.fields_by_name[field.name].number << 3 | _LENGTH_FOLLOWS
        merge = f"{self._message}.MergeFromString(times({tag}, {self._value}))"
        return [f"try: {merge}", *block("except UnusualTime:", otherwise)]

    def _put_list(self, element: Element, to: str) -> list[str]:
        value = self._value
        if element.kind in LONGS and self._nulls:
            return [f"{to}.extend(longs({value}))"]
        if element.message is None:
            item = self._convert(element, "x")
            return [f"{to}.extend({value if item == 'x' else f'[{item} for x in {value}]'})"]
        lines = self._fill(element, f"{self._add}()", "x")
        return [f"{self._add} = {to}.add", *block(f"for x in {value}:", lines)]

    def _put_map(self, field: Field, to: str) -> list[str]:
        value = self._value
        place = f"{self._map}[{'boolean(k)' if field.key is Kind.BOOL else 'k'}]"
        head = [f"n += len({value})", f"{self._map} = {to}"]
        if field.element.kind in LONGS and self._nulls:
            whole = f"zip({value}, longs([*{value}.values()]))"
            return [*head, f"for k, x in {whole}: {place} = x"]
        if field.element.message is None:
            item = self._convert(field.element, "x")
            return [*head, f"for k, x in {value}.items(): {place} = {item}"]
        lines = self._fill(field.element, place, "x")
        return [*head, *block(f"for k, x in {value}.items():", lines)]

    def _fill(self, element: Element, message: str, value: str) -> list[str]:
        """The lines that fill the message of the expression `message`."""
        kind, held = element.kind, self._held
        if kind is Kind.WRAPPER:
            return [f"{message}.value = {self._convert(element.wrapped, value)}"]
        if kind is Kind.MESSAGE:
            return self._build(element, message, value)
        lines = [f"{held} = {message}"]
        if kind is Kind.TIMESTAMP:
            return [*lines, *_read_moment(held, value)]
        if kind is Kind.DURATION:
            return [*lines, f"{held}.seconds, {held}.nanos = {kind}({value})"]
        lines.append(f"{held}.SetInParent()")
        if kind is Kind.FIELD_MASK:
            return [*lines, f"{held}.paths.extend({kind}({value})['paths'])"]
        return [f"n += keys({value})", *lines, f"{held}.MergeFromString({kind}({value}))"]

    def _build(self, element: Element, message: str, value: str) -> list[str]:
        """The lines that fill a plain message."""
        name = child_of(element)
        plan, inner = self._plans[name], self._inner
        if inner is None or not _is_leaf(plan):
            self.called.append(name)
            return [f"n += build{self._index[name]}({message}, {value}, left - 1)"]
        return inner.inline(plan, message, value)

    def inline(self, plan: Plan, message: str, value: str) -> list[str]:
        """The lines of `write` for other expressions, where a call would cost more than they do."""
        lines = [f"n += {len(plan.fields)}"] if plan.fields else []
        return [
            *lines,
            f"{self._message} = {message}",
            f"{self._data} = {value}",
            *self.write(plan),
        ]

    def _convert(self, element: Element, value: str) -> str:
        """The expression of what protobuf takes for a value that is no message."""
        if element.kind is Kind.NULL:
            return f"null({value})"
        if element.kind not in LONGS or not self._nulls:
            return value
        # A text is taken at once if it is spelled as that integer is.
        same = f"i if str(i := int({value})) == {value} else wide({value})"
        return f"({value} if {value}.__class__ is int else {same})"


def child_of(element: Element) -> str:
    """The name of the type of a plain message, or empty."""
    return str(element.child.full_name) if element.kind is Kind.MESSAGE else ""


def _is_leaf(plan: Plan) -> bool:
    """Whether it is built in the function of the message that holds it."""
    return (
        len(plan.fields) <= _MOST_INLINED
        and not plan.oneofs
        and all(field.element.kind is not Kind.MESSAGE for field in plan.fields)
    )


def _read_moment(message: str, text: str) -> list[str]:
    """The lines that read a time; the function is for one that is not in UTC."""
    fraction = f"millis[{text}[19:23]] + rests[z] if (z := {text}[23:]) else shorts[{text}[19:]]"
    return [
        "try:",
        f"    z = {fraction}",
        f"    {message}.seconds = hours[{text}[:14]] + clock[{text}[14:19]]",
        f"    if z: {message}.nanos = z",
        "except KeyError:",
        f"    {message}.seconds, {message}.nanos = {Kind.TIMESTAMP}({text})",
    ]


def _is_name(field: Field) -> bool:
    """Whether Python takes it as a name, as it is: it reads other letters than ASCII anew."""
    name = field.name
    return name.isidentifier() and name.isascii() and not keyword.iskeyword(name)


def _attribute(owner: str, field: Field) -> str:
    return f"{owner}.{field.name}" if _is_name(field) else f"getattr({owner}, {field.name!r})"


def _assign(owner: str, field: Field, value: str) -> str:
    if _is_name(field):
        return f"{owner}.{field.name} = {value}"
    return f"setattr({owner}, {field.name!r}, {value})"


def block(head: str, body: list[str]) -> list[str]:
    """A head with its body, or nothing where the body is empty."""
    return [head, *(f"    {line}" for line in body)] if body else []
