"""Both transports, beyond what the suite asks of every one."""

from __future__ import annotations

import asyncio
import gzip
import os
import socket
import ssl
import threading
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from certificates import Authority
from raw_http import Answer, RawServer, ok
from short_http import ShortTransport

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Disposition, Failure, Kind, Reached, Reason
from interlaced.core.model import Effort
from interlaced.core.ports import Resolve
from interlaced.testing.clock import VirtualClock
from interlaced.testing.transport_suite import TransportSuite
from interlaced.transport.egress import resolve
from interlaced.transport.http import HttpRequest, HttpResponse, HttpSettings, HttpTransport
from interlaced.transport.http_aiohttp import AiohttpTransport
from interlaced.transport.http_lean import LeanTransport
from interlaced.transport.tls import TlsSettings

LOOPBACK = ("127.0.0.1/32",)
Transport = type[LeanTransport] | type[AiohttpTransport]
KINDS: dict[str, Transport] = {
    "lean": LeanTransport,
    "short": ShortTransport,
    "aiohttp": AiohttpTransport,
}
chosen_kind: dict[str, Transport] = {}


@pytest.fixture(params=KINDS, autouse=True)
def kind(request: pytest.FixtureRequest) -> str:
    """Runs every test on both, and on the short way of the lean one."""
    chosen_kind["now"] = KINDS[request.param]
    return str(request.param)


async def send(
    transport: HttpTransport,
    method: str = "GET",
    body: bytes | None = None,
    *,
    effort: Effort | None = None,
) -> HttpResponse:
    prepared = transport.prepare(method, [])
    return await transport.send(HttpRequest(prepared, "/", (), body, effort or Effort(0.0)))


@asynccontextmanager
async def wire(
    origin: str, lookup: Resolve = resolve, **settings: object
) -> AsyncIterator[HttpTransport]:
    chosen = HttpSettings(origin=origin, **{"allow": LOOPBACK, **settings})  # type: ignore[arg-type]  # as named
    transport = chosen_kind["now"](chosen, LoopClock(), lookup=lookup)
    try:
        async with asyncio.timeout(10):
            yield transport
    finally:
        await transport.close()


async def refused(transport: HttpTransport, method: str = "GET") -> Failure:
    with pytest.raises(Failure) as caught:
        await send(transport, method)
    return caught.value


def names(*addresses: str) -> Resolve:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    return lookup


@pytest.fixture
def connects(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that the process tries to connect to."""
    seen: list[object] = []
    original = socket.socket.connect

    def connect(self: socket.socket, address: object) -> None:
        seen.append(address)
        original(self, address)  # type: ignore[arg-type]  # whatever it was

    async def sock_connect(self: object, sock: socket.socket, address: object) -> None:
        seen.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)
    return seen


BYPASSES = [
    "127.0.0.1", "127.0.0.2", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1",
    "0177.0.0.1", "017700000001", "0", "0.0.0.0", "00.0.0.0", "0x0", "127.000.000.001",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd00::1]", "[fe80::1]",
    "[fe80::1%25lo]", "[fd00:ec2::254]", "169.254.169.254", "2852039166", "0xa9fea9fe",
    "[::ffff:169.254.169.254]", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1",
    "localhost", "LOCALHOST", "localhost.", "ip6-localhost", "127.0.0.1.", "169.254.169.254.",
    "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021", "\uff11\uff12\uff17.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("host", BYPASSES)
async def test_no_spelling_of_an_inner_address_gets_a_packet_out(
    host: str, connects: list[object]
) -> None:
    """P48, T1: the socket spy sees no connect; some spellings are refused as addresses, some by
    the resolver, some by the guard, and none of them goes out."""
    try:
        async with wire(f"http://{host}:9", allow=()) as transport:
            failure = await refused(transport)
    except ValueError:
        failure = None  # it is no origin to begin with
    assert connects == []
    if failure is not None:
        assert failure.reason in (Reason.EGRESS_DENIED, Reason.UPSTREAM_CONNECT)
        assert failure.reached is Reached.NOT_SENT
        assert failure.kind in (Kind.DENIED, Kind.UNAVAILABLE)


INNER = [
    "127.0.0.1",
    "::1",
    "10.1.2.3",
    "169.254.169.254",
    "::ffff:10.0.0.1",
    "fe80::1%1",
    "0.0.0.0",
]


@pytest.mark.parametrize("address", INNER)
async def test_a_name_that_points_inside_gets_no_packet_out(
    address: str, connects: list[object]
) -> None:
    """P48: names such as localtest.me, alone or among public addresses."""
    for addresses in ((address,), ("1.1.1.1", address)):
        async with wire("http://localtest.me", names(*addresses), allow=()) as transport:
            assert (await refused(transport)).reason is Reason.EGRESS_DENIED
    assert connects == []


async def test_a_rebound_name_is_resolved_once_and_pinned(connects: list[object]) -> None:
    """T2: the resolver answers public, then 127.0.0.1; what was checked is what is connected to."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def lookup(host: str, port: int) -> Sequence[str]:
        return answers.pop(0)

    async with wire("http://rebind.example", lookup, allow=()) as transport:
        assert (await refused(transport)).reason is Reason.UPSTREAM_CONNECT
        assert connects == [("93.184.216.34", 80)]
        assert len(answers) == 1
        assert (await refused(transport)).reason is Reason.EGRESS_DENIED
    assert len(connects) == 1


async def test_an_allowed_host_name_reaches_its_private_address() -> None:
    async with RawServer() as server:
        origin = f"http://shop.internal:{server.port}"
        async with wire(origin, names("127.0.0.1"), allow=("shop.internal",)) as transport:
            assert (await send(transport)).status == 200
        assert server.requests[0].headers("host") == [f"shop.internal:{server.port}"]


async def test_an_allowed_name_of_other_letters_reaches_its_private_address() -> None:
    """The allowance is written as the name is looked up."""
    for host in ("b\xfccher.internal", "xn--bcher-kva.internal"):
        async with RawServer() as server:
            allow = ("xn--bcher-kva.internal",)
            origin = f"http://{host}:{server.port}"
            async with wire(origin, names("127.0.0.1"), allow=allow) as transport:
                assert (await send(transport)).status == 200


async def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", os.devnull)
    async with RawServer() as server, wire(server.origin) as transport:
        assert (await send(transport)).status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "ftp://a",
        "http://",
        "http://a/b",
        "http://a?b",
        "http://u:p@a",
        "a",
        "http://a#b",
        "http://a..b",
        f"http://{'a' * 64}.example",
    ],
)
def test_what_is_no_origin_is_refused_at_load(origin: str) -> None:
    with pytest.raises(ValueError, match=r"origin|URL|Invalid|host|port"):
        chosen_kind["now"](HttpSettings(origin=origin), LoopClock())


def test_a_connect_that_hangs_ends_by_the_clock() -> None:
    """P19: connecting has a budget of its own, in virtual time."""
    clock = VirtualClock()

    async def lookup(host: str, port: int) -> Sequence[str]:
        await clock.sleep(60)
        return ["127.0.0.1"]

    async def main() -> None:
        settings = HttpSettings(origin="http://slow.example", connect_timeout=2.0)
        transport = chosen_kind["now"](settings, clock, lookup=lookup)
        failure = await refused(transport)
        await transport.close()
        assert failure.reason is Reason.UPSTREAM_CONNECT
        assert failure.disposition is Disposition.TEMPORARY
        assert failure.reached is Reached.NOT_SENT
        assert clock.now() == 1002.0

    clock.run(main())


async def test_a_name_without_addresses_cannot_be_connected_to() -> None:
    async def lookup(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    for look in (lookup, names()):
        async with wire("http://nosuch.example", look) as transport:
            assert (await refused(transport)).reason is Reason.UPSTREAM_CONNECT


async def test_a_body_of_three_mib_arrives_without_a_warning() -> None:
    body = bytes(range(256)) * 12288
    async with RawServer() as server, wire(server.origin) as transport:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await send(transport, "POST", body)
        assert server.requests[0].body == body
        assert server.requests[0].headers("content-length") == [str(len(body))]


@pytest.mark.parametrize(
    ("status", "then", "reached"),
    [
        ("200 OK", "close", Reached.MAYBE),
        ("302 Found", "close", Reached.MAYBE),
        ("404 Not Found", "close", Reached.REPLIED),
        ("500 Oh", "close", Reached.REPLIED),
        ("503 Busy", "close", Reached.MAYBE),
    ],
)
async def test_half_an_answer_settles_only_what_its_status_settles(
    status: str, then: str, reached: Reached
) -> None:
    data = f"HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\nabc".encode()
    async with RawServer(Answer(data, then)) as server, wire(server.origin) as transport:
        effort = Effort(0.0)
        with pytest.raises(Failure) as caught:
            await send(transport, effort=effort)
        assert caught.value.reason is Reason.UPSTREAM_TRUNCATED
        assert (caught.value.reached, effort.reached) == (reached, reached)


async def test_a_server_that_closes_idle_connections_costs_no_answer_and_no_second_post() -> None:
    """P18: the server closes at idle + epsilon, the pool well before; what is lost in the race is a
    Failure that says what was reached, which a retry of GETs heals, and no POST is sent twice."""
    async with RawServer(idle=0.03) as server, wire(server.origin, idle=0.02) as transport:
        answered = 0
        lost: list[Reason] = []
        for number in range(60):
            if number % 10 == 9:
                await asyncio.sleep(0.029)  # at the very edge of what the server allows
            for _ in range(3):
                try:
                    await send(transport)
                except Failure as failure:
                    lost.append(failure.reason)
                    continue
                answered += 1
                break
        assert answered == 60
        assert set(lost) <= {Reason.UPSTREAM_UNAVAILABLE}
    async with RawServer(ok(), Answer(then="close")) as server, wire(server.origin) as transport:
        await send(transport)
        with pytest.raises(Failure) as caught:
            await send(transport, "POST", b"once")
        assert caught.value.reached is Reached.MAYBE
        assert [seen.line[:4] for seen in server.requests] == ["GET ", "POST"]


async def test_after_many_cancelled_calls_the_pool_is_well() -> None:
    """P19: 30 % of the calls are cancelled while they wait, then all are answered again."""
    async with RawServer() as server, wire(server.origin) as transport:
        before = asyncio.all_tasks()
        for number in range(200):
            if number % 3:
                await send(transport)
                continue
            server.answers.append(Answer(then="hang"))
            server.arrived.clear()
            task = asyncio.create_task(send(transport))
            await server.arrived.wait()
            task.cancel()
            await asyncio.wait({task})
        replies = await asyncio.gather(*(send(transport) for _ in range(50)))
        assert {reply.status for reply in replies} == {200}
        left = {task for task in asyncio.all_tasks() - before if not task.done()}
        assert len(left) <= server.open  # the rig's own tasks, one per connection


async def test_no_credential_is_in_any_cause(caplog: pytest.LogCaptureFixture) -> None:
    """P49: aiohttp's own error prints the address and holds every header that was sent."""
    secret = "canary-77aa"
    nonsense = Answer(b"nonsense\r\n\r\n", "close")
    async with RawServer(nonsense) as server, wire(server.origin) as transport:
        prepared = transport.prepare("GET", [("Authorization", f"Bearer {secret}")])
        request = HttpRequest(prepared, f"/?key={secret}", (), None, Effort(0.0))
        with pytest.raises(Failure) as caught:
            await transport.send(request)
        error: BaseException | None = caught.value
        while error is not None:
            assert secret not in repr(error) + str(error) + repr(vars(error))
            error = error.__cause__
        assert secret not in repr(prepared) + repr(request)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def server_context(authority: Authority, **options: object) -> ssl.SSLContext:
    certificate, key = authority.issue(**options)  # type: ignore[arg-type]  # as named
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_tls_with_an_authority_of_its_own(authority: Authority) -> None:
    tls = TlsSettings(ca=str(authority.certificate))
    context = server_context(authority)
    async with RawServer(tls=context) as server, wire(server.origin, tls=tls) as transport:
        assert (await send(transport)).status == 200


@contextmanager
def refusing_server(context: ssl.SSLContext) -> Iterator[str]:
    """A server in a thread that lets its alert arrive, as servers on OpenSSL do; asyncio's own
    resets the connection over it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            with context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls:
                with suppress(OSError):
                    tls.do_handshake()
                tls.shutdown(socket.SHUT_WR)
                while tls.recv(4096):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


BAD_CERTIFICATES = {
    "expired": {"days": (-20, -10)},
    "not yet valid": {"days": (10, 20)},
    "wrong host": {"host": "10.9.9.9"},
    "for clients only": {"is_server": False},
}


@pytest.mark.parametrize("bad", BAD_CERTIFICATES)
async def test_a_bad_certificate_gets_no_byte_of_the_request(
    authority: Authority, bad: str
) -> None:
    """F9: permanent, not reached, and no breaker's business."""
    context = server_context(authority, **BAD_CERTIFICATES[bad])
    tls = TlsSettings(ca=str(authority.certificate))
    async with RawServer(tls=context) as server, wire(server.origin, tls=tls) as transport:
        failure = await refused(transport)
    assert (failure.reason, failure.kind) == (Reason.UPSTREAM_TLS, Kind.PRECONDITION)
    assert (failure.disposition, failure.reached) == (Disposition.PERMANENT, Reached.NOT_SENT)
    assert server.hits == 0


async def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    async with RawServer(tls=server_context(authority)) as server:
        for tls in (TlsSettings(), TlsSettings(ca=str(Authority(tmp_path).certificate))):
            async with wire(server.origin, tls=tls) as transport:
                assert (await refused(transport)).reason is Reason.UPSTREAM_TLS
    assert server.hits == 0


async def test_tls_1_1_is_refused(authority: Authority) -> None:
    context = server_context(authority)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point here
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    tls = TlsSettings(ca=str(authority.certificate))
    async with RawServer(tls=context) as server, wire(server.origin, tls=tls) as transport:
        failure = await refused(transport)
    assert failure.reason in (Reason.UPSTREAM_TLS, Reason.UPSTREAM_CONNECT)
    assert failure.reached is Reached.NOT_SENT


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_is_shown_and_missed(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    """F9: a server that wants a certificate of ours; in TLS 1.3 its refusal comes after our first
    bytes, and still counts as not reached."""
    context = server_context(authority)
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.certificate)
    certificate, key = authority.issue(is_server=False)
    ours = TlsSettings(ca=str(authority.certificate), certificate=str(certificate), key=str(key))
    async with RawServer(tls=context) as server, wire(server.origin, tls=ours) as transport:
        assert (await send(transport)).status == 200
    with refusing_server(context) as origin:
        async with wire(origin, tls=TlsSettings(ca=ours.ca)) as transport:
            failure = await refused(transport)
    assert failure.reason is Reason.UPSTREAM_TLS
    assert failure.reached is Reached.NOT_SENT


@pytest.mark.parametrize("is_limit", [True, False])
async def test_a_body_of_exactly_the_limit_passes_and_one_byte_more_does_not(
    is_limit: bool,
) -> None:
    """F14: 16 MiB as they are, in chunks, and decoded, with the default."""
    limit = 16 * 1024 * 1024
    body = os.urandom(limit if is_limit else limit + 1)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    packed = gzip.compress(body, 1)
    answers = (
        ok(body),
        Answer(head + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"),
        ok(packed, "Content-Encoding: gzip"),
    )
    for answer in answers:
        async with RawServer(answer) as server, wire(server.origin) as transport:
            if is_limit:
                assert len((await send(transport)).body) == limit
                continue
            failure = await refused(transport)
            assert (failure.reason, failure.context["limit"]) == (Reason.TOO_LARGE, "16MiB")


async def test_codings_that_are_stacked_in_two_headers_are_refused() -> None:
    """T5: gzip within gzip, declared line by line."""
    body = gzip.compress(gzip.compress(b"{}"))
    twice = ok(body, "Content-Encoding: gzip", "Content-Encoding: gzip")
    async with RawServer(twice) as server, wire(server.origin) as transport:
        assert (await refused(transport)).reason is Reason.UPSTREAM_MALFORMED


async def test_many_small_headers_are_too_large_like_one_that_is_big() -> None:
    """F14: 1.5 MB of headers of fourteen bytes, before the body and behind it."""
    lines = b"".join(b"X-%06d: aaaa\r\n" % number for number in range(100_000))
    chunks = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    for text in (lines + b"Content-Length: 2\r\n\r\n{}", chunks + lines + b"\r\n"):
        answer = Answer(b"HTTP/1.1 200 OK\r\n" + text)
        async with RawServer(answer) as server, wire(server.origin) as transport:
            failure = await refused(transport)
            assert (failure.reason, failure.context["limit"]) == (Reason.TOO_LARGE, "128 headers")
            assert (await send(transport)).status == 200
            assert server.connections == 2


async def test_answers_on_the_way_and_answers_without_a_body_are_not_mixed_up() -> None:
    """100 and 103 before the answer; HEAD, 204 and 304, also where a length is named."""
    head = b"HTTP/1.1 200 OK\r\n"
    length = b"Content-Length: 5\r\n\r\n"
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 20
    cases = (
        ("GET", b"HTTP/1.1 100 Continue\r\n\r\n" + early + head + length + b"hello", 200),
        ("HEAD", head + length, 200),
        ("HEAD", head + b"Content-Length: 99999999999\r\n\r\n", 200),
        ("HEAD", head + b"Transfer-Encoding: chunked\r\n\r\n", 200),
        ("HEAD", head + b"Content-Encoding: gzip\r\n" + length, 200),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("GET", b"HTTP/1.1 304 Not Modified\r\n" + length, 304),
    )
    for method, text, status in cases:
        async with RawServer(Answer(text)) as server, wire(server.origin) as transport:
            response = await send(transport, method)
            assert (response.status, response.body) == (status, b"hello" if early in text else b"")
            assert (await send(transport)).body == b"{}"
            assert server.connections == 1


@pytest.mark.parametrize("size", [500_000, 8_000_000])
async def test_an_answer_that_comes_before_the_body_is_sent_is_the_answer(size: int) -> None:
    """A server that refuses a body by its head, and closes or reads no further; the next request
    gets an answer of its own, on a connection of its own if the body was not all written."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_post = head.startswith(b"POST")
        status, body = (b"413 Too Large", b"") if is_post else (b"200 OK", b"next")
        writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n" % (status, len(body)))
        writer.write(b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with wire(f"http://127.0.0.1:{port}") as transport:
        for _ in range(5):
            effort = Effort(0.0)
            try:
                status = (await send(transport, "POST", b"x" * size, effort=effort)).status
            except Failure as failure:  # the reset may overtake the answer
                assert failure.reached is effort.reached is Reached.MAYBE
                status = 413
            assert status == 413
            assert (await send(transport)).body == b"next"
    server.close()


async def test_closing_while_connecting_is_a_failure_like_any_other() -> None:
    gate = asyncio.Event()

    async def lookup(host: str, port: int) -> Sequence[str]:
        await gate.wait()
        return ["127.0.0.1"]

    async with RawServer() as server:
        origin = f"http://shop.internal:{server.port}"
        async with wire(origin, lookup) as transport:
            task = asyncio.create_task(send(transport))
            await asyncio.sleep(0)
            await transport.close()
            gate.set()
            with pytest.raises(Failure) as caught:
                await task
        assert caught.value.reached is Reached.NOT_SENT
        assert server.hits == 0


async def test_among_thousands_of_odd_answers_none_is_given_to_another_caller() -> None:
    """T9: twenty callers, each request with a number of its own; four answers of ten are odd or
    have another answer behind them. Who is answered is answered with its number."""
    chance = Random(9)  # not for secrets
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    odd = (
        *TransportSuite.odd_answers,
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
    )
    good: set[str] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                number = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
                plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(number), number)
                draw = chance.random()
                if draw < 0.6:
                    good.add(number.decode())
                    writer.write(plain)
                elif draw < 0.7:
                    writer.write(plain + poison)
                else:
                    writer.write(chance.choice(odd) + poison)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    counts = Counter[str]()
    origin = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with wire(origin) as transport:
        prepared = transport.prepare("GET", [])

        async def ask(target: str) -> None:
            try:
                async with asyncio.timeout(0.2):  # half an answer that no end follows
                    request = HttpRequest(prepared, target, (), None, Effort(0.0))
                    body = (await transport.send(request)).body.decode()
            except (Failure, TimeoutError) as error:
                counts[type(error).__name__] += 1
                return
            counts["answered"] += 1
            assert body == target or (target not in good and body in ("{}", "")), target

        async def caller(lane: int) -> None:
            for number in range(200):
                await ask(f"/{lane}-{number}")

        await asyncio.gather(*(caller(lane) for lane in range(20)))
    server.close()
    assert counts.total() == 4000
    assert counts["answered"] >= 2400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH", "OPTIONS"])
async def test_every_method_has_its_body_or_says_that_there_is_none(method: str) -> None:
    """A write without a body names its length, or some servers answer 411 or wait for one."""
    async with RawServer() as server, wire(server.origin) as transport:
        for body in (b"x", b"", None):
            await send(transport, method, body)
            seen = server.requests[-1]
            assert seen.body == (body or b"")
            assert not seen.headers("transfer-encoding")
            is_write = method not in ("GET", "OPTIONS")
            if body or is_write:
                assert seen.headers("content-length") == [str(len(body or b""))]
        assert server.connections == 1
