from __future__ import annotations

import asyncio
import socket
import ssl
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websocket_rig import ALLOWED, Script, scripted
from websockets.asyncio.server import ServerConnection

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.testing.clock import VirtualClock
from interlaced.transport.egress import EgressGuard
from interlaced.transport.tls import TlsSettings, client_context
from interlaced.transport.websocket import (
    CONNECTION_LOST,
    FrameKind,
    WebSocketConnection,
    WebSocketSettings,
    connect,
)

CLOCK = LoopClock()


def settings(url: str, **changes: object) -> WebSocketSettings:
    values: dict[str, object] = {"url": url, "guard": EgressGuard(ALLOWED), **changes}
    return WebSocketSettings(**values)  # type: ignore[arg-type]  # tests change single fields


@asynccontextmanager
async def connected(
    script: Script, *, options: dict[str, object] | None = None, **changes: object
) -> AsyncIterator[WebSocketConnection]:
    async with scripted(script, **(options or {})) as server:
        connection = await connect(settings(server.url, **changes), CLOCK)
        try:
            yield connection
        finally:
            await connection.close(CLOCK)


async def echo(server: ServerConnection) -> None:
    async for message in server:
        await server.send(message)


async def failure_of(url: str, **changes: object) -> Failure:
    with pytest.raises(Failure) as caught:
        await connect(settings(url, **changes), CLOCK)
    return caught.value


async def test_text_and_bytes_go_there_and_back() -> None:
    async with connected(echo) as connection:
        await connection.send("zwölf")
        await connection.send(b"\x00\xff")
        text, data = await connection.receive(), await connection.receive()
        assert (text.kind, text.data.decode()) == (FrameKind.TEXT, "zwölf")
        assert (data.kind, data.data) == (FrameKind.BINARY, b"\x00\xff")


async def test_a_megabyte_in_ten_thousand_fragments_arrives_whole() -> None:
    """F33: a frame of 1 MiB split in 10,000."""
    piece = b"x" * 105

    async def fragments(server: ServerConnection) -> None:
        await server.send(piece for _ in range(10_000))

    async with connected(fragments) as connection:
        frame = await connection.receive()
        assert frame.data == piece * 10_000


async def test_a_ping_is_answered_and_seen() -> None:
    answered = asyncio.Event()

    async def pings(server: ServerConnection) -> None:
        await (await server.ping())
        answered.set()

    async with connected(pings) as connection:
        assert (await connection.receive()).kind is FrameKind.CONTROL
        await asyncio.wait([asyncio.create_task(answered.wait())], timeout=5)
        assert answered.is_set()


async def test_our_ping_brings_a_sign_of_life() -> None:
    async with connected(echo) as connection:
        await connection.ping()
        assert (await connection.receive()).kind is FrameKind.CONTROL


@pytest.mark.parametrize("code", [1000, 1008, 1012, 1013, 4000])
async def test_the_close_code_arrives(code: int) -> None:
    async def closes(server: ServerConnection) -> None:
        await server.close(code)

    async with connected(closes) as connection:
        frame = await connection.receive()
        assert (frame.kind, frame.code) == (FrameKind.CLOSED, code)


@pytest.mark.parametrize("is_reset", [True, False])
async def test_an_end_without_a_close_frame_is_1006(is_reset: bool) -> None:
    """F33: aiohttp calls an orderly end of the stream 1000, which would be a lie."""

    async def vanishes(server: ServerConnection) -> None:
        if is_reset:
            server.transport.abort()
        else:
            server.transport.close()

    async with connected(vanishes) as connection:
        frame = await connection.receive()
        assert (frame.kind, frame.code) == (FrameKind.CLOSED, CONNECTION_LOST)


async def test_the_largest_message_passes_and_one_byte_more_does_not() -> None:
    async def sends(server: ServerConnection) -> None:
        await server.send("x" * 1000)
        await server.send("x" * 1001)

    async with connected(sends, max_frame=1000) as connection:
        assert len((await connection.receive()).data) == 1000
        with pytest.raises(Failure) as caught:
            await connection.receive()
        assert caught.value.reason is Reason.TOO_LARGE


async def test_a_compression_bomb_stops_at_the_limit() -> None:
    """T5: permessage-deflate, 64 MiB of nothing in 64 KiB."""

    async def bomb(server: ServerConnection) -> None:
        await server.send(b"\0" * 2**26)

    async with connected(bomb, is_compressed=True, max_frame=100_000) as connection:
        with pytest.raises(Failure) as caught:
            await connection.receive()
        assert caught.value.reason is Reason.TOO_LARGE


async def test_compression_is_used_where_it_is_offered() -> None:
    async with connected(echo, is_compressed=True) as connection:
        await connection.send("a" * 10_000)
        assert (await connection.receive()).data == b"a" * 10_000


async def test_abort_ends_a_receive_at_once() -> None:
    async with connected(echo) as connection:
        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        connection.abort()
        connection.abort()
        frame = await receiving
        assert (frame.kind, frame.code) == (FrameKind.CLOSED, CONNECTION_LOST)


async def test_abort_ends_a_send_to_a_peer_that_reads_nothing() -> None:
    """P20: a write that waits for a peer that is gone must not wait for ever."""

    async def reads_nothing(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await server.wait_closed()

    async with connected(reads_nothing) as connection:
        sending = asyncio.create_task(connection.send(b"x" * 2**25))
        done, _ = await asyncio.wait([sending], timeout=0.2)
        assert not done
        connection.abort()
        with pytest.raises(Failure) as caught:
            await sending
        assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE


async def test_close_does_not_wait_for_a_peer_that_is_silent() -> None:
    """P20: a polite close has hung for minutes."""

    over = asyncio.Event()

    async def silent(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await over.wait()
        server.transport.abort()

    async with connected(silent) as connection:
        async with asyncio.timeout(5):
            await connection.close(CLOCK)
        assert not over.is_set(), "the peer was still silent"
        over.set()


async def test_a_cancelled_receive_loses_nothing() -> None:
    go = asyncio.Event()

    async def waits(server: ServerConnection) -> None:
        await go.wait()
        await server.send("late")
        await server.wait_closed()

    async with connected(waits) as connection:
        receiving = asyncio.create_task(connection.receive())
        await asyncio.sleep(0)
        receiving.cancel()
        await asyncio.wait([receiving])
        go.set()
        assert (await connection.receive()).data == b"late"


async def test_headers_and_protocols_go_with_the_handshake() -> None:
    async with scripted(echo, subprotocols=["ticks.v1"]) as server:
        connection = await connect(
            settings(server.url, headers=(("X-Key", "k1"),), protocols=("ticks.v1",)), CLOCK
        )
        await connection.close(CLOCK)
        assert server.headers[0]["X-Key"] == "k1"
        assert server.headers[0]["Sec-WebSocket-Protocol"] == "ticks.v1"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "0x7f.0.0.1", "2130706433", "[::ffff:127.0.0.1]"]
)
async def test_a_private_address_is_refused_in_every_spelling_with_no_connect(host: str) -> None:
    """T1, P48: the address that is connected to is checked, however it is written."""
    async with scripted(echo) as server:
        failure = await failure_of(f"ws://{host}:{server.port}/feed", guard=EgressGuard())
        assert failure.reason is Reason.EGRESS_DENIED
        assert "127" not in failure.message
        assert server.connections == 0


async def test_a_name_with_one_private_address_is_refused() -> None:
    """P48: a name that resolves to public and private addresses cannot choose."""

    async def both(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    async with scripted(echo) as server:
        failure = await failure_of(
            f"ws://name.example:{server.port}/feed", guard=EgressGuard(), resolve=both
        )
        assert failure.reason is Reason.EGRESS_DENIED
        assert server.connections == 0


async def test_a_name_without_an_address_is_a_failed_connect() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return []

    failure = await failure_of("ws://name.example/feed", guard=EgressGuard(), resolve=nowhere)
    assert failure.reason is Reason.UPSTREAM_CONNECT


@asynccontextmanager
async def answering(status: int, headers: dict[str, str] | None = None) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.add_routes([web.get("/feed", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"ws://{host}:{port}/feed"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (200, Reason.UPSTREAM_MALFORMED),
        (400, Reason.UPSTREAM_REJECTED),
        (401, Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (403, Reason.UPSTREAM_CREDENTIALS_REJECTED),
        (404, Reason.UPSTREAM_NOT_FOUND),
        (429, Reason.UPSTREAM_RATE_LIMITED),
        (500, Reason.UPSTREAM_FAILED),
        (501, Reason.UPSTREAM_UNSUPPORTED),
        (503, Reason.UPSTREAM_UNAVAILABLE),
    ],
)
async def test_a_refused_handshake_is_told_by_its_status(status: int, reason: Reason) -> None:
    async with answering(status, {"Retry-After": "7"}) as url:
        failure = await failure_of(url)
        assert failure.reason is reason
        assert failure.context["upstream_status"] == str(status)
        assert failure.retry_after == 7.0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1"])
async def test_no_cause_holds_the_credentials_or_the_address(host: str) -> None:
    """P49: aiohttp's own error prints the whole address and holds every header."""
    async with answering(401) as url:
        failure = await failure_of(
            url.replace("127.0.0.1", host) + "?token=s3cret", headers=(("Authorization", "s3cret"),)
        )
    text = "".join(traceback.format_exception(failure))
    assert "s3cret" not in text.replace('"s3cret"', "")
    assert failure.__cause__ is not None
    assert "s3cret" not in str(vars(failure.__cause__))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with scripted(echo) as server:
        target = server.url.replace("ws:", "http:")
        async with answering(status, {"Location": target}) as url:
            assert (await failure_of(url)).reason is Reason.UPSTREAM_REJECTED
        assert server.connections == 0


async def test_a_closed_port_is_a_failed_connect() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can get it
        failure = await failure_of(f"ws://127.0.0.1:{bound.getsockname()[1]}/feed")
    assert failure.reason is Reason.UPSTREAM_CONNECT


async def test_a_server_that_does_not_speak_http_is_malformed_or_gone() -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x01 not http\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        failure = await failure_of(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/feed")
    assert failure.reason in (Reason.UPSTREAM_MALFORMED, Reason.UPSTREAM_UNAVAILABLE)


def test_a_handshake_that_hangs_ends_at_the_connect_timeout() -> None:
    clock = VirtualClock()

    async def main() -> Failure:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()  # the kernel connects, and nobody ever answers
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/feed"
            with pytest.raises(Failure) as caught:
                await connect(settings(url, connect_timeout=2.0), clock)
        return caught.value

    assert clock.run(main()).reason is Reason.UPSTREAM_TIMEOUT


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(certificate, key)
    async with scripted(echo, ssl=server_side) as server:
        url = server.url.replace("ws:", "wss:").replace("127.0.0.1", "localhost")
        allowed = EgressGuard(["127.0.0.1/32", "::1/128"])
        failure = await failure_of(url, guard=allowed, tls=client_context(TlsSettings()))
        assert failure.reason is Reason.UPSTREAM_TLS

        trusting = client_context(TlsSettings(ca=str(certificate)))
        connection = await connect(settings(url, guard=allowed, tls=trusting), CLOCK)
        await connection.send("hush")
        assert (await connection.receive()).data == b"hush"
        connection.abort()
        assert (await connection.receive()).code == CONNECTION_LOST
        await connection.close(CLOCK)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Makes a certificate for localhost that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


def test_secrets_in_headers_are_not_shown() -> None:
    assert "s3cret" not in repr(settings("ws://x/", headers=(("Authorization", "s3cret"),)))
