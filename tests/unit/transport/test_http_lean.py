"""What is the lean transport's alone; what both must do is in `test_http_both`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
import uvloop
from certificates import Authority
from raw_http import Answer, RawServer, ok

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Effort
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.http_wire import Answered, Wire
from interlaced.transport.tls import TlsSettings


def make(origin: str, **settings: object) -> LeanTransport:
    chosen = HttpSettings(origin=origin, allow=("127.0.0.1/32",), **settings)  # type: ignore[arg-type]  # as named
    return LeanTransport(chosen, LoopClock())


async def send(
    transport: LeanTransport, method: str = "GET", body: bytes | None = None
) -> HttpResponse:
    prepared = transport.prepare(method, [("X-Fixed", "1")])
    request = HttpRequest(prepared, "/a?b=1", [("X-Own", "a\tb")], body, Effort(0.0))
    async with asyncio.timeout(10):
        return await transport.send(request)


async def test_the_head_is_written_as_it_was_prepared() -> None:
    async with RawServer() as server:
        transport = make(server.origin)
        await send(transport, "post", b"hello")
        await transport.close()
        assert (
            bytes(server.received[0])
            == (
                f"POST /a?b=1 HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                "Accept-Encoding: gzip, deflate\r\nX-Fixed: 1\r\nUser-Agent: interlace\r\n"
                "X-Own: a\tb\r\nContent-Length: 5\r\n\r\nhello"
            ).encode()
        )


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://a.example", "a.example"),
        ("http://a.example:80", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://A.example:8443", "a.example:8443"),
        ("http://[::1]:80", "[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://b\xfccher.example", "xn--bcher-kva.example"),
    ],
)
def test_the_host_is_named_as_others_name_it(origin: str, host: str) -> None:
    prepared = make(origin).prepare("GET", ())
    assert f"\r\nHost: {host}\r\n" in prepared.behind  # type: ignore[attr-defined]  # its own


@pytest.mark.parametrize("method", ["CONNECT", "GE T", "GET\r\n", ""])
def test_what_is_no_method_is_refused_at_load(method: str) -> None:
    with pytest.raises(ValueError, match="method"):
        make("http://a.example").prepare(method, ())


async def test_an_agent_of_its_own_is_sent_once() -> None:
    async with RawServer() as server:
        transport = make(server.origin)
        prepared = transport.prepare("GET", [("user-agent", "mine")])
        await transport.send(HttpRequest(prepared, "/", (), None, Effort(0.0)))
        await transport.close()
        assert server.requests[0].headers("user-agent") == ["mine"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_tls_session_is_resumed(
    tmp_path: Path, version: ssl.TLSVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second connection costs no whole handshake; the server says so itself."""
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue())
    context.minimum_version = context.maximum_version = version
    resumed: list[bool] = []
    lost = Wire.connection_lost

    def look(wire: Wire, error: Exception | None) -> None:
        assert isinstance(wire.tls, ssl.SSLObject)
        resumed.append(bool(wire.tls.session_reused))
        lost(wire, error)

    monkeypatch.setattr(Wire, "connection_lost", look)
    answers = [ok(b"{}", "Connection: close") for _ in range(3)]
    async with RawServer(*answers, tls=context) as server:
        transport = make(server.origin, tls=TlsSettings(ca=str(authority.certificate)))
        for _ in range(3):
            await send(transport)
        await transport.close()
    assert resumed == [False, True, True]


async def cut_tls(authority: Authority, *, is_clean: bool) -> bytes | Reason:
    """Returns what becomes of a body that ends with its connection, with or without the close
    notify of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue())

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        if is_clean:
            writer.close()
        else:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    origin = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = make(origin, tls=TlsSettings(ca=str(authority.certificate)))
    try:
        return (await send(transport)).body
    except Failure as failure:
        return failure.reason
    finally:
        await transport.close()
        server.close()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_cut_connection_is_no_end_of_a_body_in_tls(
    tmp_path: Path, run: Callable[[Coroutine[object, object, object]], object]
) -> None:
    """Whoever can cut a connection could else shorten an answer."""
    authority = Authority(tmp_path)
    assert run(cut_tls(authority, is_clean=True)) == b"abc"
    assert run(cut_tls(authority, is_clean=False)) is Reason.UPSTREAM_TRUNCATED


async def test_closing_ends_what_is_under_way_and_leaves_no_connection() -> None:
    async with RawServer(Answer(then="hang")) as server:
        transport = make(server.origin)
        task = asyncio.create_task(send(transport))
        await server.arrived.wait()
        await transport.close()
        with pytest.raises(Failure) as caught:
            await task
        assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
        assert caught.value.reached is Reached.MAYBE
        assert not transport._wires


async def test_a_connection_that_is_lost_at_once_was_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may go between the connect and the first byte; closing does not wait for it."""
    transport = make("http://127.0.0.1:9")

    async def dial(factory: Callable[[], Wire]) -> Wire:
        wire = factory()
        wire.connection_made(asyncio.Transport())
        wire.connection_lost(ConnectionResetError())
        return wire

    monkeypatch.setattr(transport._dialer, "dial", dial)
    with pytest.raises(Failure) as caught:
        await send(transport)
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert caught.value.reached is Reached.NOT_SENT
    await transport.close()


async def test_an_upload_that_nobody_reads_ends_with_its_caller() -> None:
    """P19: a caller that gives up while its body waits to be sent closes the connection."""

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.wait()
        writer.close()

    arrived = asyncio.Event()
    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    transport = make(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    task = asyncio.create_task(send(transport, "POST", b"x" * 32_000_000))
    while not any(wire._blocked for wire in transport._wires):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await transport.close()
    assert not transport._wires
    arrived.set()
    server.close()
    await server.wait_closed()


async def begin(
    transport: LeanTransport, method: str = "GET", body: bytes | None = None, target: str = "/a"
) -> Answered | None:
    """Sends on the short way; None if it is declined."""
    prepared = transport.prepare(method, [])
    waiter: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
    request = HttpRequest(prepared, target, [], body, Effort(0.0))
    if transport.begin(request, waiter.set_result) is None:
        assert request.effort.reached is Reached.NOT_SENT
        return None
    assert request.effort.reached is Reached.MAYBE
    async with asyncio.timeout(10):
        answer = await waiter
    assert request.effort.reached is Reached.REPLIED
    return answer


async def test_on_an_idle_connection_a_request_needs_no_wait() -> None:
    async with RawServer() as server:
        transport = make(server.origin)
        assert await begin(transport) is None  # there is none yet
        await send(transport)
        for method, body in (("GET", None), ("POST", b"hello"), ("POST", b"")):
            answer = await begin(transport, method, body)
            assert isinstance(answer, HttpResponse)
            assert answer.status == 200
        assert [seen.body for seen in server.requests] == [b"", b"", b"hello", b""]
        assert len(server.received) == 1
        assert await begin(transport, "HEAD") is None
        assert await begin(transport, "POST", b"x" * 300_000) is None
        with pytest.raises(Failure) as caught:
            await begin(transport, target="/a b")
        assert caught.value.reason is Reason.INVALID_REQUEST
        await transport.close()


async def test_what_is_dropped_on_the_short_way_is_never_used_again() -> None:
    async with RawServer(ok(b"{}"), Answer(then="hang")) as server:
        transport = make(server.origin)
        await send(transport)
        request = HttpRequest(transport.prepare("GET", []), "/a", [], None, Effort(0.0))
        answers: list[Answered] = []
        wire = transport.begin(request, answers.append)
        assert wire is not None
        wire.drop()
        assert await begin(transport) is None
        await transport.close()
        assert not transport._wires


async def test_a_caller_that_leaves_when_its_answer_is_there_takes_nobody_elses_along() -> None:
    """The connection may carry the next request already when the cancelled one hears of it."""
    async with RawServer() as server:
        transport = make(server.origin)
        await send(transport)
        task = asyncio.create_task(send(transport))
        (wire,) = transport._wires
        while len(transport._pool) != 0:
            await asyncio.sleep(0)
        while len(transport._pool) != 1:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert wire.is_open
        await transport.close()
