"""An upstream that does next to nothing: canned answers from a dict, counted.

`GET /KIND/BYTES` answers with such a body at once, `GET /slow/BYTES` 500 ms later, and
`GET /count` with how many requests it answered before. It reads GET without a body and nothing
else, so that what is left is the cost of a socket: it shares its core with the load. Its Date is
the present second, as any server's is, and each answer has an X-Request-Id of its own, as behind
most gateways: no client is quicker here because it has seen the same head before.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import ssl
from email.utils import formatdate
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.load.bodies import MEDIA_TYPES, body

__all__ = ["SLOW_SECONDS", "Upstream", "answer_to", "main"]

SLOW_SECONDS = 0.5
_END = b"\r\n\r\n"
_LONGEST_HEAD = 65_536
_CANNED: dict[bytes, tuple[bytes, bytes, float]] = {}


class _Count:
    """How many requests were answered, over all connections."""

    served = 0


class Upstream(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        """Answer every whole request; a head without an end closes the connection."""
        data = self._rest + data
        while (end := data.find(_END)) >= 0:
            self._answer(data[: data.index(b"\r\n")])
            data = data[end + 4 :]
        self._rest = data
        if len(data) > _LONGEST_HEAD and self._transport:
            self._transport.close()

    def _answer(self, line: bytes) -> None:
        canned = _CANNED.get(line)
        if canned is None:
            canned = answer_to(line)
            if b" /count " not in line:
                _CANNED[line] = canned
        head, content, delay = canned
        if b" /count " not in line:
            _Count.served += 1
        answer = b"%s%016x\r\n\r\n%s" % (head, _Count.served, content)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(answer)


def answer_to(line: bytes) -> tuple[bytes, bytes, float]:
    """Return the answer to a request line: its head up to its own number, its body, and after how
    many seconds it is due."""
    method, _, rest = line.decode("ascii", "replace").partition(" ")
    parts = rest.partition(" ")[0].strip("/").split("/")
    if method != "GET":
        return *_whole("405 Method Not Allowed", b"", "text/plain"), 0.0
    if parts == ["count"]:
        return *_whole("200 OK", str(_Count.served).encode(), "text/plain"), 0.0
    kind = "json" if parts[0] == "slow" else parts[0]
    if len(parts) < 2 or kind not in MEDIA_TYPES or not parts[1].isdigit():
        return *_whole("404 Not Found", b"", "text/plain"), 0.0
    delay = SLOW_SECONDS if parts[0] == "slow" else 0.0
    return *_whole("200 OK", body(kind, int(parts[1])), MEDIA_TYPES[kind]), delay


def _whole(status: str, content: bytes, media_type: str) -> tuple[bytes, bytes]:
    lines = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(content)}",
        f"Date: {formatdate(usegmt=True)}",
        "Server: canned",
        "X-Request-Id: ",
    )
    return "\r\n".join(lines).encode(), content


def _tick(loop: asyncio.AbstractEventLoop) -> None:
    """Forget what was canned with the Date of the second before."""
    _CANNED.clear()
    loop.call_later(1.0, _tick, loop)


async def _serve(ports_file: Path, certificate: Path | None, key: Path | None) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", 0, ssl=context, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    gc.freeze()
    _tick(loop)
    _tell(ports_file, f"{'https' if context else 'http'}://127.0.0.1:{port}")
    await server.serve_forever()


def _tell(path: Path, address: str) -> None:
    path.write_text(address, encoding="ascii")


def main() -> None:
    """Serve until the process is ended; the address is in the file that `--ports-file` names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.upstream")
    parser.add_argument("--ports-file", type=Path, required=True)
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    asked = parser.parse_args()
    uvloop.run(_serve(asked.ports_file, asked.tls_cert, asked.tls_key))


if __name__ == "__main__":
    main()
