"""P49, L9, T15: planted secrets turn up in nothing that leaves the process but the wire."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import sys
import urllib.parse
from pathlib import Path

import aiohttp
import grpc.aio
from raw_http import Answer, RawServer, ok
from served import process

from interlace import Client, InterlaceError, Payload
from interlace.v1 import call_pb2, gateway_service_pb2
from interlace.v1.gateway_service_pb2_grpc import GatewayServiceStub

CANARIES = {
    "BEARER": "canary-bearer-4711",
    "BASIC_USER": "canary-user-4711",
    "BASIC_PASSWORD": "canary/password+4711",
    "HEADER_KEY": "canary-header-4711",
    "QUERY_KEY": "canary query&4711",
    "IN_FILE": "canary-file-4711",
}
MANIFESTS = """
interlace: 1
connector: {name}
upstream: {{rest: "${{env:URL}}", auth: {auth}, allow_private: [127.0.0.1/32]}}
policy: {{attempt_timeout: 1s, deadline: 3s, retry: {{attempts: 2, backoff: 1ms..2ms}}}}
operations:
  Get: {{get: "/things/{{id}}", reply: $.data}}
  Put: {{post: /things, body: $payload}}
"""
AUTHS = {
    "bearer": '{bearer: "${env:BEARER}"}',
    "basic": '{basic: {username: "${env:BASIC_USER}", password: "${env:BASIC_PASSWORD}"}}',
    "header": '{api_key: {header: X-Key, value: "${env:HEADER_KEY}"}}',
    "query": '{api_key: {query: key, value: "${env:QUERY_KEY}"}}',
    "file": '{bearer: "${secret:vendor#token}"}',
}
ANSWERS = (
    ok(b'{"data": 1}'),
    ok(b"<html>log in</html>", "Content-Type: text/html"),
    ok(b"{", status="200 OK"),
    ok(b"denied", "Content-Type: text/plain", status="401 Unauthorized"),
    ok(b"{}", status="503 Service Unavailable"),
    Answer(then="reset"),
    Answer(b"HTTP/1.1 banana\r\n\r\n", then="close"),
    Answer(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        then="close",
    ),
    Answer(then="hang"),
)


def forms() -> list[str]:
    """Every canary plain, URL-encoded, and in base64 (as Basic authentication sends it)."""
    found = []
    for value in CANARIES.values():
        found += [value, urllib.parse.quote(value, safe=""), urllib.parse.quote_plus(value)]
        found.append(base64.b64encode(value.encode()).decode().rstrip("="))
    pair = f"{CANARIES['BASIC_USER']}:{CANARIES['BASIC_PASSWORD']}"
    found.append(base64.b64encode(pair.encode()).decode())
    return found


async def test_p49_no_planted_secret_is_in_any_log_status_metric_or_page(tmp_path: Path) -> None:
    folder, secrets = tmp_path / "connectors", tmp_path / "secrets"
    folder.mkdir()
    secrets.mkdir()
    (secrets / "vendor").write_text(f"token={CANARIES['IN_FILE']}\n")
    for name, auth in AUTHS.items():
        (folder / f"{name}.yaml").write_text(MANIFESTS.format(name=name, auth=auth))
    outputs: list[str] = []
    async with RawServer() as upstream:
        environment = {**CANARIES, "URL": upstream.origin, "INTERLACE_SECRETS": str(secrets)}
        arguments = ("serve", "--config", str(folder), "--log-level", "debug", "--reflection")
        async with process(*arguments, folder=tmp_path, environment=environment) as service:
            outputs += await failures(service.addresses.grpc, upstream)
            outputs += await pages(service.addresses.admin)
            (folder / "broken.yaml").write_text(
                MANIFESTS.format(name="broken", auth='{bearer: "${env:BEARER}", basik: 1}')
            )
            outputs += await command("reload", "--admin", service.addresses.admin)
            outputs += await command("lint", str(folder), environment=environment)
            (folder / "broken.yaml").unlink()
            for style in ("bearer.Get", "query.Put"):
                outputs += await command(
                    "explain", style, "--config", str(folder), environment=environment
                )
            service.send(signal.SIGTERM)
            await service.wait()
            outputs.append(service.log.read_text())
        assert_sent_on_the_wire(upstream)
    text = "\n".join(outputs)
    assert "rpc.failed" in text
    assert "basik" in text
    assert [form for form in forms() if form in text] == []


async def failures(address: str, upstream: RawServer) -> list[str]:
    """Runs every connector into every answer and returns all that callers are told."""
    told: list[str] = []
    async with Client(address) as client:
        for name in AUTHS:
            for answer in ANSWERS:
                upstream.answers.clear()
                upstream.answers.extend([answer, answer])
                told += await ask(client, name)
            told.append(str(await client.connector(name)))
    async with grpc.aio.insecure_channel(address) as channel:
        call = GatewayServiceStub(channel).Call(
            gateway_service_pb2.CallRequest(
                call=call_pb2.Call(connector="bearer", operation="Nothing")
            )
        )
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call
        told += [str(await call.details()), str(tuple(await call.trailing_metadata()))]
    return told


async def ask(client: Client, connector: str) -> list[str]:
    told = []
    for work in (
        client.call(connector, "Get", {"id": "a"}, ledger=True),
        client.call(connector, "Put", payload=Payload("application/json", b"{}"), timeout=2),
    ):
        try:
            told.append(repr(await work))
        except InterlaceError as error:
            told.append(f"{error!r} {error} {error.metadata} {error.__cause__!r}")
    return told


async def pages(admin: str) -> list[str]:
    async with aiohttp.ClientSession(admin) as session:
        texts = []
        for path in ("/metrics", "/status", "/readyz"):
            async with session.get(path) as answer:
                texts.append(await answer.text())
        return texts


async def command(*arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    """Runs a verb and returns everything that it prints."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlaced", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    output, _ = await running.communicate()
    return [output.decode()]


def assert_sent_on_the_wire(upstream: RawServer) -> None:
    """The secrets did reach the upstream; otherwise their absence elsewhere proves nothing."""
    wire = b"".join(bytes(received) for received in upstream.received).decode("latin-1")
    for name in ("BEARER", "HEADER_KEY", "IN_FILE"):
        assert CANARIES[name] in wire
    assert urllib.parse.quote(CANARIES["QUERY_KEY"], safe="") in wire
