"""The mirror answers what was sent right, and refuses whatever saves work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import msgpack
import pytest
from benchmarks.load.bodies import MEDIA_TYPES, body
from benchmarks.load.mirror import Mirror, document


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(Mirror, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


def post(path: str, content: bytes, media_type: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nContent-Type: {media_type}\r\nContent-Length: {len(content)}"
    return head.encode() + b"\r\n\r\n" + content


async def ask(port: int, request: bytes, *, piece: int = 1_000) -> list[tuple[bytes, bytes]]:
    """Sends requests in pieces on one connection; returns heads and bodies until it is idle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for place in range(0, len(request), piece):
        writer.write(request[place : place + piece])
        await writer.drain()
    writer.write(b"GET /count HTTP/1.1\r\n\r\n")
    found: list[tuple[bytes, bytes]] = []
    async with asyncio.timeout(30):
        while not found or b"text/plain" not in found[-1][0] or not found[-1][1].isdigit():
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
            found.append((head, await reader.readexactly(size)))
    writer.close()
    await writer.wait_closed()
    return found


@pytest.mark.parametrize("kind", ["json", "msgpack", "protobuf", "packed"])
async def test_what_is_sent_right_comes_back_however_it_is_cut(port: int, kind: str) -> None:
    content, media_type = document(kind, 10_000)
    request = post(f"/{kind}/10000", content, media_type) * 2
    first, second, (_, after) = await ask(port, request)
    assert first[1] == second[1] == content
    assert first[0].startswith(b"HTTP/1.1 200 OK")
    assert first[0] != second[0]  # no head comes twice
    [(_, again)] = await ask(port, b"")
    assert after == again  # asking for the count is no request that counts


@pytest.mark.parametrize(
    ("path", "content", "media_type", "status"),
    [
        pytest.param("/json/1000", b"{}", "application/json", b"400", id="less"),
        pytest.param("/json/1000", body("json", 1_000), "text/plain", b"400", id="other type"),
        pytest.param("/json/1000", b"x" * 1_000, "application/json", b"400", id="other bytes"),
        pytest.param("/xml/1000", b"", "text/plain", b"404", id="no such kind"),
    ],
)
async def test_whatever_else_is_sent_is_refused(
    port: int, path: str, content: bytes, media_type: str, status: bytes
) -> None:
    first, _ = await ask(port, post(path, content, media_type))
    assert first[0].startswith(b"HTTP/1.1 " + status)


def test_what_is_packed_is_the_json_document() -> None:
    content, media_type = document("packed", 1_000)
    assert media_type == MEDIA_TYPES["msgpack"]
    assert msgpack.unpackb(content) == json.loads(body("json", 1_000))
