"""Compiles the printer of one message type: a generated function reads each field once into a
record that msgspec writes, and leaves out what stands at its default.
"""

from __future__ import annotations

import keyword
import math
from collections.abc import Callable
from typing import Any

import msgspec
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor
from google.protobuf.message import Message

from interlaced.codecs.codec import CodecError, Value
from interlaced.codecs.struct_values import print_list, print_struct, print_value
from interlaced.codecs.transcode_plan import Element, Field, Kind, Plan, Plans
from interlaced.codecs.wellknown import (
    CLOCK_TEXTS,
    FRACTION_HEADS,
    FRACTION_TAILS,
    HOUR_TEXTS,
    SHORT_FRACTIONS,
    SHORT_SPANS,
    THOUSAND_TEXTS,
    print_duration,
    print_field_mask,
    print_float,
)

__all__ = ["Printer"]

_DEFAULTS: dict[Kind, Value] = {
    Kind.INT32: 0,
    Kind.UINT32: 0,
    Kind.BOOL: False,
    Kind.STRING: "",
    Kind.BYTES: b"",
}
"""Protobuf hands these out as the same objects every time, and msgspec leaves out a field that is
its default's very object."""

_CONVERSIONS: dict[Kind, str] = {
    Kind.INT32: "{first}",
    Kind.UINT32: "{first}",
    Kind.BOOL: "{first}",
    Kind.STRING: "{first}",
    Kind.BYTES: "{first}",
    # By their repr, a tenth cheaper than their str, which is the same.
    Kind.INT64: "f'{{{first}!r}}'",
    Kind.UINT64: "f'{{{first}!r}}'",
    Kind.DOUBLE: "({again} if {first} - {again} == 0.0 else strange({again}))",
    Kind.FLOAT: "(short({again}) if {first} - {again} == 0.0 else strange({again}))",
    Kind.NULL: "None",
    Kind.DURATION: "(f'{{a}}{{z}}' if 0 <= (a := {first}.seconds) <= 10**11"
    " and (z := short_span({again}.nanos)) else duration({again}))",
    Kind.FIELD_MASK: "field_mask({first})",
    Kind.STRUCT: "struct({first})",
    Kind.VALUE: "value({first})",
    Kind.LIST: "list_value({first})",
    Kind.ANY: "any_value({first})",
}
"""Expressions of a value; `first` is what Python evaluates before it comes to `again`."""

_MANY_OPTIONAL = 12
"""From so many fields with presence on, asking for all that are set beats asking for each."""


class Printer:
    """The compiled printer of one message type; `print_any` turns an Any into plain data."""

    def __init__(
        self, message: Descriptor, plans: Plans, print_any: Callable[[Message], Value]
    ) -> None:
        self._globals: dict[str, Any] = {
            "UNSET": msgspec.UNSET,
            "any_value": print_any,
            "check_extensions": _check_extensions,
            "duration": print_duration,
            "encode": msgspec.json.Encoder().encode,
            "field_mask": print_field_mask,
            "isfinite": math.isfinite,
            "list_value": print_list,
            "raw": msgspec.Raw,
            "short": print_float,
            "strange": _print_strange,
            "struct": print_struct,
            "ALL": slice(None),
            "clock": CLOCK_TEXTS,
            "heads": FRACTION_HEADS,
            "tails": FRACTION_TAILS,
            "short_fraction": SHORT_FRACTIONS.get,
            "short_span": SHORT_SPANS.get,
            "thousand": THOUSAND_TEXTS,
            "hours": HOUR_TEXTS,
            "value": print_value,
            "zero": _print_zero,
        }
        self._enums: dict[str, str] = {}
        element = Element.of_message(message)
        reached = plans.reach(message) if element.kind is Kind.MESSAGE else []
        self._names = {plan.message.full_name: index for index, plan in enumerate(reached)}
        self._leaves = {plan.message.full_name: plan for plan in reached if _is_leaf(plan)}
        for index, plan in enumerate(reached):
            # As a function of the class: a message looks for a field of that name first.
            made: Any = message_factory.GetMessageClass(plan.message)
            self._globals[f"has{index}"] = made.HasField
            self._globals[f"Record{index}"] = _define_record(plan, f"Record{index}")
        lines = [line for plan in reached for line in self._compile(plan)]
        root = "root = print0" if reached else f"root = lambda m: {self._convert(element, 'm')}"
        self.source = "\n".join([*lines, root])
        """The generated functions, for whoever wants to look at them."""
        exec(self.source, self._globals)  # noqa: S102  # names are written with repr, and are ours
        self.print: Callable[[Message], Any] = self._globals["root"]
        """Returns what msgspec writes as the message's JSON."""

    def _compile(self, plan: Plan) -> list[str]:
        index = self._names[plan.message.full_name]
        if _is_listed(plan):
            return self._compile_listing(plan, index)
        first = ["check_extensions(m)"] if plan.message.is_extendable else []
        lines, record = self._compile_record(plan, "m", "r")
        return [f"def print{index}(m):", *_indent([*first, *lines, f"return {record}"])]

    def _compile_record(self, plan: Plan, owner: str, prefix: str) -> tuple[list[str], str]:
        """The lines that go before the expression of a message's record, and that expression.

        `owner` is the message; what the lines leave is in names that begin with `prefix`.
        """
        index = self._names[plan.message.full_name]
        lines: list[str] = []
        arguments: list[str] = []
        for number, field in enumerate(plan.fields):
            taken, place = _attribute(owner, field), f"{prefix}{number}"
            held = f"has{index}({owner}, {field.name!r})"
            leaf = self._leaf_of(field)
            if leaf is not None:
                # Here and not in a function of its own, for which each call would pay.
                below, record = self._compile_record(leaf, "c", "s")
                made = _indent([f"c = {taken}", *below, f"{place} = {record}"])
                lines += [f"if {held}:", *made, f"else: {place} = UNSET"]
            elif field.key is not None:
                lines += self._compile_map(field, taken, place)
            elif field.repeated and ":=" in (item := self._convert(field.element, "x")):
                # A comprehension would share these names with its function, and slow both down.
                lines += [f"{place} = []", f"for x in {taken}[ALL]: {place}.append({item})"]
            else:
                place = self._compile_field(field, taken, held)
            arguments.append(place)
        return lines, f"Record{index}({', '.join(arguments)})"

    def _leaf_of(self, field: Field) -> Plan | None:
        """The plan of a single message that holds no plain messages."""
        if field.element.kind is not Kind.MESSAGE or field.repeated or field.key is not None:
            return None
        return self._leaves.get(field.element.child.full_name)

    def _compile_map(self, field: Field, taken: str, place: str) -> list[str]:
        # A loop, since a comprehension would be one more call.
        key, item = _key_text(field), self._convert(field.element, "v[k]")
        made = [f"{place} = {{}}", f"for k in v: {place}[{key}] = {item}"]
        return [f"{place} = UNSET", f"if (v := {taken}):", *_indent(made)]

    def _compile_listing(self, plan: Plan, index: int) -> list[str]:
        """A printer that asks protobuf which fields are set."""
        numbers = plan.message.fields_by_name
        rows = [
            f"    {numbers[field.name].number}: ({field.json_name!r}, {self._lambda(field)}),"
            for field in plan.fields
        ]
        return [
            f"table{index} = {{",
            *rows,
            "}",
            f"def print{index}(m):",
            *(["    check_extensions(m)"] if plan.message.is_extendable else []),
            "    d = {}",
            "    for field, v in m.ListFields():",
            f"        name, convert = table{index}[field.number]",
            "        d[name] = convert(v) if convert else v",
            "    return d",
        ]

    def _lambda(self, field: Field) -> str:
        value = self._whole(field, "v")
        if field.repeated:
            return "lambda m: m[:]" if value == "v" else f"lambda m: (v := m[:]) and {value}"
        return "None" if value == "v" else f"lambda v: {value}"

    def _compile_field(self, field: Field, taken: str, held: str) -> str:
        """The expression of a field; `taken` is that of what is there, `held` of whether it is."""
        if field.repeated:
            return self._compile_list(field, taken)
        if field.presence:
            if field.element.kind is Kind.TIMESTAMP:
                # What is not 1970 need not be asked for: it is set.
                held = f"(a := (w := {taken}).seconds) or {held}"
                return f"({_timestamp('w', 'a')} if {held} else UNSET)"
            return f"({self._whole(field, taken)} if {held} else UNSET)"
        if field.element.kind in _DEFAULTS:
            return taken
        absent = "zero(v)" if field.element.kind in {Kind.DOUBLE, Kind.FLOAT} else "UNSET"
        return f"({self._whole(field, 'v')} if (v := {taken}) else {absent})"

    def _compile_list(self, field: Field, taken: str) -> str:
        # A slice costs half of what it takes to step through the field itself.
        whole = self._whole(field, "v")
        if whole == "v":
            return f"{taken}[ALL]"
        return f"({whole} if (v := {taken}) and (v := v[ALL]) else UNSET)"

    def _whole(self, field: Field, value: str) -> str:
        """The expression of everything that the field holds, as msgspec writes it.

        `value` is the list of what a repeated field holds.
        """
        if field.key is not None:
            item = self._convert(field.element, f"{value}[k]")
            return f"{{{_key_text(field)}: {item} for k in {value}}}"
        if not field.repeated:
            return self._convert(field.element, value)
        item, kind = self._convert(field.element, "x"), field.element.kind
        if item == "x":
            return value
        if kind in {Kind.INT64, Kind.UINT64}:
            # Texts made from the list of numbers as a whole.
            return f"""raw(b'["%b"]' % encode({value})[1:-1].replace(b',', b'","'))"""
        if kind is Kind.DOUBLE:
            return f"({value} if isfinite(sum({value})) else [{item} for x in {value}])"
        return f"[{item} for x in {value}]"

    def _convert(self, element: Element, value: str) -> str:
        """The expression of one value."""
        if element.kind is Kind.MESSAGE:
            return f"print{self._names[element.child.full_name]}({value})"
        if element.kind is Kind.WRAPPER:
            return self._convert(element.wrapped, f"{value}.value")
        kind = element.kind
        first, again = (value, value) if value.isidentifier() else (f"(w := {value})", "w")
        if element.enum is not None and kind is Kind.ENUM:
            return f"{self._enum(element.enum)}[{value}]"
        if kind is Kind.TIMESTAMP:
            return _timestamp(first, f"(a := {again}.seconds)")
        template = _CONVERSIONS[kind]
        return template.format(first=first if "again" in template else value, again=again)

    def _enum(self, kind: EnumDescriptor) -> str:
        name = self._enums.get(kind.full_name)
        if name is None:
            name = self._enums[kind.full_name] = f"enum{len(self._enums)}"
            # An alias has the number of another name; look-up by number gives the first.
            by_number = kind.values_by_number
            names = {number: by_number[number].name for number in by_number}
            self._globals[name] = _Names(names)
        return name


def _is_listed(plan: Plan) -> bool:
    return sum(field.presence for field in plan.fields) >= _MANY_OPTIONAL


def _is_leaf(plan: Plan) -> bool:
    """Whether it is printed in the function of the message that holds it."""
    return not (
        _is_listed(plan)
        or plan.message.is_extendable
        or any(field.element.kind is Kind.MESSAGE for field in plan.fields)
    )


def _attribute(owner: str, field: Field) -> str:
    if keyword.iskeyword(field.name):
        return f"getattr({owner}, {field.name!r})"
    return f"{owner}.{field.name}"


def _key_text(field: Field) -> str:
    return "('true' if k else 'false')" if field.key is Kind.BOOL else "k"


def _indent(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _timestamp(message: str, seconds: str) -> str:
    """The expression of a Timestamp in RFC 3339, in UTC.

    `message` is what Python evaluates first; `seconds` stands behind it, and leaves them in `a`.
    """
    clock = f"{{hours[{seconds} // 3600]}}{{clock[a % 3600]}}"
    longer = "{heads[b // 1000000]}{thousand[b // 1000 % 1000]}{tails[b % 1000]}"
    # Either way one text is made, and no part of it before.
    return (
        f"(f'{clock}{{z}}' if (z := short_fraction(b := {message}.nanos)) else f'{clock}{longer}')"
    )


class _Names(dict[int, str | int]):
    """The names of an enum's numbers; a number without a name is itself."""

    def __missing__(self, number: int) -> int:
        return number


def _define_record(plan: Plan, name: str) -> type[msgspec.Struct]:
    fields = [(f"f{index}", Any, _default(field)) for index, field in enumerate(plan.fields)]
    names = {f"f{index}": field.json_name for index, field in enumerate(plan.fields)}
    return msgspec.defstruct(name, fields, rename=names, omit_defaults=True, gc=False)


def _default(field: Field) -> Any:
    """What the printed field is left out for; a list is left out when it is empty."""
    if field.repeated:
        return []
    if field.presence or field.key is not None:
        return msgspec.UNSET
    return _DEFAULTS.get(field.element.kind, msgspec.UNSET)


def _print_strange(number: float) -> str:
    """What JSON has no number for."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _print_zero(number: float) -> Value:
    """Minus zero is not the default, and is printed."""
    return number if math.copysign(1.0, number) < 0 else msgspec.UNSET


def _check_extensions(message: Message) -> None:
    if any(field.is_extension for field, _ in message.ListFields()):
        raise CodecError("the message has an extension, and extensions are not transcoded")
