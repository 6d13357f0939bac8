"""As much of HPACK (RFC 7541) as a client of gRPC servers needs.

Requests are sent as a real client sends them: literals once, then indices. Answers are decoded with
the dynamic table; texts in Huffman code (gRPC uses it for binary metadata alone) stay as they are.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Decoder", "Encoder"]

_STATIC = (
    ":authority| :method|GET :method|POST :path|/ :path|/index.html :scheme|http :scheme|https "
    ":status|200 :status|204 :status|206 :status|304 :status|400 :status|404 :status|500 "
    "accept-charset| accept-encoding|gzip,_deflate accept-language| accept-ranges| accept| "
    "access-control-allow-origin| age| allow| authorization| cache-control| content-disposition| "
    "content-encoding| content-language| content-length| content-location| content-range| "
    "content-type| cookie| date| etag| expect| expires| from| host| if-match| if-modified-since| "
    "if-none-match| if-range| if-unmodified-since| last-modified| link| location| max-forwards| "
    "proxy-authenticate| proxy-authorization| range| referer| refresh| retry-after| server| "
    "set-cookie| strict-transport-security| transfer-encoding| user-agent| vary| via| "
    "www-authenticate|"
)
STATIC: tuple[tuple[bytes, bytes], ...] = tuple(
    (name.encode(), value.replace("_", " ").encode())
    for name, _, value in (entry.partition("|") for entry in _STATIC.split())
)
_OVERHEAD = 32
_MOST_REMEMBERED = 256


class Encoder:
    """Writes request heads of one connection."""

    def __init__(self) -> None:
        self._table: list[tuple[bytes, bytes]] = []
        self._blocks: dict[bytes, bytes] = {}

    def head(self, path: bytes, authority: bytes, scheme: bytes, *, timeout: bytes = b"") -> bytes:
        """Return the header block of a gRPC request to `path`; `timeout` is as gRPC writes it."""
        known = self._blocks.get(path + timeout)
        if known is not None:
            return known
        parts = [b"\x83", b"\x87" if scheme == b"https" else b"\x86"]
        fields = [
            (b":path", path),
            (b":authority", authority),
            (b"content-type", b"application/grpc"),
            (b"te", b"trailers"),
            (b"user-agent", b"interlace-bench"),
        ]
        if timeout:
            fields.append((b"grpc-timeout", timeout))
        is_new = any(field not in self._table for field in fields)
        parts.extend(self._field(name, value) for name, value in fields)
        block = b"".join(parts)
        if is_new:
            self._blocks.clear()  # indices moved
        else:
            self._blocks[path + timeout] = block
        return block

    def _field(self, name: bytes, value: bytes) -> bytes:
        if (name, value) in self._table:
            place = len(self._table) - 1 - self._table.index((name, value))
            return bytes((0x80 | (len(STATIC) + 1 + place),))
        self._table.append((name, value))
        return b"\x40" + _text(name) + _text(value)


def _text(value: bytes) -> bytes:
    if len(value) > 126:
        raise ValueError("a header of a request has at most 126 bytes")
    return bytes((len(value),)) + value


class Decoder:
    """Reads the header blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._table: deque[tuple[bytes, bytes]] = deque()
        self._size = 0
        self._limit = 4096
        self._known: dict[bytes, list[tuple[bytes, bytes]]] = {}

    def decode(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Return the fields of a block. Raise ValueError for what is no HPACK."""
        known = self._known.get(block)
        if known is not None:
            return known
        fields: list[tuple[bytes, bytes]] = []
        place, has_changed = 0, False
        while place < len(block):
            first = block[place]
            if first & 0x80:
                index, place = _integer(block, place, 7)
                fields.append(self._entry(index))
            elif first & 0xE0 == 0x20:
                self._limit, place = _integer(block, place, 5)
                self._evict()
                has_changed = True
            else:
                is_kept = bool(first & 0x40)
                field, place = self._literal(block, place, 6 if is_kept else 4)
                fields.append(field)
                if is_kept:
                    self._keep(field)
                    has_changed = True
        self._remember(block, fields, has_changed=has_changed)
        return fields

    def _remember(
        self, block: bytes, fields: list[tuple[bytes, bytes]], *, has_changed: bool
    ) -> None:
        if has_changed:
            self._known.clear()
        elif len(self._known) < _MOST_REMEMBERED:
            self._known[block] = fields

    def _literal(self, block: bytes, place: int, bits: int) -> tuple[tuple[bytes, bytes], int]:
        index, place = _integer(block, place, bits)
        if index:
            name = self._entry(index)[0]
        else:
            name, place = _string(block, place)
        value, place = _string(block, place)
        return (name, value), place

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if 1 <= index <= len(STATIC):
            return STATIC[index - 1]
        place = index - len(STATIC) - 1
        if not 0 <= place < len(self._table):
            raise ValueError("an index beyond the table")
        return self._table[place]

    def _keep(self, field: tuple[bytes, bytes]) -> None:
        self._table.appendleft(field)
        self._size += len(field[0]) + len(field[1]) + _OVERHEAD
        self._evict()

    def _evict(self) -> None:
        while self._size > self._limit and self._table:
            name, value = self._table.pop()
            self._size -= len(name) + len(value) + _OVERHEAD


def _integer(block: bytes, place: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value = block[place] & most
    place += 1
    if value < most:
        return value, place
    shift = 0
    while True:
        byte = block[place]
        place += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, place


def _string(block: bytes, place: int) -> tuple[bytes, int]:
    length, place = _integer(block, place, 7)
    return block[place : place + length], place + length
