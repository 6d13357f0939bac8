"""A gRPC client that costs next to nothing, so that the server is what is measured.

grpc.aio's own client takes as much time per call as the server does; on two cores that bends every
ceiling. This one writes frames out of ready bytes and reads no more of the answers than it must to
know whether they are right: every gRPC status is read, and every message handed to its call.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

from benchmarks.load.hpack import Decoder, Encoder

__all__ = ["Connection", "Listener", "Stream", "connect", "framed"]

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_CONTINUATION = 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED = 0x1, 0x1, 0x4, 0x8
_INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE, _ENABLE_PUSH = 4, 5, 2
_WIDE = 2**31 - 1
_REFRESH = 2**28
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def framed(message: bytes) -> bytes:
    """Return a message with gRPC's prefix in front: uncompressed, and its length."""
    return b"\x00" + struct.pack(">I", len(message)) + message


class Listener(Protocol):
    """What a stream tells."""

    def on_message(self, message: bytes) -> None:
        """Take one whole message."""

    def on_end(self, error: str) -> None:
        """Take the end; `error` is empty for the gRPC status OK, else it says what came."""


class Stream:
    """One RPC: it cuts messages out of frames and knows what it may send."""

    __slots__ = (
        "_have",
        "_need",
        "_parts",
        "connection",
        "is_open",
        "listener",
        "number",
        "received",
        "window",
    )

    def __init__(self, connection: Connection, number: int, listener: Listener) -> None:
        self.connection = connection
        self.number = number
        self.listener = listener
        self.window = connection.initial_window
        self.received = 0
        self.is_open = True
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 5

    def send(self, message: bytes, *, is_last: bool = False) -> None:
        """Send one message, as soon as the server's windows let it pass."""
        self.connection.send_data(self, framed(message), is_last=is_last)

    def cancel(self) -> None:
        """End the RPC from here; nothing is told about it any more."""
        if self.is_open:
            self.is_open = False
            self.connection.reset(self.number)

    def feed(self, data: bytes) -> None:
        """Take the payload of a DATA frame. Parts are joined once a message is whole."""
        self._parts.append(data)
        self._have += len(data)
        while self._have >= self._need:
            rest = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            size = 5 + int.from_bytes(rest[1:5], "big")
            if self._have < size:
                self._parts, self._need = [rest], size
                return
            message, rest = rest[5:size], rest[size:]
            self._parts, self._have, self._need = [rest], len(rest), 5
            self.listener.on_message(message)

    def end(self, error: str) -> None:
        """Tell the listener once that it is over."""
        if self.is_open:
            self.is_open = False
            self.listener.on_end(error)


class Connection(asyncio.Protocol):
    """One HTTP/2 connection. A stalled one lets the server send 64 kB, and not a byte more."""

    def __init__(self, authority: str, scheme: str, *, is_stalled: bool = False) -> None:
        self._is_stalled = is_stalled
        self.initial_window = 65_535
        self._authority = authority.encode()
        self._scheme = scheme.encode()
        self._transport: asyncio.Transport | None = None
        self._encoder, self._decoder = Encoder(), Decoder()
        self._streams: dict[int, Stream] = {}
        self._next = 1
        self._rest = b""
        self._window = 65_535
        self._max_frame = 16_384
        self._received = 0
        self._waiting: deque[tuple[Stream, bytes, bool]] = deque()
        self._block: tuple[int, int, bytes] | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the preface, with windows so wide that the server never waits for us."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass
        wide = 65_535 if self._is_stalled else _WIDE
        settings = struct.pack(">HIHI", _ENABLE_PUSH, 0, _INITIAL_WINDOW_SIZE, wide)
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings))
        self._give(0, _WIDE - 65_535)

    def connection_lost(self, exc: Exception | None) -> None:
        """End every RPC that is under way, as failed."""
        self._transport = None
        if not self.ready.done():
            self.ready.set_exception(ConnectionError("the server closed the connection"))
        self._fail_all(f"connection lost: {exc}")

    def _fail_all(self, error: str) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.end(error)

    def close(self) -> None:
        """Close the connection; RPCs under way are told that it is lost."""
        if self._transport:
            self._transport.close()

    # Sending

    def open(self, path: bytes, listener: Listener, *, timeout: bytes = b"") -> Stream:
        """Begin an RPC; `timeout` is what the server reads of the caller's patience, as `1S`."""
        number = self._next
        self._next += 2
        stream = Stream(self, number, listener)
        if self._transport is None:
            stream.end("no connection")
            return stream
        self._streams[number] = stream
        block = self._encoder.head(path, self._authority, self._scheme, timeout=timeout)
        self._transport.write(_frame(_HEADERS, _END_HEADERS, number, block))
        return stream

    def send_data(self, stream: Stream, data: bytes, *, is_last: bool) -> None:
        """Send bytes of a stream in their order, within the windows."""
        if not self._waiting and len(data) <= min(self._window, stream.window, self._max_frame):
            self._write_data(stream, data, is_last=is_last)
            return
        self._waiting.append((stream, data, is_last))
        self._flush()

    def _flush(self) -> None:
        """Send what waits. One stream without a window holds up the others: none has two kinds."""
        while self._waiting:
            stream, data, is_last = self._waiting[0]
            room = min(self._window, stream.window, self._max_frame)
            if not stream.is_open or len(data) <= room:
                self._waiting.popleft()
                if stream.is_open:
                    self._write_data(stream, data, is_last=is_last)
                continue
            if room <= 0:
                return
            self._write_data(stream, data[:room], is_last=False)
            self._waiting[0] = (stream, data[room:], is_last)

    def _write_data(self, stream: Stream, data: bytes, *, is_last: bool) -> None:
        self._window -= len(data)
        stream.window -= len(data)
        if self._transport:
            flags = _END_STREAM if is_last else 0
            self._transport.write(_frame(_DATA, flags, stream.number, data))

    def reset(self, number: int) -> None:
        """Send RST_STREAM with CANCEL."""
        self._streams.pop(number, None)
        if self._transport:
            self._transport.write(_frame(_RST_STREAM, 0, number, struct.pack(">I", 8)))

    # Receiving

    def data_received(self, data: bytes) -> None:
        """Take every whole frame."""
        if self._rest:
            data = self._rest + data
        place, end = 0, len(data)
        while end - place >= 9:
            stop = place + 9 + int.from_bytes(data[place : place + 3], "big")
            if stop > end:
                break
            number = int.from_bytes(data[place + 5 : place + 9], "big") & _WIDE
            self._take(data[place + 3], data[place + 4], number, data[place + 9 : stop])
            place = stop
        self._rest = data[place:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == _DATA:
            self._take_data(flags, number, payload)
        elif kind == _HEADERS:
            self._take_headers(flags, number, payload)
        else:
            handle = _OTHERS.get(kind)
            if handle:
                handle(self, flags, number, payload)

    def _take_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received += len(payload)
        if self._received > _REFRESH:
            self._give(0, self._received)
            self._received = 0
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.received += len(payload)
        if stream.received > _REFRESH:
            self._give(number, stream.received)
            stream.received = 0
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]]
        stream.feed(payload)
        if flags & _END_STREAM:
            self._end(number, "the stream ended without a status")

    def _give(self, number: int, size: int) -> None:
        if self._transport and not self._is_stalled:
            self._transport.write(_frame(_WINDOW_UPDATE, 0, number, struct.pack(">I", size)))

    def _take_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & _END_HEADERS:
            self._take_block(flags, number, payload)
        else:
            self._block = (flags, number, payload)

    def _take_continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[1] != number:
            self.close()
            return
        first, _, block = self._block
        self._block = (first, number, block + payload)
        if flags & _END_HEADERS:
            self._take_block(first, number, block + payload)
            self._block = None

    def _take_block(self, flags: int, number: int, block: bytes) -> None:
        fields = self._decoder.decode(block)
        if flags & _END_STREAM:
            self._end(number, _error_in(fields))

    def _end(self, number: int, error: str) -> None:
        stream = self._streams.pop(number, None)
        if stream:
            stream.end(error)

    def _take_reset(self, flags: int, number: int, payload: bytes) -> None:
        del flags
        self._end(number, f"RST_STREAM {int.from_bytes(payload, 'big')}")

    def _take_settings(self, flags: int, number: int, payload: bytes) -> None:
        del number
        if flags & _ACK:
            return
        for place in range(0, len(payload), 6):
            name, value = struct.unpack_from(">HI", payload, place)
            if name == _INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self.initial_window
                self.initial_window = value
            elif name == _MAX_FRAME_SIZE:
                self._max_frame = value
        if self._transport:
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)
        self._flush()

    def _take_ping(self, flags: int, number: int, payload: bytes) -> None:
        del number
        if self._transport and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))

    def _take_goaway(self, flags: int, number: int, payload: bytes) -> None:
        del flags, number
        self._fail_all(f"GOAWAY {payload[8:].decode('ascii', 'replace')}")
        self.close()

    def _take_window(self, flags: int, number: int, payload: bytes) -> None:
        del flags
        more = int.from_bytes(payload, "big")
        if number == 0:
            self._window += more
        elif stream := self._streams.get(number):
            stream.window += more
        self._flush()


_Handler = Callable[[Connection, int, int, bytes], None]
_OTHERS: dict[int, _Handler] = {
    _RST_STREAM: Connection._take_reset,  # noqa: SLF001  # its own table
    _SETTINGS: Connection._take_settings,  # noqa: SLF001  # as above
    _PING: Connection._take_ping,  # noqa: SLF001  # as above
    _GOAWAY: Connection._take_goaway,  # noqa: SLF001  # as above
    _WINDOW_UPDATE: Connection._take_window,  # noqa: SLF001  # as above
    _CONTINUATION: Connection._take_continuation,  # noqa: SLF001  # as above
}


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) << 8 | kind) + struct.pack(">BI", flags, number) + payload


def _error_in(fields: list[tuple[bytes, bytes]]) -> str:
    found = dict(fields)
    status = found.get(b"grpc-status", b"none")
    if status == b"0":
        return ""
    message = found.get(b"grpc-message", b"").decode("ascii", "replace")
    return f"grpc-status {status.decode('ascii', 'replace')} {message}".strip()


async def connect(
    address: str, *, tls: ssl.SSLContext | None = None, is_stalled: bool = False
) -> Connection:
    """Return a connection to `HOST:PORT` on which the server's settings have come."""
    url = urlsplit(f"//{address}")
    loop = asyncio.get_running_loop()
    scheme = "https" if tls else "http"
    _, connection = await loop.create_connection(
        lambda: Connection(address, scheme, is_stalled=is_stalled),
        url.hostname or "",
        url.port or 0,
        ssl=tls,
    )
    await connection.ready
    return connection
