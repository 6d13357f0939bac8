"""An upstream that takes bodies: it answers with what it was sent, if that was right.

`POST /KIND/BYTES` must bring exactly the body of that kind and size under its media type, and is
answered with the same; `/packed/BYTES` is the JSON document of that size as MessagePack. Whatever
else is sent is answered with 400, so that nobody saves work by sending less. Heads are like those
of `benchmarks.load.upstream`, each with an X-Request-Id of its own, and `GET /count` tells how many
requests were answered before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
from email.utils import formatdate
from functools import cache
from pathlib import Path
from typing import cast

import msgpack  # type: ignore[import-untyped]  # it ships no types
import uvloop

from benchmarks.load.bodies import MEDIA_TYPES, body

__all__ = ["PACKED", "Mirror", "document", "main"]

PACKED = "packed"
_END = b"\r\n\r\n"
_LONGEST_HEAD = 65_536


@cache
def document(kind: str, size: int) -> tuple[bytes, str]:
    """Return the body of a kind and a size, and its media type. Raise KeyError for no kind."""
    if kind == PACKED:
        packed: bytes = msgpack.packb(json.loads(body("json", size)))
        return packed, MEDIA_TYPES["msgpack"]
    return body(kind, size), MEDIA_TYPES[kind]


class _Count:
    """How many requests were answered, over all connections."""

    served = 0


class Mirror(asyncio.Protocol):
    """One keep-alive connection; its requests come with a Content-Length."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._head = b""
        self._need = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; a head without an end closes the connection."""
        self._buffer += data
        while self._transport and (self._head or self._take_head()):
            if len(self._buffer) < self._need:
                return
            content = bytes(self._buffer[: self._need])
            del self._buffer[: self._need]
            head, self._head = self._head, b""
            self._transport.write(_answer(head, content))

    def _take_head(self) -> bool:
        end = self._buffer.find(_END)
        if end < 0:
            if len(self._buffer) > _LONGEST_HEAD and self._transport:
                self._transport.close()
            return False
        self._head = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        self._need = int(_field(self._head, b"content-length") or 0)
        return True


def _field(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.lower() == name:
            return value.strip()
    return b""


def _answer(head: bytes, content: bytes) -> bytes:
    method, _, rest = head.partition(b"\r\n")[0].decode("ascii", "replace").partition(" ")
    kind, _, size = rest.partition(" ")[0].strip("/").partition("/")
    if (method, kind) == ("GET", "count"):
        return _whole("200 OK", str(_Count.served).encode(), "text/plain")
    _Count.served += 1
    try:
        expected, media_type = document(kind, int(size))
    except (KeyError, ValueError):
        return _whole("404 Not Found", b"", "text/plain")
    sent_as = _field(head, b"content-type").decode("ascii", "replace")
    if method != "POST" or content != expected or sent_as != media_type:
        return _whole("400 Bad Request", b"", "text/plain")
    return _whole("200 OK", content, media_type)


def _whole(status: str, content: bytes, media_type: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(content)}",
        f"Date: {formatdate(usegmt=True)}",
        "Server: mirror",
        f"X-Request-Id: {_Count.served:016x}",
    )
    return "\r\n".join(lines).encode() + _END + content


async def _serve(ports_file: Path) -> None:
    server = await asyncio.get_running_loop().create_server(Mirror, "127.0.0.1", 0, backlog=1024)
    gc.freeze()
    _tell(ports_file, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


def _tell(path: Path, address: str) -> None:
    path.write_text(address, encoding="ascii")


def main() -> None:
    """Serve until the process is ended; the address is in the file that `--ports-file` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.mirror")
    parser.add_argument("--ports-file", type=Path, required=True)
    uvloop.run(_serve(parser.parse_args().ports_file))


if __name__ == "__main__":
    main()
