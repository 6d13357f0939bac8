"""The fault proxy does to a connection what its script says, and no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from interlaced.testing.fault_proxy import FaultProxy, Faults

TEXT = bytes(range(256)) * 40


@asynccontextmanager
async def echo() -> AsyncIterator[FaultProxy]:
    """A proxy before a server that sends back what it gets."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass  # the other side is gone, or the test is over
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(10), FaultProxy("127.0.0.1", port) as proxy:
        yield proxy
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Talk:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, data: bytes) -> bytes:
        await self.say(data)
        return await self.reader.readexactly(len(data))


@asynccontextmanager
async def talk(proxy: FaultProxy) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield Talk(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)


async def test_without_faults_it_passes_bytes_and_ends_both_ways() -> None:
    async with echo() as proxy, talk(proxy) as client:
        assert await client.ask(TEXT) == TEXT
        assert (proxy.accepted, proxy.connections, proxy.request_bytes) == (1, 1, len(TEXT))
        client.writer.write_eof()
        assert await client.reader.read() == b""
        await proxy.idle()
        assert proxy.connections == 0


async def test_latency_bandwidth_and_slices_change_no_byte() -> None:
    for faults in (Faults(latency=0.05), Faults(bandwidth=100_000), Faults(slicer=3)):
        async with echo() as proxy:
            proxy.script(faults)
            loop = asyncio.get_running_loop()
            async with talk(proxy) as client:
                started = loop.time()
                assert await client.ask(TEXT) == TEXT
                assert faults.slicer or loop.time() - started >= 0.04


async def test_a_reset_comes_at_its_byte() -> None:
    async with echo() as proxy:
        proxy.script(Faults(reset_after=100))
        async with talk(proxy) as client:
            await client.say(TEXT)
            with pytest.raises(ConnectionResetError):
                await client.reader.readexactly(101)


async def test_the_data_ends_at_its_limit() -> None:
    async with echo() as proxy:
        proxy.script(Faults(limit_data=100))
        async with talk(proxy) as client:
            await client.say(TEXT[:500])
            assert await client.reader.read() == TEXT[:100]


async def test_a_reset_of_the_request_lets_only_so_many_bytes_through() -> None:
    async with echo() as proxy:
        proxy.script(Faults(reset_request_after=10))
        async with talk(proxy) as client:
            assert await client.ask(TEXT[:10]) == TEXT[:10]
            await client.say(b"x")
            with pytest.raises(ConnectionResetError):
                await client.reader.read(1)


async def test_one_byte_is_corrupted() -> None:
    async with echo() as proxy:
        proxy.script(Faults(corrupt_at=5))
        async with talk(proxy) as client:
            assert await client.ask(bytes(10)) == bytes(5) + b"\xff" + bytes(4)
            assert await client.ask(bytes(10)) == bytes(10)


async def test_a_half_closed_answer_still_takes_requests() -> None:
    async with echo() as proxy:
        proxy.script(Faults(half_close=True))
        async with talk(proxy) as client:
            await client.say(b"abc")
            await client.reader.read()
            await client.say(b"more")
            assert client.reader.at_eof()


async def test_a_black_hole_swallows_and_gives_back_after_healing() -> None:
    async with echo() as proxy, talk(proxy) as client:
        assert await client.ask(b"before") == b"before"
        proxy.script(Faults(blackhole=True))
        await client.say(b"during")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.reader.read(1)
        assert proxy.connections == 1
        proxy.heal()
        assert await client.reader.readexactly(6) == b"during"


async def test_refusing_leaves_open_connections_and_keeps_the_port() -> None:
    async with echo() as proxy, talk(proxy) as client:
        await client.ask(b"a")
        proxy.script(Faults(refuse=True))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await client.ask(b"b") == b"b"
        proxy.heal()
        async with talk(proxy) as other:
            assert await other.ask(b"c") == b"c"


async def test_a_cut_resets_everything_that_is_open() -> None:
    async with echo() as proxy, talk(proxy) as one, talk(proxy) as two:
        await one.ask(b"a")
        await two.ask(b"b")
        proxy.cut()
        for client in (one, two):
            with pytest.raises(ConnectionResetError):
                await client.reader.read(1)
        await proxy.idle()
        async with talk(proxy) as other:
            assert await other.ask(b"c") == b"c"


async def test_scripts_of_their_own_go_to_the_connections_that_come_next() -> None:
    async with echo() as proxy:
        proxy.script_next(Faults(limit_data=1), Faults())
        for expected in (b"a", b"abc", b"abc"):
            async with talk(proxy) as client:
                await client.say(b"abc")
                assert await client.reader.read(3) == expected


async def test_leaving_closes_everything() -> None:
    before = asyncio.all_tasks()
    async with echo() as proxy:
        proxy.script(Faults(blackhole=True))
        async with talk(proxy) as client:
            await client.say(b"a")
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.01)
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
