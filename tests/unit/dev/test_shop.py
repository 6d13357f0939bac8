from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import aiohttp
import pytest

from interlaced.core.clock import LoopClock
from interlaced.dev.chaos import Chaos
from interlaced.dev.shop import PRODUCTS, Shop


@pytest.fixture
def chaos() -> Chaos:
    return Chaos(("shop",), clock=LoopClock(), random=Random(7))


@pytest.fixture
async def shop(chaos: Chaos) -> AsyncIterator[Shop]:
    async with Shop(chaos, LoopClock()) as running:
        yield running


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(shop.url) as session:
        yield session


async def test_the_whole_catalogue_is_paged_through(client: aiohttp.ClientSession) -> None:
    found: list[str] = []
    after = ""
    while True:
        async with client.get("/products", params={"limit": "7", "after": after}) as response:
            page = await response.json()
        found += [product["id"] for product in page["data"]]
        if page["next"] is None:
            break
        after = page["next"]
    assert found == [product["id"] for product in PRODUCTS]


async def test_search_pages_too(client: aiohttp.ClientSession) -> None:
    async with client.get("/search", params={"q": "Lamp", "limit": "4"}) as response:
        page = await response.json()
    assert all("lamp" in product["name"] for product in page["data"])
    async with client.get(
        "/search", params={"q": "lamp", "limit": "4", "after": page["next"]}
    ) as response:
        rest = await response.json()
    assert rest["next"] is None
    assert len(page["data"]) + len(rest["data"]) == 6


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/products/p001", 200),
        ("/products/p999", 404),
        ("/products?limit=0", 400),
        ("/products?limit=x", 400),
        ("/products?after=p999", 400),
        ("/search", 400),
        ("/inventory/p002", 200),
        ("/inventory/p999", 404),
        ("/orders/o1", 404),
        ("/reports/slow?seconds=0.01", 200),
        ("/reports/slow?seconds=nan", 400),
        ("/reports/slow?seconds=x", 400),
        ("/nowhere", 404),
    ],
)
async def test_every_path_answers(client: aiohttp.ClientSession, path: str, status: int) -> None:
    async with client.get(path) as response:
        assert response.status == status


async def test_a_key_makes_an_order_once(shop: Shop, client: aiohttp.ClientSession) -> None:
    order = {"product": "p001", "quantity": 2}
    answers = []
    for _ in range(3):
        async with client.post(
            "/orders", json=order, headers={"Idempotency-Key": "k1"}
        ) as response:
            assert response.status == 201
            answers.append(await response.json())
    assert len(shop.orders) == 1
    assert answers[0] == answers[1] == answers[2]
    async with client.get(f"/orders/{answers[0]['order']['id']}") as response:
        assert (await response.json())["order"]["quantity"] == 2
    async with client.post(
        "/orders", json={"product": "p002"}, headers={"Idempotency-Key": "k1"}
    ) as response:
        assert response.status == 409
    async with client.post("/orders", json=order) as response:
        assert response.status == 201
    assert len(shop.orders) == 2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{", 400),
        ("[" * 100_000, 400),
        ("[]", 422),
        ('{"product": "p999"}', 422),
        ('{"product": ["p001"]}', 422),
        ('{"product": "p001", "quantity": 0}', 422),
        ('{"product": "p001", "quantity": true}', 422),
    ],
)
async def test_a_bad_order_is_refused(
    shop: Shop, client: aiohttp.ClientSession, body: str, status: int
) -> None:
    async with client.post("/orders", data=body) as response:
        assert response.status == status
    assert shop.orders == {}


async def test_hits_count_what_arrived(shop: Shop, client: aiohttp.ClientSession) -> None:
    for path in ("/products/p001", "/products/p999", "/nowhere"):
        async with client.get(path):
            pass
    assert shop.hits == {"GET /products/{id}": 2, "GET _OTHER": 1}
    assert shop.total_hits == 3


async def test_failures_come_with_retry_after(
    shop: Shop, chaos: Chaos, client: aiohttp.ClientSession
) -> None:
    chaos.set("shop", {"fail": 1, "status": 429, "retry_after": "1500ms"})
    async with client.get("/products/p001") as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "2")
    chaos.clear()
    async with client.get("/products/p001") as response:
        assert response.status == 200


async def test_a_failed_order_is_not_made(
    shop: Shop, chaos: Chaos, client: aiohttp.ClientSession
) -> None:
    chaos.set("shop", {"fail": 1})
    async with client.post("/orders", json={"product": "p001"}) as response:
        assert response.status == 503
    assert shop.orders == {}


async def test_latency_is_added(chaos: Chaos, client: aiohttp.ClientSession) -> None:
    chaos.set("shop", {"latency": "50ms"})
    began = asyncio.get_running_loop().time()
    async with client.get("/products/p001") as response:
        assert response.status == 200
    assert asyncio.get_running_loop().time() - began >= 0.05


async def test_a_reset_is_an_rst(shop: Shop, chaos: Chaos) -> None:
    chaos.set("shop", {"reset": True})
    port = int(shop.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /products/p001 HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert shop.total_hits == 1


async def test_a_malformed_answer_is_a_page(chaos: Chaos, client: aiohttp.ClientSession) -> None:
    chaos.set("shop", {"malformed": True})
    async with client.get("/products/p001") as response:
        assert (response.status, response.content_type) == (200, "text/html")


async def test_a_truncated_answer_promises_more_than_it_sends(
    chaos: Chaos, client: aiohttp.ClientSession
) -> None:
    chaos.set("shop", {"truncated": True})
    async with client.get("/products/p001") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
