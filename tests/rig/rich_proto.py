"""Message types with every kind of field, built at run time, and messages drawn from them."""

from __future__ import annotations

from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message
from hypothesis import strategies as st

from interlaced.codecs.transcode_plan import Element, Kind, span

F = descriptor_pb2.FieldDescriptorProto
SCALARS = ["double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32",
           "fixed64", "sfixed32", "sfixed64", "bool", "string", "bytes"]  # fmt: skip
KEYS = [name for name in SCALARS if name not in {"double", "float", "bytes"}]
WELL_KNOWN = ["Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue", "Any", "Empty",
              "DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value",
              "UInt32Value", "BoolValue", "StringValue", "BytesValue"]  # fmt: skip
OTHERS = {"Color": ".rich.Color", "Null": ".google.protobuf.NullValue", "Leaf": ".rich.Leaf",
          "Rich": ".rich.Rich"}  # fmt: skip
FILES = [any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2]
LARGEST_FLOAT = float.fromhex("0x1.fffffep+127")
SPELLED_BY_US_ALONE = {"many_null", "map_null"}
"""json_format prints these lists and maps of null, and does not read them back."""
ENUMS = {"Color", "Null", "Closed"}


class _Fields:
    """Adds fields to one message, numbered as they come."""

    def __init__(self, message: descriptor_pb2.DescriptorProto, package: str = "rich") -> None:
        self.message = message
        self.package = package

    def add(self, name: str, kind: str, *, label: int = F.LABEL_OPTIONAL, **more: Any) -> Any:
        field = self.message.field.add(
            name=name, number=len(self.message.field) + 1, label=label, **more
        )
        if kind in SCALARS:
            field.type = F.Type.Value(f"TYPE_{kind.upper()}")
            return field
        field.type = F.TYPE_ENUM if kind in ENUMS else F.TYPE_MESSAGE
        known = kind in WELL_KNOWN
        field.type_name = (
            OTHERS.get(kind) or f".{'google.protobuf' if known else self.package}.{kind}"
        )
        return field

    def optional(self, name: str, kind: str) -> None:
        self.message.oneof_decl.add(name=f"_{name}")
        index = len(self.message.oneof_decl) - 1
        self.add(name, kind, oneof_index=index, proto3_optional=True)

    def map(self, name: str, key: str, kind: str) -> None:
        title = "".join(part.capitalize() for part in name.split("_"))
        entry = self.message.nested_type.add(name=f"{title}Entry")
        entry.options.map_entry = True
        inner = _Fields(entry, self.package)
        inner.add("key", key)
        inner.add("value", kind)
        field = self.add(name, f"{self.message.name}.{title}Entry", label=F.LABEL_REPEATED)
        field.type_name = f".{self.package}.{self.message.name}.{title}Entry"


def _rich() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="rich.proto", package="rich", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in FILES)
    color = file.enum_type.add(name="Color")
    color.options.allow_alias = True
    for name, number in [("NONE", 0), ("RED", 1), ("ROT", 1), ("DEEP_BLUE", 7), ("MINUS", -3)]:
        color.value.add(name=name, number=number)
    leaf = _Fields(file.message_type.add(name="Leaf"))
    for name, kind in [("id", "string"), ("size", "int32"), ("on", "bool"), ("part", "double")]:
        leaf.add(name, kind)
    rich = _Fields(file.message_type.add(name="Rich"))
    kinds = [*SCALARS, *WELL_KNOWN, *OTHERS]
    for kind in kinds:
        rich.add(f"one_{kind.lower()}", kind)
    for kind in [*SCALARS, "Color", "Null"]:
        rich.optional(f"may_{kind.lower()}", kind)
    for kind in kinds:
        rich.add(f"many_{kind.lower()}", kind, label=F.LABEL_REPEATED)
    for key in KEYS:
        rich.map(f"by_{key}", key, "string")
    for kind in kinds:
        rich.map(f"map_{kind.lower()}", "string", kind)
    _add_choice(rich, kinds)
    _add_shelf(file)
    rich.add("from", "string")
    rich.add("class", "int32", json_name="Klasse 1")
    rich.add("named", "int64", json_name="@id")
    rich.add("_odd__name_", "Leaf")
    return file


def _add_choice(rich: _Fields, kinds: list[str]) -> None:
    """A oneof; real ones stand before those of optional fields."""
    rich.message.oneof_decl.insert(0, descriptor_pb2.OneofDescriptorProto(name="choice"))
    for field in rich.message.field:
        if field.HasField("oneof_index"):
            field.oneof_index += 1
    for kind in kinds:
        rich.add(f"or_{kind.lower()}", kind, oneof_index=0)


def _add_shelf(file: descriptor_pb2.FileDescriptorProto) -> None:
    """Maps of scalars in messages that lie in no map themselves."""
    box = _Fields(file.message_type.add(name="Box"))
    for key in KEYS:
        box.map(f"by_{key}", key, "int64")
    for kind in [*SCALARS, "Color", "Null"]:
        box.map(f"map_{kind.lower()}", "string", kind)
    box.add("next", "Box")
    shelf = _Fields(file.message_type.add(name="Shelf"))
    shelf.map("word_counts", "string", "uint64")
    shelf.add("first_box", "Box")
    shelf.add("more_boxes", "Box", label=F.LABEL_REPEATED)
    shelf.add("plain", "Leaf")


def _old() -> descriptor_pb2.FileDescriptorProto:
    """proto2: presence everywhere, closed enums, defaults, a required field."""
    file = descriptor_pb2.FileDescriptorProto(name="old.proto", package="old")
    closed = file.enum_type.add(name="Closed")
    for name, number in [("ZEROTH", 0), ("FIRST", 1), ("SECOND", 2)]:
        closed.value.add(name=name, number=number)
    old = _Fields(file.message_type.add(name="Old"), "old")
    old.add("must_be", "int32", label=F.LABEL_REQUIRED)
    for kind in SCALARS:
        old.add(f"one_{kind}", kind)
    old.add("given", "int32", default_value="7")
    old.add("word", "string", default_value="x")
    old.add("closed", "Closed", default_value="SECOND")
    old.add("all_closed", "Closed", label=F.LABEL_REPEATED)
    old.add("child", "Old")
    old.map("closed_by", "string", "Closed")
    old.message.extension_range.add(start=1000, end=2000)
    extra = file.extension.add(
        name="extra", number=1000, label=F.LABEL_OPTIONAL, extendee=".old.Old"
    )
    extra.type = F.TYPE_INT32
    return file


def _swapped() -> descriptor_pb2.FileDescriptorProto:
    """Two fields that have each other's name in JSON, and one whose name is not ASCII."""
    file = descriptor_pb2.FileDescriptorProto(name="swap.proto", package="swap")
    swapped = _Fields(file.message_type.add(name="Swapped"))
    swapped.message.options.deprecated_legacy_json_field_conflicts = True
    swapped.add("left", "int32", json_name="right")
    swapped.add("right", "int64", json_name="left")
    foreign = _Fields(file.message_type.add(name="Foreign"), "swap")
    foreign.add("number", "int32", json_name="número")
    return file


POOL = descriptor_pool.DescriptorPool()
for module in FILES:
    POOL.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
for made in (_rich(), _old(), _swapped()):
    POOL.AddSerializedFile(made.SerializeToString())


def find(name: str) -> type[Message]:
    """The class of a message type of the pool."""
    found: type[Message] = message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))
    return found


Rich, Leaf, Shelf, Old = map(find, ("rich.Rich", "rich.Leaf", "rich.Shelf", "old.Old"))
Swapped, Foreign = map(find, ("swap.Swapped", "swap.Foreign"))

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [':', '":', '\\":', ' :', '"a" :', "{}", "Z", "\u2028", "\0", "😀"]
)  # fmt: skip


def draw_scalar(kind: Kind) -> st.SearchStrategy[Any]:
    """Values of one kind, with the edges among them."""
    limits = span(kind)
    if limits is not None:
        edges = [edge for edge in (*limits, 2**53, 2**53 + 1, -1) if limits[0] <= edge <= limits[1]]
        return st.sampled_from(edges) | st.integers(*limits)
    return {
        Kind.DOUBLE: st.floats() | st.integers(-5, 5).map(float),
        # json_format prints the largest float, and does not read it back.
        Kind.FLOAT: st.floats(width=32).filter(lambda number: abs(number) != LARGEST_FLOAT),
        Kind.BOOL: st.booleans(),
        Kind.STRING: TEXTS,
        Kind.BYTES: st.binary(max_size=9),
    }[kind]


PLAIN = st.recursive(
    st.none() | st.booleans() | TEXTS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def draw_well_known(draw: st.DrawFn, element: Element) -> Message:
    """A message of a well-known type that JSON can spell."""
    made: Any = message_factory.GetMessageClass(element.child)()
    if element.kind is Kind.TIMESTAMP:
        made.seconds = draw(st.integers(-62135596800, 253402300799))
        made.nanos = draw(draw_nanos())
    elif element.kind is Kind.DURATION:
        sign = draw(st.sampled_from([1, -1]))
        made.seconds = sign * draw(st.integers(0, 315576000000))
        made.nanos = sign * draw(draw_nanos())
    elif element.kind is Kind.FIELD_MASK:
        made.paths.extend(
            draw(st.lists(st.from_regex(r"[a-z]{1,3}(_[a-z])?(\.[a-z])?", fullmatch=True)))
        )
    elif element.kind is Kind.WRAPPER:
        made.value = draw(draw_scalar(element.wrapped.kind))
    elif element.kind is Kind.ANY:
        held = draw(
            st.sampled_from(["rich.Leaf", "google.protobuf.Int64Value", "google.protobuf.Duration"])
        )
        content = draw(draw_message(held))
        made.type_url, made.value = f"type.googleapis.com/{held}", content.SerializeToString()
    else:
        made.CopyFrom(_fill_dynamic(made, draw(PLAIN)))
    return made


def _fill_dynamic(made: Any, value: object) -> Message:
    full = made.DESCRIPTOR.name
    if full == "Struct":
        made.update({"k": value})
    elif full == "ListValue":
        made.extend([value])
    elif value is None:
        made.null_value = 0
    else:
        holder = find("google.protobuf.ListValue")()
        holder.extend([value])  # type: ignore[attr-defined]  # the class is made at run time
        made.CopyFrom(holder.values[0])  # type: ignore[attr-defined]  # the same
    return made  # type: ignore[no-any-return]  # the same


def draw_nanos() -> st.SearchStrategy[int]:
    """Fractions with 0, 3, 6 and 9 decimals."""
    return st.sampled_from([0, 1, 1000, 1_000_000, 999_999_999, 120_000_000]) | st.integers(
        0, 999_999_999
    )


def draw_value(element: Element, depth: int) -> st.SearchStrategy[Any]:
    """A value for one place of a field."""
    if element.kind is Kind.MESSAGE:
        return draw_message(element.child.full_name, depth - 1)
    if element.message is not None:
        return draw_well_known(element)
    if element.enum is not None:
        return st.sampled_from(sorted(element.enum.values_by_number))
    return draw_scalar(element.kind)


@st.composite
def draw_message(draw: st.DrawFn, name: str, depth: int = 2) -> Message:
    """A message of this type with some of its fields set."""
    made: Any = find(name)()
    element = Element.of_message(made.DESCRIPTOR)
    if element.kind is not Kind.MESSAGE:
        return draw(draw_well_known(element))
    fields = [
        field
        for field in made.DESCRIPTOR.fields
        if (depth > 0 or field.message_type is None) and field.name not in SPELLED_BY_US_ALONE
    ]
    for field in draw(st.lists(st.sampled_from(fields), max_size=6)) if fields else []:
        _set(draw, made, field, depth)
    return made  # type: ignore[no-any-return]  # the class is made at run time


def _set(draw: st.DrawFn, made: Any, field: Any, depth: int) -> None:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        element = Element.of(entry.fields_by_name["value"])
        for _ in range(draw(st.integers(0, 2))):
            key = draw(draw_scalar(Element.of(entry.fields_by_name["key"]).kind))
            value = draw(draw_value(element, depth))
            if element.message is None:
                getattr(made, field.name)[key] = value
            else:
                getattr(made, field.name)[key].CopyFrom(value)
        return
    element = Element.of(field)
    if field.is_repeated:
        getattr(made, field.name).extend(draw(st.lists(draw_value(element, depth), max_size=3)))
    elif element.message is None:
        setattr(made, field.name, draw(draw_value(element, depth)))
    else:
        getattr(made, field.name).CopyFrom(draw(draw_value(element, depth)))
