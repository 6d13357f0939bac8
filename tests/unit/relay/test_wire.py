"""Messages on a Unix socket."""

from __future__ import annotations

import asyncio
import stat
import struct
from pathlib import Path

import pytest

from interlaced.relay.wire import MOST_BYTES, Listener, WireError, framed, read_message


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_messages_come_one_by_one_and_then_the_end() -> None:
    reader = stream(framed(b"one") + framed(b"") + framed(b"three"))
    assert [await read_message(reader) for _ in range(3)] == [b"one", b"", b"three"]
    with pytest.raises(EOFError):
        await read_message(reader)


async def test_a_message_that_is_cut_or_too_long_is_none() -> None:
    with pytest.raises(EOFError):
        await read_message(stream(framed(b"one")[:-1]))
    with pytest.raises(WireError):
        await read_message(stream(struct.pack(">I", MOST_BYTES + 1)))
    with pytest.raises(WireError):
        framed(bytes(MOST_BYTES + 1))


async def test_a_listener_replaces_what_a_dead_process_left_and_belongs_to_this_user(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(framed(await read_message(reader)))

    for word in (b"one", b"two"):
        listener = Listener(echo, most=1)
        await listener.start(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(framed(word))
        assert await read_message(reader) == word
        assert await reader.read() == b""
        writer.close()
        await listener.close()


async def test_a_listener_bounds_its_connections_and_ends_them(tmp_path: Path) -> None:
    path = tmp_path / "s"
    served = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        served.set()
        await reader.read()

    listener = Listener(wait, most=1)
    await listener.start(path)
    first, one = await asyncio.open_unix_connection(path)
    await served.wait()
    second, two = await asyncio.open_unix_connection(path)
    assert await second.read() == b""
    await listener.close()
    assert await first.read() == b""
    one.close()
    two.close()


async def test_who_was_let_in_as_it_closed_is_sent_away(tmp_path: Path) -> None:
    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    closed, let_in = Listener(wait, most=5), asyncio.Event()
    await closed.start(tmp_path / "closed")
    await closed.close()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        closed._accept(reader, writer)  # what the loop does when it had accepted before the end
        let_in.set()
        await asyncio.sleep(0)

    other = Listener(late, most=5)
    await other.start(tmp_path / "other")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "other")
    await let_in.wait()
    assert await reader.read() == b""
    assert not closed._tasks
    writer.close()
    await other.close()
