"""The server alone; tests/rpc/test_server.py proves it over the wire."""

from __future__ import annotations

from pathlib import Path

import grpc
import grpc.aio
import pytest
from rpc_bench import a_guard
from structlog.testing import capture_logs

from interlaced.rpc.server import BindError, RpcServer, TlsFiles, server_options, spell_address
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


@pytest.mark.parametrize("host", ["::1", "[::1]"])
async def test_the_loopback_of_ipv6_is_an_address_too(host: str) -> None:
    server = RpcServer(guard=a_guard(), services=(), host=host)
    try:
        assert await server.start()
    finally:
        await server.stop(0.1)


def test_addresses_are_spelled_as_everybody_reads_them() -> None:
    assert spell_address("127.0.0.1", 7) == "127.0.0.1:7"
    assert spell_address("::1", 7) == spell_address("[::1]", 7) == "[::1]:7"
    assert spell_address("unix:/run/interlace.sock", 7) == "unix:/run/interlace.sock"


async def test_p33_a_unix_socket_that_another_server_has_is_not_taken_away(tmp_path: Path) -> None:
    host = f"unix:{tmp_path}/s"
    server = RpcServer(guard=a_guard(), services=(), host=host)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(host) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/s/Nothing")(b"", timeout=5)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(BindError, match="another server does"):
            await RpcServer(guard=a_guard(), services=(), host=host).start()
    finally:
        await server.stop(0.1)
    late = RpcServer(guard=a_guard(), services=(), host=host)
    await late.start()
    await late.stop(0.1)


async def test_pem_files_that_are_none_end_it_in_our_words(tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    with pytest.raises(BindError, match=r"^server\.pem: cannot be read$"):
        await RpcServer(guard=a_guard(), services=(), tls=TlsFiles(pem, pem)).start()
    pem.write_text("no certificate")
    with pytest.raises(BindError, match="or a PEM file wrong"):
        await RpcServer(guard=a_guard(), services=(), tls=TlsFiles(pem, pem)).start()


async def test_a_protobuf_without_its_compiled_core_is_told(monkeypatch) -> None:
    monkeypatch.setattr("google.protobuf.internal.api_implementation.Type", lambda: "python")
    server = RpcServer(guard=a_guard(), services=())
    with capture_logs() as records:
        await server.start()
        await server.stop(0.1)
    assert [record["event"] for record in records] == ["server.slow_protobuf"]


def test_the_limits_are_in_the_options() -> None:
    """T25: metadata and streams are bounded before anything of ours runs."""
    options = dict(server_options(RpcSettings(max_metadata=1000, max_streams=7)))
    assert options["grpc.max_metadata_size"] == 1000
    assert options["grpc.absolute_max_metadata_size"] == 2000
    assert options["grpc.max_concurrent_streams"] == 7


@pytest.mark.parametrize(("is_shared", "told"), [(False, 0), (True, 1)])
def test_p33_only_workers_of_a_group_share_a_port(is_shared: bool, told: int) -> None:
    options = dict(server_options(RpcSettings(), is_shared=is_shared))
    assert options["grpc.so_reuseport"] == told
