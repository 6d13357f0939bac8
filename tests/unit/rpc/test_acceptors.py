"""Many RPCs are taken on at a time, and a server that stops ends all who wait for one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import grpc
import grpc.aio
import pytest
from structlog.testing import capture_logs

from interlaced.rpc import acceptors as module
from interlaced.rpc.acceptors import ACCEPTORS, Acceptors


async def echo(request: bytes, _context: object) -> bytes:
    return request


def handlers() -> list[grpc.GenericRpcHandler]:
    method = grpc.unary_unary_rpc_method_handler(echo)
    return [grpc.method_handlers_generic_handler("Echo", {"Say": method})]


async def serving(count: int = ACCEPTORS) -> tuple[grpc.aio.Server, Acceptors, str]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    more = Acceptors(server, handlers(), count)
    more.start()
    return server, more, f"127.0.0.1:{port}"


class Requests:
    """Counts how many RPCs are asked for at most, at one time."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.open = self.most = self.served = 0

    def is_running(self) -> bool:
        running: bool = self._server.is_running()
        return running

    async def _request_call(self) -> object:
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            return await self._server._request_call()
        finally:
            self.open -= 1
            self.served += 1


async def test_each_acceptor_has_asked_for_an_rpc_before_one_comes() -> None:
    server, more, address = await serving(0)
    requests = Requests(server._server)  # type: ignore[attr-defined]  # grpc.aio's inside
    many = Acceptors(SimpleNamespace(_server=requests), handlers(), 5)  # type: ignore[arg-type]
    many.start()
    while requests.open < 5:
        await asyncio.sleep(0)
    async with grpc.aio.insecure_channel(address) as channel:
        say = channel.unary_unary("/Echo/Say")
        answers = await asyncio.gather(*(say(b"%d" % number) for number in range(50)))
    assert answers == [b"%d" % number for number in range(50)]
    assert requests.most == 5
    assert requests.served >= 30  # the server's own takes its part
    await server.stop(None)
    await many.stopped()
    await more.stopped()
    assert (len(many), requests.open) == (0, 0)


async def test_all_end_with_the_server_and_none_before() -> None:
    server, more, _ = await serving()
    await asyncio.sleep(0)
    assert len(more) == ACCEPTORS
    await server.stop(None)
    await more.stopped()
    assert len(more) == 0


async def test_rpcs_under_way_end_within_the_grace_of_a_stop() -> None:
    server, more, address = await serving()
    async with grpc.aio.insecure_channel(address) as channel:
        say = channel.unary_unary("/Echo/Say")
        calls = [say(b"x") for _ in range(20)]
        await calls[0]
        await server.stop(5)
        await more.stopped()
        ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(end == b"x" or isinstance(end, grpc.aio.AioRpcError) for end in ended)


async def test_a_request_that_fails_is_made_again_and_a_bug_is_told() -> None:
    lost, bug = module.cygrpc._RequestCallError(), ValueError("a bug")
    ends: list[Exception] = [lost, lost, bug]

    class Broken:
        def is_running(self) -> bool:
            return True

        async def _request_call(self) -> object:
            raise ends.pop(0)

    more = Acceptors(SimpleNamespace(_server=Broken()), handlers(), 1)  # type: ignore[arg-type]
    with capture_logs() as told:
        more.start()
        await more.stopped()
    assert [(line["event"], line["exc_info"]) for line in told] == [("rpc.bug", bug)]
    assert ends == []


@pytest.mark.parametrize("name", ["_handle_rpc", "_schedule_rpc_coro", "_RequestCallError"])
async def test_a_version_of_grpcio_without_it_is_left_alone(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(module.cygrpc, name)
    more = Acceptors(grpc.aio.server(), handlers())
    more.start()
    assert len(more) == 0


async def test_a_version_of_grpcio_with_other_parameters_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handle(method_name: str, method_resolver: object) -> None:
        """As newer versions have it."""

    monkeypatch.setattr(module.cygrpc, "_handle_rpc", handle)
    more = Acceptors(grpc.aio.server(), handlers())
    more.start()
    assert len(more) == 0


def test_the_pinned_version_is_the_one_that_is_known() -> None:
    assert module._is_known()
