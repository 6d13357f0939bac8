"""The rest kind against httpbin: a server that we did not write."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from httpbin_server import httpbin_server
from rest_rig import connect, make_call

from interlaced.core.clock import LoopClock, TimeLimit
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Argument, Effort, Payload
from interlaced.testing.connector_suite import STATUSES

pytestmark = pytest.mark.live

OPERATIONS: Mapping[str, Any] = {
    **{
        f"Do{method.title()}": {
            method: "/anything/{id}",
            "query": {"q": "$req.q", "fixed": "a b"},
            "headers": {"X-Own": "$req.h"},
        }
        for method in ("get", "put", "delete", "post", "patch")
    },
    "Head": {"head": "/get"},
    "Options": {"options": "/get", "produces": "*/*"},
    "PostJson": {"post": "/anything", "body": {"n": "$req.n", "p": "$payload"}, "reply": "$.json"},
    "PostRaw": {"post": "/anything", "body": "$payload", "consumes": "*/*", "reply": "$.data"},
    "PostForm": {"post": "/anything", "form": {"a": "$req.a", "b": "2"}, "reply": "$.form"},
    "Bearer": {"get": "/bearer"},
    "Basic": {"get": "/basic-auth/user/pass%20word"},
    "Headers": {"get": "/headers", "reply": "$.headers"},
    "Args": {"get": "/get", "reply": "$.args"},
    "Gzip": {"get": "/gzip", "reply": "$.gzipped"},
    "Deflate": {"get": "/deflate", "reply": "$.deflated"},
    "Brotli": {"get": "/brotli"},
    "Html": {"get": "/html"},
    "Robots": {"get": "/robots.txt", "produces": "text/plain"},
    "Image": {"get": "/image/png", "produces": "image/*"},
    "Bytes": {"get": "/bytes/{n}", "produces": "application/octet-stream"},
    "Chunks": {"get": "/stream-bytes/{n}", "produces": "application/octet-stream"},
    "Redirect": {"get": "/redirect-to", "query": {"url": "$req.url"}},
    "Cookie": {"get": "/cookies/set", "query": {"a": "b"}},
    "Cookies": {"get": "/cookies", "reply": "$.cookies"},
    "Delay": {"get": "/delay/5"},
    "Status": {"get": "/status/{code}"},
    "Drift": {"get": "/get", "reply": "$.nosuch"},
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with httpbin_server() as origin:
        yield origin


class Shop:
    def __init__(self, operations: Mapping[str, Any]) -> None:
        self._operations = operations

    async def ask(
        self,
        name: str,
        payload: Payload | None = None,
        accept: tuple[str, ...] = (),
        **arguments: Argument,
    ) -> Payload:
        call = make_call(name, arguments, payload=payload, accept=accept)
        async with asyncio.timeout(20):
            reply = await self._operations[name].attempt(call)
        return reply.payload

    async def value(self, name: str, payload: Payload | None = None, **arguments: Argument) -> Any:
        return json.loads((await self.ask(name, payload, **arguments)).data)

    async def refused(self, name: str, **arguments: Argument) -> Failure:
        with pytest.raises(Failure) as caught:
            await self.ask(name, **arguments)
        return caught.value


@asynccontextmanager
async def shop(origin: str, **upstream: Any) -> AsyncIterator[Shop]:
    async with connect(origin, OPERATIONS, **upstream) as connector:
        yield Shop(connector.operations)


@pytest.mark.parametrize("method", ["get", "put", "delete", "post", "patch"])
async def test_every_method_with_path_query_and_header(origin: str, method: str) -> None:
    async with shop(origin) as here:
        told = await here.value(f"Do{method.title()}", id="caf\xe9 1", q="x&y=\xfc/?#", h="own")
    assert told["method"] == method.upper()
    assert told["args"] == {"q": "x&y=\xfc/?#", "fixed": "a b"}
    assert told["headers"]["X-Own"] == "own"


async def test_head_and_options(origin: str) -> None:
    async with shop(origin) as here:
        assert (await here.ask("Head")).data == b""
        assert (await here.ask("Options")).data == b""


async def test_json_raw_and_form_bodies(origin: str) -> None:
    async with shop(origin) as here:
        payload = Payload("application/json", b'{"id": 9007199254740993}')
        told = await here.value("PostJson", payload, n=7)
        assert told == {"n": 7, "p": {"id": 9007199254740993}}
        assert await here.value("PostRaw", Payload("text/plain", b"a\r\nb")) == "a\r\nb"
        assert await here.value("PostForm", a="x y&z=\r\n\xe9") == {"a": "x y&z=\r\n\xe9", "b": "2"}


async def test_credentials_of_every_kind(origin: str) -> None:
    async with shop(origin, auth={"bearer": "t0ken"}) as here:
        assert (await here.value("Bearer"))["token"] == "t0ken"
    async with shop(origin, auth={"basic": {"username": "user", "password": "pass word"}}) as here:
        assert (await here.value("Basic"))["authenticated"] is True
    async with shop(origin, auth={"api_key": {"header": "X-Key", "value": "k"}}) as here:
        assert (await here.value("Headers"))["X-Key"] == "k"
    async with shop(origin, auth={"api_key": {"query": "key", "value": "k&k"}}) as here:
        assert await here.value("Args") == {"key": "k&k"}


async def test_credentials_that_are_refused_are_ours(origin: str) -> None:
    async with shop(origin) as here:
        for name in ("Bearer", "Basic"):
            assert (await here.refused(name)).reason is Reason.UPSTREAM_CREDENTIALS_REJECTED


async def test_codings(origin: str) -> None:
    async with shop(origin) as here:
        assert await here.value("Gzip") is True
        assert await here.value("Deflate") is True
        assert (await here.refused("Brotli")).reason is Reason.UPSTREAM_MALFORMED


async def test_types_other_than_json(origin: str) -> None:
    async with shop(origin) as here:
        assert (await here.refused("Html")).reason is Reason.UPSTREAM_MALFORMED
        assert (await here.ask("Robots")).data.startswith(b"User-agent")
        image = await here.ask("Image")
        assert (image.media_type, image.data[:4]) == ("image/png", b"\x89PNG")
        packed = await here.ask("Args", accept=("application/msgpack",))
        assert packed == Payload("application/msgpack", b"\x80")


async def test_bodies_by_length_and_by_chunks(origin: str) -> None:
    async with shop(origin) as here:
        for name in ("Bytes", "Chunks"):
            assert len((await here.ask(name, n=50_000)).data) == 50_000
    async with shop(origin, max_body="10kB") as here:
        for name in ("Bytes", "Chunks"):
            assert (await here.refused(name, n=10_001)).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("status", [code for code in STATUSES if code not in (401, 407)])
async def test_statuses(origin: str, status: int) -> None:
    async with shop(origin) as here:
        failure = await here.refused("Status", code=status)
    assert (failure.reason, failure.disposition, failure.reached) == STATUSES[status]


async def test_a_redirect_is_not_followed_and_a_cookie_not_kept(origin: str) -> None:
    async with shop(origin) as here:
        failure = await here.refused("Redirect", url=f"{origin}/get")
        assert failure.reason is Reason.UPSTREAM_MALFORMED
        assert failure.context["upstream_status"] == "302"
        await here.refused("Cookie")
        assert await here.value("Cookies") == {}


async def test_a_slow_answer_is_left_at_the_time_limit(origin: str) -> None:
    async with connect(origin, OPERATIONS) as connector:
        call = make_call("Delay")
        call.effort = Effort(0.0)
        clock = LoopClock()
        started = clock.now()
        with pytest.raises(TimeoutError), TimeLimit(clock, started + 0.2):
            await connector.operations["Delay"].attempt(call)
        assert call.effort.reached is Reached.MAYBE
        assert clock.now() - started < 4
        await Shop(connector.operations).value("Args")


async def test_a_value_that_is_not_there_is_drift(origin: str) -> None:
    async with shop(origin) as here:
        assert (await here.refused("Drift")).reason is Reason.CONTRACT_DRIFT


async def test_two_hundred_calls_at_once(origin: str) -> None:
    async with shop(origin) as here:
        told = await asyncio.gather(*(here.value("DoGet", id=str(n), q=str(n)) for n in range(200)))
    assert [each["args"]["q"] for each in told] == [str(n) for n in range(200)]
