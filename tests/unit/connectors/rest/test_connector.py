"""The wired half of the rest kind: bytes as they arrive at a raw server."""

from __future__ import annotations

import asyncio

import pytest
from raw_http import RawServer, ok
from rest_rig import connect, make_call

from interlaced.connectors.rest.connector import RestConnector
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Payload
from interlaced.transport.http_aiohttp import AiohttpTransport
from interlaced.transport.http_lean import LeanTransport


async def test_a_request_arrives_as_one_and_as_written() -> None:
    operations = {"Op": {"put": "/things/{id}", "query": {"q": "$req.q"}, "body": "$payload"}}
    async with RawServer(ok(b'{"done": true}')) as server:
        base = f"{server.origin}/api/v1"
        async with connect(base, operations, auth={"bearer": "t"}, headers={"X-A": "b"}) as shop:
            call = make_call("Op", {"id": "a b/c", "q": "x&y"}, payload=Payload("", b'{"n": 1}'))
            reply = await shop.operations["Op"].attempt(call)
        assert reply.payload == Payload("application/json", b'{"done": true}')
        assert reply.status == "200"
        [seen] = server.requests
        assert seen.line == "PUT /api/v1/things/a%20b%2Fc?q=x%26y HTTP/1.1"
        assert seen.body == b'{"n": 1}'
        for name, value in (
            ("authorization", "Bearer t"),
            ("x-a", "b"),
            ("content-type", "application/json"),
            ("accept", "application/json"),
            ("host", f"127.0.0.1:{server.port}"),
        ):
            assert seen.headers(name) == [value]


HOSTILE = [
    "a\r\nX-Evil: 1",
    "a\nb",
    "\x00",
    "a\r\n\r\nGET /evil HTTP/1.1\r\n\r\n",
    "\u010a",
    "\x7f",
]


@pytest.mark.parametrize("value", HOSTILE)
async def test_hostile_parameters_do_not_reach_the_wire(value: str) -> None:
    """T8: the raw server's log is the oracle; not one byte arrives."""
    operations = {
        "Header": {"get": "/a", "headers": {"X": "$req.x"}},
        "Query": {"get": "/a", "query": {"x": "$req.x"}},
        "Path": {"get": "/a/{x}"},
    }
    async with RawServer() as server, connect(server.origin, operations) as shop:
        for name in operations:
            if value == "\u010a" and name != "Header":
                continue  # it is a letter like any other where it is encoded
            with pytest.raises(Failure) as caught:
                await shop.operations[name].attempt(make_call(name, {"x": value}))
            assert caught.value.reason is Reason.INVALID_REQUEST
        assert server.hits == 0
        assert b"".join(bytes(each) for each in server.received) == b""


async def test_closing_stops_what_is_under_way() -> None:
    operations = {"Op": {"get": "/a"}}
    async with RawServer(ok(before=30.0)) as server, connect(server.origin, operations) as shop:
        task = asyncio.create_task(shop.operations["Op"].attempt(make_call("Op")))  # type: ignore[arg-type]  # a coroutine
        await server.arrived.wait()
        await shop.close()
        with pytest.raises(Failure) as caught:
            await task
        assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({}, LeanTransport),
        ({"transport": "lean"}, LeanTransport),
        ({"transport": "aiohttp"}, AiohttpTransport),
    ],
)
async def test_the_transport_is_chosen_by_the_manifest(chosen: dict[str, str], kind: type) -> None:
    operations = {"Op": {"get": "/a"}}
    async with RawServer() as server, connect(server.origin, operations, **chosen) as shop:
        assert isinstance(shop, RestConnector)
        assert type(shop._transport) is kind
        assert (await shop.operations["Op"].attempt(make_call("Op"))).status == "200"
