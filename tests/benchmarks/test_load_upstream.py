"""The canned upstream answers, counts what it answered, and refuses what it does not know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime

import pytest
from benchmarks.load.bodies import body
from benchmarks.load.upstream import SLOW_SECONDS, Upstream, answer_to


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def ask(port: int, data: bytes, answers: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for place in range(0, len(data), 7):  # in pieces: heads arrive as they like
        writer.write(data[place : place + 7])
        await writer.drain()
    found = b""
    async with asyncio.timeout(30):
        while found.count(b"HTTP/1.1 ") < answers or not found.rstrip().endswith((b"}", b"2")):
            found += await reader.read(65_536)
    writer.close()
    await writer.wait_closed()
    return found


async def test_requests_are_answered_in_turn_and_counted(port: int) -> None:
    def request(path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    before = int((await ask_count(port)).rpartition(b"\n")[2])
    answer = await ask(port, request("/json/500") * 2, 2)
    assert answer.count(body("json", 500)) == 2
    assert int((await ask_count(port)).rpartition(b"\n")[2]) == before + 2


async def ask_count(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n")
    head = await reader.readuntil(b"\r\n\r\n")
    size = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    found = head + await reader.readexactly(size)
    writer.close()
    await writer.wait_closed()
    return found


@pytest.mark.parametrize("line", [b"GET /xml/5 HTTP/1.1", b"GET /json/x HTTP/1.1", b"GET / HTTP"])
def test_an_unknown_path_is_not_found(line: bytes) -> None:
    assert answer_to(line)[0].startswith(b"HTTP/1.1 404")


def test_another_method_is_not_allowed_and_the_slow_path_is_slow() -> None:
    assert answer_to(b"POST /json/500 HTTP/1.1")[0].startswith(b"HTTP/1.1 405")
    assert answer_to(b"GET /slow/500 HTTP/1.1")[2] == SLOW_SECONDS


async def test_no_head_comes_twice(port: int) -> None:
    """Were it so, a client that remembers heads would be flattered."""
    answers = await ask(port, 3 * b"GET /json/500 HTTP/1.1\r\nHost: x\r\n\r\n", 3)
    heads = [answer.partition(b"\r\n\r\n")[0] for answer in answers.split(b"HTTP/1.1 ")[1:]]
    assert len(set(heads)) == 3
    assert all(b"\r\nX-Request-Id: " in head for head in heads)


def test_its_date_is_the_present_second() -> None:
    head, _, _ = answer_to(b"GET /json/100 HTTP/1.1")
    told = next(line for line in head.split(b"\r\n") if line.startswith(b"Date: "))
    said = parsedate_to_datetime(told[6:].decode()).timestamp()
    assert abs(time.time() - said) < 60
