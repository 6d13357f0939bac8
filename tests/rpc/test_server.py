"""The server as a whole: binding, pings, overload, many loops, TLS and its end."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from apart import run_apart
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1.health_pb2 import HealthCheckRequest
from rpc_bench import a_guard
from rpc_rig import Rig, a_call, info_of, serving, status_of

from interlace.v1 import gateway_service_pb2 as pb
from interlace.v1 import gateway_service_pb2_grpc
from interlaced.core.clock import LoopClock
from interlaced.core.model import Call, Effect, Reply
from interlaced.core.ports import Operation
from interlaced.resilience.admission import Admission
from interlaced.resilience.config import PolicyConfig
from interlaced.resilience.stack import ConnectorGuard, compose
from interlaced.rpc.server import BindError, RpcServer, TlsFiles, server_options
from interlaced.rpc.settings import RpcSettings
from interlaced.testing.fakes import make_tools

HERE = Path(__file__).parent


async def test_a_second_server_on_a_taken_port_fails_loudly() -> None:
    """P33: SO_REUSEPORT is off, so that nothing steals half of the connections."""
    async with serving() as rig:
        second = RpcServer(guard=rig.guard, services=(), port=rig.port)
        with pytest.raises(BindError, match=str(rig.port)):
            await second.start()


def test_four_loops_in_one_process_make_no_noise() -> None:
    """P14: no loop's exception handler is called."""
    done = run_apart(HERE / "four_loops.py")
    assert "complaints: 0" in done.stdout, done.stdout + done.stderr


async def test_a_quiet_stream_survives_the_pings_of_both_sides() -> None:
    """P34: the server tolerates what the client package sends."""
    settings = RpcSettings(min_ping_interval=0.1, keepalive_time=0.2, keepalive_timeout=5.0)
    options = [
        ("grpc.keepalive_time_ms", 200),
        ("grpc.keepalive_timeout_ms", 5000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with serving(settings, channel_options=options) as rig:
        stream = rig.stub.Session()
        await stream.read()
        await asyncio.sleep(3)
        await stream.write(pb.SessionRequest(items=[pb.SessionItem(id=1, call=a_call("Echo"))]))
        assert (await stream.read()).replies[0].id == 1


def test_the_options_are_the_documented_pair() -> None:
    """P34, P35: pings every 10 s are tolerated, and gRPC's limit is twice our own."""
    options = dict(server_options(RpcSettings()))
    assert options["grpc.http2.min_recv_ping_interval_without_data_ms"] == 10_000
    assert options["grpc.keepalive_time_ms"] == 60_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.max_receive_message_length"] == 8 * 1024 * 1024
    assert options["grpc.so_reuseport"] == 0


def admitted(rig: Rig, limit: int, seconds: float) -> Admission:
    """Puts the real policies around an upstream that takes its time."""

    async def answer(call: Call) -> Reply:
        await asyncio.sleep(seconds)
        return await rig.upstream.echo(call)

    admission, tools = Admission(limit), make_tools(LoopClock())
    policy = PolicyConfig().overlaid({"bulkhead": {"in_flight": 1000, "queue": 0}})
    handler = compose(
        Operation(name="Echo", effect=Effect.SAFE, attempt=answer),
        policy=policy,
        guard=ConnectorGuard("up", policy, tools),
        admission=admission,
        tools=tools,
        connector="up",
    )
    rig.dispatch.swap({("up", "Echo"): handler}, {})
    return admission


async def goodput(rig: Rig, callers: int, seconds: float) -> tuple[int, set[str]]:
    """Lets so many callers ask again and again; returns the successes and the refusals' reasons."""
    served, reasons, ends = 0, set[str](), time.monotonic() + seconds

    async def one() -> None:
        nonlocal served
        while time.monotonic() < ends:
            try:
                await rig.call(a_call("Echo"))
                served += 1
            except grpc.aio.AioRpcError as error:
                reasons.add(info_of(status_of(error)).reason)
                await asyncio.sleep(0.05)

    await asyncio.gather(*(one() for _ in range(callers)))
    return served, reasons


async def test_overload_sheds_and_leaks_no_permit() -> None:
    """P28, F27: with ten times the callers the capacity is still served, the rest is told to come
    back, and not one permit is lost. How much is served is a question for the benchmarks."""
    async with serving() as rig:
        admission = admitted(rig, limit=10, seconds=0.05)
        alone, none = await goodput(rig, callers=10, seconds=0.5)
        under_load, reasons = await goodput(rig, callers=100, seconds=1.0)
        assert (none, reasons) == (set(), {"OVERLOADED"})
        assert alone >= 10
        assert under_load >= 10
        assert admission.in_flight == 0
        again, _ = await goodput(rig, callers=10, seconds=0.3)
        assert again >= 10
        await rig.until_idle()


async def test_the_last_fence_refuses_and_recovers() -> None:
    """P28: the count of open RPCs holds, and no wave finds less room than the one before."""
    async with serving(RpcSettings(max_rpcs=2)) as rig:
        for _ in range(3):
            answers = await asyncio.gather(
                *(rig.call(a_call("Sleep", seconds=0.1)) for _ in range(8)), return_exceptions=True
            )
            shed = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
            assert len(shed) == 6
            assert {info_of(status_of(error)).reason for error in shed} == {"OVERLOADED"}


async def open_streams(rig: Rig, count: int) -> list[Any]:
    streams = [rig.stub.Session() for _ in range(count)]
    await asyncio.gather(*(stream.read() for stream in streams))
    return streams


async def test_it_stops_in_time_with_50_endless_streams_open() -> None:
    """DELIVERY 5: streams end with a status of ours, not with the axe."""
    async with serving() as rig:
        sessions = await open_streams(rig, 50)
        watch = rig.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert await watch.read() == b"\x08\x01"
        started = time.monotonic()
        await rig.server.stop(2.0)
        assert time.monotonic() - started < 4
        for stream in sessions:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stream.read()
            assert info_of(status_of(caught.value)).reason == "DRAINING"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await watch.read():  # it may be told NOT_SERVING before
                pass
        assert info_of(status_of(caught.value)).reason == "DRAINING"


async def test_who_only_watches_health_does_not_hold_a_shutdown_up() -> None:
    """Every client of ours watches; without this each rolling restart would take half its grace."""
    async with serving() as rig:
        watch = rig.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        assert await watch.read() == b"\x08\x01"
        began = time.monotonic()
        await rig.server.stop(20.0)
        assert time.monotonic() - began < 5, "not the half of 20 s"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await watch.read():  # it may be told NOT_SERVING before
                pass
        assert info_of(status_of(caught.value)).reason == "DRAINING"


async def test_a_call_that_outlives_the_grace_is_told_that_it_may_have_happened() -> None:
    async with serving() as rig:
        running = asyncio.ensure_future(rig.call(a_call("Sleep", seconds=30.0)))
        await rig.until_open()
        await rig.server.stop(0.2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert info_of(status_of(caught.value)).metadata["reached"] == "maybe"
        assert rig.upstream.open == 0


def certificate(folder: Path) -> TlsFiles:
    """Writes a certificate for the loopback that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "cert.pem")
    files.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    files.private_key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


async def test_a_client_certificate_is_asked_for(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    pem, key = files.certificate.read_bytes(), files.private_key.read_bytes()
    async with serving(tls=files) as rig:
        target, request = f"localhost:{rig.port}", pb.CallRequest(call=a_call("Echo"))
        with_one = grpc.ssl_channel_credentials(pem, key, pem)
        async with grpc.aio.secure_channel(target, with_one) as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            assert await stub.Call(request, timeout=10)
        without = grpc.ssl_channel_credentials(pem)
        async with grpc.aio.secure_channel(target, without) as channel:
            stub = gateway_service_pb2_grpc.GatewayServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Call(request, timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stream_that_is_ended_in_its_first_write_has_a_status_of_ours() -> None:
    """DELIVERY 5: gRPC forgets that a head has gone out when the write that carried it is
    cancelled. It then refuses the status, and the RPC stands until the whole grace is over."""

    guard = a_guard()

    async def tell(_request: Any, scope: Any) -> None:
        # It is called in the loop's next turn, before gRPC can have told that the write is done.
        asyncio.get_running_loop().call_soon(lambda: guard.end_rpcs(only_endless=True))
        await scope.write(b"first")
        await asyncio.Event().wait()

    handler = guard.server_stream("test.Tell/Watch", HealthCheckRequest, tell, is_endless=True)
    server = RpcServer(guard=guard, services=[guard.service("test.Tell", {"Watch": handler})])
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            watch = channel.unary_stream("/test.Tell/Watch")(b"")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async with asyncio.timeout(10):
                    while await watch.read() is not grpc.aio.EOF:
                        pass
            assert info_of(status_of(caught.value)).reason == "DRAINING"
    finally:
        await server.stop(0.2)
