"""The serving loop wakes once for all that gRPC has completed."""

from __future__ import annotations

import asyncio
import functools
import socket

import grpc
import grpc.aio

from interlaced.rpc.loop import ServingLoop


class PollerCompletionQueue:
    """Reads as gRPC's does: one byte a time."""

    def __init__(self, wakes: socket.socket) -> None:
        self.wakes = wakes
        self.calls = 0

    def handle(self, _loop: object) -> None:
        self.calls += 1
        assert len(self.wakes.recv(1)) == 1


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0.001)


def test_surplus_wakes_are_taken_together_and_one_is_left() -> None:
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    queue = PollerCompletionQueue(reader)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, functools.partial(queue.handle, loop))
        writer.send(b"1" * 100)
        await _turns(5)
        assert queue.calls == 1
        writer.send(b"1")
        await _turns(5)
        assert queue.calls == 2
        loop.remove_reader(reader)

    with reader, writer, asyncio.Runner(loop_factory=ServingLoop) as runner:
        runner.run(main())


def test_other_sockets_are_left_alone() -> None:
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    got: list[bytes] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(reader, lambda: got.append(reader.recv(2)))
        writer.send(b"abcd")
        await _turns(5)
        loop.remove_reader(reader)

    with reader, writer, asyncio.Runner(loop_factory=ServingLoop) as runner:
        runner.run(main())
    assert b"".join(got) == b"abcd"


def test_grpc_is_served_on_it() -> None:
    async def echo(request: bytes, _context: object) -> bytes:
        return request

    async def main() -> list[bytes]:
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(echo)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("test.Echo", {"Echo": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/test.Echo/Echo")
            answers = await asyncio.gather(*(call(b"%d" % number) for number in range(200)))
        await server.stop(None)
        return list(answers)

    with asyncio.Runner(loop_factory=ServingLoop) as runner:
        assert runner.run(main()) == [b"%d" % number for number in range(200)]
