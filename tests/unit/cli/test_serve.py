"""`dev`, `serve`, `reload`, `chaos`, `version`: how they start, refuse, and end."""

from __future__ import annotations

import gc
import http.server
import json
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from command import DevService, dev_service, invoke, run
from served import process

from interlace import ChannelConfig, Client, Tls, Unauthenticated

Capture = pytest.CaptureFixture[str]

MANIFEST = """\
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Hello: {reply: {greeting: hello}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "connectors"
    place.mkdir()
    (place / "desk.yaml").write_text(MANIFEST)
    return place


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.mark.parametrize("option", ["--port", "--admin-port"])
@pytest.mark.parametrize("verb", ["dev", "serve"])
def test_p33_a_taken_port_is_one_clear_line(
    verb: str, option: str, taken: int, folder: Path
) -> None:
    other = {"--port": "--admin-port", "--admin-port": "--port"}[option]
    ended = run(verb, "--config", str(folder), option, str(taken), other, "0")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines() == [
        f"interlace: cannot listen on 127.0.0.1:{taken}: is the port taken? (--port, --admin-port)"
    ]


async def test_serve_answers_and_ends_with_0_on_ctrl_c(folder: Path, tmp_path: Path) -> None:
    async with process("serve", "--config", str(folder), folder=tmp_path) as service:
        async with Client(service.addresses.grpc) as client:
            result = await client.call("desk", "Hello")
        assert result.json() == {"greeting": "hello"}
        service.send(signal.SIGINT)
        assert await service.wait() == 0
    records = [json.loads(line) for line in service.log.read_text().splitlines()]
    # What the client had open may end as the server drains, or just before.
    events = [record["event_name"] for record in records if record["event_name"] != "rpc.failed"]
    assert events == [
        "server.started",
        "server.draining",
        "server.stopped",
    ]


async def test_tls_and_api_keys_are_options_that_name_files(folder: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    chain, key = authority.issue()
    keys = tmp_path / "keys"
    keys.write_text("# callers\nk-for-tests-1\n")
    line = ["--config", str(folder), "--tls-cert", str(chain), "--tls-key", str(key)]
    async with process("serve", *line, "--api-keys", str(keys), folder=tmp_path) as service:
        tls = Tls(roots=authority.certificate.read_bytes())
        config = ChannelConfig(tls=tls, api_key="k-for-tests-1")
        async with Client(service.addresses.grpc, config) as client:
            assert (await client.call("desk", "Hello")).json() == {"greeting": "hello"}
        async with Client(service.addresses.grpc, ChannelConfig(tls=tls)) as stranger:
            with pytest.raises(Unauthenticated):
                await stranger.call("desk", "Hello")
        service.send(signal.SIGTERM)
        assert await service.wait() == 0
    assert "k-for-tests-1" not in service.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--host", "0.0.0.0"), 3, "is not a loopback address, and there is no TLS"),
        (("--tls-cert", "a.pem"), 3, "--tls-cert and --tls-key belong together"),
        (("--tls-cert", "a.pem", "--tls-key", "b.pem"), 3, "a.pem: cannot be read"),
        (("--api-keys", "nothing"), 3, "nothing: cannot be read"),
        (("--cursor-keys", "nothing"), 3, "nothing: cannot be read"),
        (("--config", "nothing"), 3, "nothing: no such file or directory"),
        (("--log-format", "xml"), 2, "expected auto, json or console"),
        (("--log-level", "loud"), 2, "expected one of debug, info"),
        (("--port", "65536"), 2, "less than or equal to 65535"),
        (("--drain", "-1"), 2, "greater than or equal to 0"),
        (("--nonsense",), 2, "No such option"),
    ],
)
def test_what_serve_cannot_do_is_one_clear_line(
    arguments: tuple[str, ...], code: int, told: str, folder: Path, capsys: Capture
) -> None:
    ended = invoke(capsys, "serve", "--config", str(folder), *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in ended.err
    assert "Traceback" not in ended.err


def test_serve_needs_a_configuration(capsys: Capture) -> None:
    assert invoke(capsys, "serve").code == 2


def test_a_wrong_manifest_ends_it_with_3_and_its_place(folder: Path, capsys: Capture) -> None:
    (folder / "desk.yaml").write_text(MANIFEST + "policy: {retries: 4}\n")
    for verb in ("serve", "dev"):
        ended = invoke(capsys, verb, "--config", str(folder), "--port", "0", "--admin-port", "0")
        assert (ended.code, ended.out) == (3, "")
        assert "desk.yaml:6:10  IL112" in ended.err
        assert "did you mean 'retry.attempts'?" in ended.err


def test_a_ports_file_that_cannot_be_written_is_said(folder: Path) -> None:
    missing = folder / "nothing" / "ports.json"
    line = ("--port", "0", "--admin-port", "0", "--ports-file", str(missing))
    ended = run("serve", "--config", str(folder), "--log-level", "error", *line)
    assert ended.code == 3
    assert ended.err == f"interlace: --ports-file {missing}: cannot be written\n"


def test_reload_says_what_happened(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    with dev_service(tmp_path, "--config", str(folder)) as service:
        admin = ("--admin", service.admin)
        assert invoke(capsys, "reload", *admin).out.startswith("unchanged: configuration ")
        (folder / "desk.yaml").write_text(MANIFEST.replace("hello}", "welcome}"))
        (record,) = invoke(capsys, "reload", *admin, "--format", "json").records
        assert record["result"] == "ok"
        (folder / "desk.yaml").write_text(MANIFEST + "policy: {retries: 4}\n")
        ended = invoke(capsys, "reload", *admin)
        assert (ended.code, ended.out) == (3, "")
        assert "desk.yaml:6:10  IL112" in ended.err
        assert ended.err.endswith("the old one goes on serving\n")
        ended = invoke(capsys, "reload", *admin, "--format", "json")
        assert (ended.code, ended.records[0]["result"]) == (3, "refused")
        served = ("call", "desk.Hello", "--server", service.grpc)
        assert json.loads(invoke(capsys, *served).out) == {"greeting": "welcome"}


@pytest.mark.usefixtures("at_dev")
def test_chaos_makes_calls_fail_until_it_is_cleared(capsys: Capture) -> None:
    told = invoke(capsys, "chaos", "shop", "--status", "501", "--for", "1m")
    assert told.records[0]["shop"]["status"] == 501  # type: ignore[index]  # a record of records
    try:
        assert invoke(capsys, "call", "shop.GetInventory", "-p", "id=p001").code == 64 + 12
    finally:
        assert invoke(capsys, "chaos", "shop", "--clear").records == [{}]
    assert invoke(capsys, "call", "shop.GetInventory", "-p", "id=p001").code == 0


@pytest.mark.usefixtures("at_dev")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("shp", "--clear"), "upstream: expected one of shop, ticker"),
        (("shop", "--fail", "lots"), "fail: expected a share"),
        (("shop", "--fail", "101%"), "fail: expected a share"),
        (("shop", "--status", "200"), "status: expected a status between 400 and 599"),
        (("shop", "--latency", "5"), "latency: expected a duration"),
        (("shop", "--clear", "--reset"), "clear: expected nothing beside it"),
        (("shop", "--admin", "nowhere"), "is no address"),
        (("shop", "--nonsense"), "No such option"),
        ((), "Missing argument"),
    ],
)
def test_chaos_that_makes_no_sense_is_a_usage_error(
    arguments: tuple[str, ...], told: str, capsys: Capture
) -> None:
    ended = invoke(capsys, "chaos", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


@pytest.fixture
def other() -> Iterator[str]:
    """The address of a server that is not ours."""

    class Other(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_error(404 if self.path == "/chaos" else 500)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_chaos_needs_dev(other: str, capsys: Capture) -> None:
    """`serve` has no such action, and other servers have no admin listener."""
    ended = invoke(capsys, "chaos", "shop", "--admin", other)
    assert (ended.code, ended.out) == (1, "")
    assert "`chaos` needs `interlace dev`" in ended.err
    ended = invoke(capsys, "reload", "--admin", other)
    assert (ended.code, ended.err) == (1, "interlace: the server answered 500\n")


def test_an_action_that_fails_leaves_no_socket_open(other: str, capsys: Capture) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        gc.collect()
        told.clear()
        assert invoke(capsys, "chaos", "shop", "--admin", other).code == 1
        gc.collect()
    assert [str(each.message) for each in told if "socket" in str(each.message)] == []


def test_dev_greets_with_addresses_and_the_next_commands(dev: DevService) -> None:
    told = dev.log.read_text()
    assert f"gRPC     {dev.grpc}" in told
    assert f"metrics  {dev.admin}/metrics" in told
    assert f"export INTERLACE_SERVER={dev.grpc} INTERLACE_ADMIN={dev.admin}" in told
    assert "\x1b" not in told


def test_version_has_a_text_and_a_record(capsys: Capture) -> None:
    text = invoke(capsys, "version")
    assert [line.split()[0] for line in text.lines][:2] == ["interlace", "python"]
    (record,) = invoke(capsys, "version", "--format", "json").records
    assert [f"{name} {number}" for name, number in record.items()] == text.lines
