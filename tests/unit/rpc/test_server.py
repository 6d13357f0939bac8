"""The server alone; tests/rpc/test_server.py proves it over the wire."""

from __future__ import annotations

from rpc_bench import a_guard

from interlaced.rpc.server import RpcServer, server_options
from interlaced.rpc.settings import RpcSettings


async def test_port_0_takes_a_free_one_and_stop_can_be_said_twice() -> None:
    server = RpcServer(guard=a_guard(), services=())
    assert 0 < await server.start() < 65536
    await server.stop(0.1)
    await server.stop(0.1)


async def test_a_drain_tells_everybody_once() -> None:
    told: list[str] = []
    guard = a_guard()
    server = RpcServer(
        guard=guard, services=(), on_drain=(lambda: told.append("a"), lambda: told.append("b"))
    )
    server.begin_drain()
    server.begin_drain()
    assert (told, guard.is_draining) == (["a", "b"], True)


async def test_the_loopback_of_ipv6_is_an_address_too() -> None:
    server = RpcServer(guard=a_guard(), services=(), host="::1")
    try:
        assert await server.start()
    finally:
        await server.stop(0.1)


def test_the_limits_are_in_the_options() -> None:
    """T25: metadata and streams are bounded before anything of ours runs."""
    options = dict(server_options(RpcSettings(max_metadata=1000, max_streams=7)))
    assert options["grpc.max_metadata_size"] == 1000
    assert options["grpc.absolute_max_metadata_size"] == 2000
    assert options["grpc.max_concurrent_streams"] == 7
