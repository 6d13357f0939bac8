"""The admin listener over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp
import pytest

from interlaced.admin.server import AdminServer, AdminViews
from interlaced.core.failure import Failure, FieldViolation, Reason


async def echo(body: Mapping[str, object]) -> Mapping[str, object]:
    return {"got": dict(body)}


async def refuse(_body: Mapping[str, object]) -> Mapping[str, object]:
    fields = (FieldViolation("upstream", "there is no such upstream"),)
    raise Failure(Reason.INVALID_REQUEST, "the chaos is not understood", fields=fields)


async def crash(_body: Mapping[str, object]) -> Mapping[str, object]:
    raise ValueError("canary-secret")


@pytest.fixture
async def admin():
    ready = [True]
    views = AdminViews(
        metrics=lambda: b"interlace_x 1\n",
        is_ready=lambda: ready[0],
        status=lambda: {"version": "1"},
        actions={"echo": echo, "refuse": refuse, "crash": crash},
    )
    server = AdminServer(views)
    port = await server.start("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session, ready
    await server.close()


async def test_metrics_health_and_status_are_there(admin) -> None:
    session, _ = admin
    for path, text in (
        ("/metrics", "interlace_x 1\n"),
        ("/healthz", "ok\n"),
        ("/readyz", "ready\n"),
    ):
        async with session.get(path) as answer:
            assert (answer.status, await answer.text()) == (200, text)
    async with session.get("/status") as answer:
        assert await answer.json() == {"version": "1"}


@pytest.mark.parametrize("body", [b"{", b"[" * 50_000, b"\xff", b"[]", b"null", b"1"])
async def test_a_body_that_is_no_json_object_is_a_bad_request(admin, body: bytes) -> None:
    session, _ = admin
    async with session.post("/echo", data=body) as answer:
        assert answer.status == 400
        assert "JSON" in (await answer.json())["error"]


async def test_a_body_over_64_kib_is_refused(admin) -> None:
    session, _ = admin
    async with session.post("/echo", data=b" " * 70_000) as answer:
        assert answer.status == 413
    async with session.get("/healthz") as answer:
        assert answer.status == 200


async def test_a_request_without_a_host_is_refused_without_a_look_up(admin, monkeypatch) -> None:
    def look_up() -> str:
        raise AssertionError("the name service was asked")

    monkeypatch.setattr("socket.getfqdn", look_up)
    session, _ = admin
    url = session._base_url
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.0 403")
    writer.close()
    await writer.wait_closed()


async def test_readyz_turns_red_while_healthz_stays_green(admin) -> None:
    session, ready = admin
    ready[0] = False
    async with session.get("/readyz") as answer:
        assert answer.status == 503
    async with session.get("/healthz") as answer:
        assert answer.status == 200


async def test_an_action_takes_and_answers_a_json_object(admin) -> None:
    session, _ = admin
    async with session.post("/echo", json={"a": 1}) as answer:
        assert await answer.json() == {"got": {"a": 1}}
    for body in (b"[1]", b"{"):
        async with session.post("/echo", data=body) as answer:
            assert answer.status == 400
    async with session.get("/echo") as answer:
        assert answer.status == 405


async def test_a_refused_action_names_the_field(admin) -> None:
    session, _ = admin
    async with session.post("/refuse") as answer:
        assert answer.status == 400
        assert await answer.json() == {
            "error": "the chaos is not understood",
            "reason": "INVALID_REQUEST",
            "fields": {"upstream": "there is no such upstream"},
        }


async def test_no_exception_text_leaves_it(admin) -> None:
    session, _ = admin
    async with session.post("/crash") as answer:
        assert answer.status == 500
        assert "canary" not in await answer.text()


async def test_a_web_page_cannot_reach_it(admin) -> None:
    session, _ = admin
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
        async with session.post("/echo", headers=headers) as answer:
            assert answer.status == 403
