"""Prints the wire form of a message as JSON, byte by byte, by a layout of its type.

This is plain Python that mypyc compiles (`tools/compile.py`). Then it takes half to a third of the
time of a printer that asks protobuf for each value. As it stands it takes several times as much;
`IS_COMPILED` says which of the two was imported. In neither is an index taken unchecked.

It reads what protobuf has just written: fields in the order of their numbers, each once, and none
that the type does not have. Whatever else stands there, and whatever JSON cannot spell, raises
UnusualWire, IndexError or ValueError, and a printer of messages decides. `transcode_layout` makes
the layouts.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Final, final

import msgspec
from librt.base64 import b64encode
from librt.strings import BytesWriter, read_f32_le, read_f64_le, read_i32_le, read_i64_le

if TYPE_CHECKING:
    from mypy_extensions import i64

__all__ = [
    "BOOL",
    "BYTES",
    "DOUBLE",
    "DURATION",
    "ENUM",
    "FIXED32",
    "FIXED64",
    "FLOAT",
    "IS_COMPILED",
    "MAP",
    "MESSAGE",
    "NULL",
    "OTHER",
    "SFIXED32",
    "SFIXED64",
    "SIGNED",
    "STRING",
    "TIMESTAMP",
    "UNSIGNED",
    "WRAPPER",
    "ZIGZAG",
    "Layout",
    "Slot",
    "UnusualWire",
    "print_wire",
]

SIGNED: Final = 0
"""An int32, an int64 or a uint32."""
UNSIGNED: Final = 1
ZIGZAG: Final = 2
BOOL: Final = 3
ENUM: Final = 4
NULL: Final = 5
"""Of the enum NullValue."""
FIXED32: Final = 6
SFIXED32: Final = 7
FLOAT: Final = 8
FIXED64: Final = 9
SFIXED64: Final = 10
DOUBLE: Final = 11
STRING: Final = 12
BYTES: Final = 13
MESSAGE: Final = 14
TIMESTAMP: Final = 15
DURATION: Final = 16
WRAPPER: Final = 17
OTHER: Final = 18
"""A message that a function of Python prints."""
MAP: Final = 19

_QUOTE: Final = 0x22
_COMMA: Final = 0x2C
_COLON: Final = 0x3A
_BACKSLASH: Final = 0x5C
_OPEN: Final = 0x7B
_CLOSE: Final = 0x7D
_OPEN_LIST: Final = 0x5B
_CLOSE_LIST: Final = 0x5D
_MINUS: Final = 0x2D
_POINT: Final = 0x2E
_ZERO: Final = 0x30

_SHORT: Final = [b"%d" % number for number in range(1000)]
_THOUSAND: Final = [b"%03d" % number for number in range(1000)]
_PAIR: Final = [b"%02d" % number for number in range(100)]
_COLON_AFTER: Final = [b"%02d:" % number for number in range(60)]
_DAY: Final = [b"-%02d-%02dT" % (place // 32 + 1, place % 32 + 1) for place in range(12 * 32)]
"""By 32 times the month, and the day, both from 0."""
_LONGEST_LOOKED_AT: Final = 128
"""Longer texts are printed by msgspec, which looks at sixteen bytes at a time."""
_DEEPEST: Final = 100
"""So deep protobuf writes and reads messages in one another."""
_HALF_RANGE: Final = 0x4000_0000_0000_0000
_FIRST_SECOND: Final = -62135596800
_LAST_SECOND: Final = 253402300799
_LONGEST_DURATION: Final = 315576000000
_NANOS: Final = 1_000_000_000
_TAG_OF_SECONDS: Final = 1 << 3
_TAG_OF_NANOS: Final = 2 << 3

_encode = msgspec.json.Encoder().encode


class UnusualWire(Exception):  # noqa: N818  # a sign to look again, not an error that anyone sees
    """The bytes are not such as protobuf writes them, or what they say needs a second look."""


@final
class Layout:
    """The fields of a message type in the order of their numbers."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        """Behind the last one stands one whose tag is beyond all others."""


@final
class Slot:
    """How one field, one item of a list, or the key or value of a map is read and printed."""

    def __init__(self, tag: int, kind: int) -> None:
        self.tag: i64 = tag
        self.kind: i64 = kind
        self.key = b""
        """The field's name in JSON, quoted, with its colon."""
        self.is_quoted = False
        """Whether quotes go around a number or a boolean."""
        self.is_repeated = False
        self.is_packed = False
        self.names: dict[int, bytes] = {}
        """Of an enum: the names by number, quoted."""
        self.empty = b""
        """Of a wrapper: what an empty one is."""
        self.layout: Layout | None = None
        """Of a message."""
        self.held: Slot | None = None
        """Of a wrapper what it wraps, of a map its values."""
        self.map_key: Slot | None = None
        self.convert: Callable[[bytes], bytes] | None = None
        """Of OTHER: prints the bytes of one."""
        self.shorten: Callable[[float], float] | None = None
        """Of FLOAT: the double with the fewest digits that names the same one."""


def print_wire(layout: Layout, data: bytes) -> bytes:
    """Writes compact JSON; UnusualWire, IndexError or ValueError for what it leaves to others."""
    reader = _Reader(data)
    reader.message(layout, len(data))
    return reader.out.getvalue()


@final
class _Reader:
    """Steps through the bytes once, and writes as it goes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size: i64 = len(data)
        self.at: i64 = 0
        self.top = False
        """Whether the varint that was read last has its 64th bit set."""
        self.depth: i64 = 0
        self.out = BytesWriter()

    def message(self, layout: Layout, end: i64) -> None:
        """Prints the message that ends there; who calls sees whether it ended in time."""
        out, slots = self.out, layout.slots
        index: i64 = 0
        separator: i64 = _OPEN
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnusualWire
        while self.at < end:
            tag = self.varint()
            slot = slots[index]
            while slot.tag < tag:
                index += 1
                slot = slots[index]
            if slot.tag != tag:
                raise UnusualWire  # unknown, or not in its order
            out.append(separator)
            separator = _COMMA
            out.write(slot.key)
            if slot.is_repeated:
                self.repeated(slot, end)
            else:
                self.value(slot)
            index += 1
        self.depth -= 1
        if separator == _OPEN:
            out.append(_OPEN)
        out.append(_CLOSE)

    def repeated(self, slot: Slot, end: i64) -> None:
        """Prints a list or a map; `end` is that of the message that has it."""
        out = self.out
        if slot.kind == MAP:
            out.append(_OPEN)
            self.entry(slot)
            while self.has_another(slot.tag, end):
                out.append(_COMMA)
                self.entry(slot)
            out.append(_CLOSE)
            return
        if slot.is_packed and slot.kind == DOUBLE:
            self.doubles()
            return
        out.append(_OPEN_LIST)
        if slot.is_packed:
            stop = self.length()
            self.value(slot)
            while self.at < stop:
                out.append(_COMMA)
                self.value(slot)
            if self.at != stop:
                raise UnusualWire
        else:
            self.value(slot)
            while self.has_another(slot.tag, end):
                out.append(_COMMA)
                self.value(slot)
        out.append(_CLOSE_LIST)

    def doubles(self) -> None:
        """Prints a packed list of doubles, all of which are numbers in JSON, by one call."""
        stop = self.length()
        at = self.at
        numbers: list[float] = []
        while at < stop:
            number = read_f64_le(self.data, at)
            if number - number != 0.0:
                raise UnusualWire
            numbers.append(number)
            at += 8
        self.at = stop
        if at != stop:
            raise UnusualWire
        self.out.write(_encode(numbers))

    def has_another(self, tag: i64, end: i64) -> bool:
        """Whether the next field is the same again; then its tag is read."""
        mark = self.at
        if mark < end:
            if self.varint() == tag:
                return True
            self.at = mark
        return False

    def entry(self, slot: Slot) -> None:
        """Prints one entry of a map."""
        end = self.length()
        key, held = slot.map_key, slot.held
        if key is None or held is None or self.varint() != key.tag:
            raise UnusualWire
        self.value(key)
        self.out.append(_COLON)
        if self.varint() != held.tag:
            raise UnusualWire
        self.value(held)
        if self.at != end:
            raise UnusualWire

    def value(self, slot: Slot) -> None:
        """Prints one value."""
        kind = slot.kind
        if kind >= STRING:
            self.held(slot)
            return
        if slot.is_quoted:
            self.out.append(_QUOTE)
        if kind < FIXED32:
            self.variable(slot)
        else:
            self.fixed(slot)
        if slot.is_quoted:
            self.out.append(_QUOTE)

    def variable(self, slot: Slot) -> None:
        """Prints a value that is a varint."""
        kind, low = slot.kind, self.varint()
        if kind == BOOL:
            self.out.write(b"true" if low else b"false")
        elif kind == UNSIGNED:
            self.unsigned(low)
        elif kind == NULL:
            self.out.write(b"null")
        elif kind == ZIGZAG:
            half = low >> 1
            if self.top:
                half += _HALF_RANGE
            self.signed(-half - 1 if low & 1 else half)
        else:
            number = low - _HALF_RANGE - _HALF_RANGE if self.top else low
            name = slot.names.get(number) if kind == ENUM else None
            if name is None:
                self.signed(number)
            else:
                self.out.write(name)

    def fixed(self, slot: Slot) -> None:
        """Prints a value of four or eight bytes."""
        kind, at = slot.kind, self.at
        if kind < FIXED64:
            self.at = at + 4
            if kind == FLOAT:
                self.number(slot, read_f32_le(self.data, at))
                return
            word: i64 = int(read_i32_le(self.data, at))
            self.signed(word + (1 << 32) if word < 0 and kind == FIXED32 else word)
            return
        self.at = at + 8
        if kind == DOUBLE:
            self.number(slot, read_f64_le(self.data, at))
            return
        long: i64 = read_i64_le(self.data, at)
        self.top = long < 0
        if kind == SFIXED64:
            self.signed(long)
        else:
            self.unsigned(long + _HALF_RANGE + _HALF_RANGE if self.top else long)

    def held(self, slot: Slot) -> None:
        """Prints a value that has a length before it."""
        kind, end = slot.kind, self.length()
        if kind == STRING:
            self.text(end)
        elif kind == BYTES:
            self.base64(end)
        elif kind == TIMESTAMP:
            self.timestamp(end)
        elif kind == DURATION:
            self.duration(end)
        elif kind == WRAPPER:
            self.wrapper(slot, end)
        elif kind == MESSAGE and slot.layout is not None:
            self.message(slot.layout, end)
        elif kind == OTHER and slot.convert is not None:
            self.out.write(slot.convert(self.data[self.at : end]))
            self.at = end
        if self.at != end:
            raise UnusualWire

    def text(self, end: i64) -> None:
        """Prints a string."""
        data, start = self.data, self.at
        at = start
        if end - start <= _LONGEST_LOOKED_AT:
            while at < end:
                byte: i64 = data[at]
                if byte < 0x20 or byte > 0x7E or byte in (_QUOTE, _BACKSLASH):
                    break
                at += 1
        self.at = end
        if at == end:
            self.out.append(_QUOTE)
            self.out.write(data[start:end])
            self.out.append(_QUOTE)
        else:
            self.out.write(_encode(data[start:end].decode()))

    def base64(self, end: i64) -> None:
        """Prints bytes."""
        self.out.append(_QUOTE)
        self.out.write(b64encode(self.data[self.at : end]))
        self.out.append(_QUOTE)
        self.at = end

    def wrapper(self, slot: Slot, end: i64) -> None:
        """Prints what a wrapper wraps."""
        inner = slot.held
        if self.at == end:
            self.out.write(slot.empty)
        elif inner is None or self.varint() != inner.tag:
            raise UnusualWire
        else:
            self.value(inner)

    def timestamp(self, end: i64) -> None:
        """Prints a Timestamp in RFC 3339, in UTC.

        The day is found in years that begin in March, in eras of 400 of them.
        """
        seconds: i64 = self.optional(_TAG_OF_SECONDS, end)
        nanos: i64 = self.optional(_TAG_OF_NANOS, end)
        if not (_FIRST_SECOND <= seconds <= _LAST_SECOND and 0 <= nanos < _NANOS):
            raise UnusualWire
        days = seconds // 86400
        second = seconds - days * 86400
        shifted = days + 719468
        era = shifted // 146097
        day = shifted - era * 146097
        year = (day - day // 1460 + day // 36524 - day // 146096) // 365
        day -= 365 * year + year // 4 - year // 100
        month = (5 * day + 2) // 153
        day -= (153 * month + 2) // 5
        year += 400 * era
        month += 2
        if month > 11:
            year += 1
            month -= 12
        out = self.out
        out.append(_QUOTE)
        out.write(_PAIR[year // 100])
        out.write(_PAIR[year % 100])
        out.write(_DAY[month * 32 + day])
        out.write(_COLON_AFTER[second // 3600])
        out.write(_COLON_AFTER[second // 60 % 60])
        out.write(_PAIR[second % 60])
        self.fraction(nanos)
        out.write(b'Z"')

    def duration(self, end: i64) -> None:
        """Prints a Duration in seconds."""
        seconds: i64 = self.optional(_TAG_OF_SECONDS, end)
        nanos: i64 = self.optional(_TAG_OF_NANOS, end)
        if not (0 <= seconds <= _LONGEST_DURATION and 0 <= nanos < _NANOS):
            raise UnusualWire  # a negative one among them
        self.out.append(_QUOTE)
        self.natural(seconds)
        self.fraction(nanos)
        self.out.write(b's"')

    def optional(self, tag: i64, end: i64) -> i64:
        """An integer, or 0 where another field or the end comes first."""
        if not self.has_another(tag, end):
            return 0
        low = self.varint()
        return low - _HALF_RANGE - _HALF_RANGE if self.top else low

    def fraction(self, nanos: i64) -> None:
        """Prints a point and 3, 6 or 9 decimals, or nothing."""
        if nanos == 0:
            return
        out = self.out
        out.append(_POINT)
        out.write(_THOUSAND[nanos // 1_000_000])
        rest = nanos % 1_000_000
        if rest != 0:
            out.write(_THOUSAND[rest // 1000])
            if rest % 1000 != 0:
                out.write(_THOUSAND[rest % 1000])

    def number(self, slot: Slot, number: float) -> None:
        """Prints a double, or the shortest name of a float."""
        out = self.out
        if number - number == 0.0:
            shorten = slot.shorten
            out.write(_encode(number if shorten is None else shorten(number)))
        elif number != number:  # noqa: PLR0124  # only NaN is not itself
            out.write(b'"NaN"')
        else:
            out.write(b'"Infinity"' if number > 0 else b'"-Infinity"')

    def signed(self, number: i64) -> None:
        """Prints an integer."""
        if number >= 0:
            self.natural(number)
            return
        self.out.append(_MINUS)
        last = -(number % -10)
        # By its tenth, since the least one has no counterpart above 0.
        rest = -((number + last) // 10)
        if rest:
            self.natural(rest)
        self.out.append(_ZERO + last)

    def unsigned(self, low: i64) -> None:
        """Prints an integer of 64 bits, of which `top` is the first one, and `low` the others."""
        if not self.top:
            self.natural(low)
            return
        # 2 ** 63 is 9223372036854775 thousands and 808.
        rest = low % 1000 + 808
        self.natural(low // 1000 + 9223372036854775 + rest // 1000)
        self.out.write(_THOUSAND[rest % 1000])

    def natural(self, number: i64) -> None:
        """Prints an integer from 0 on."""
        if number < 1000:
            self.out.write(_SHORT[number])
        else:
            self.natural(number // 1000)
            self.out.write(_THOUSAND[number % 1000])

    def length(self) -> i64:
        """Reads a length, and returns where its value ends."""
        length = self.varint()
        if self.top or length > self.size - self.at:
            raise UnusualWire
        return self.at + length

    def varint(self) -> i64:
        """Reads a varint, and returns its lower 63 bits; `top` is the 64th."""
        data, at = self.data, self.at
        self.top = False
        byte: i64 = data[at]
        low = byte & 0x7F
        shift: i64 = 7
        while byte > 0x7F:
            at += 1
            byte = data[at]
            if shift == 63:
                if byte > 1:
                    raise UnusualWire  # more than 64 bits
                self.top = byte == 1
                break
            low |= (byte & 0x7F) << shift
            shift += 7
        self.at = at + 1
        return low


IS_COMPILED: Final = not isinstance(print_wire, FunctionType)
"""Whether this module was compiled."""
