"""A fake REST shop that misbehaves on request."""

from __future__ import annotations

import contextlib
import math
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from aiohttp import web

from interlaced.codecs import json
from interlaced.core.ports import Clock
from interlaced.dev.chaos import Chaos, Fault

__all__ = ["PRODUCTS", "Shop"]

NAME = "shop"

_KINDS = ("lamp", "chair", "table", "shelf", "clock", "rug", "vase", "mirror")
_COLOURS = ("red", "blue", "green", "white", "black", "oak")

PRODUCTS: Sequence[Mapping[str, object]] = tuple(
    {
        "id": f"p{number:03}",
        "name": f"{_COLOURS[number % 6]} {_KINDS[number % 8]}",
        "price": {"currency": "EUR", "cents": 990 + 370 * number},
    }
    for number in range(1, 49)
)
"""The catalogue: 48 products, always the same."""

_BY_ID = {str(product["id"]): product for product in PRODUCTS}
_PLACES = {str(product["id"]): place for place, product in enumerate(PRODUCTS)}
_KEPT_ORDERS = 10_000
_HTML = "<!doctype html><title>Maintenance</title><p>We will be back soon."

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """An HTTP server on a port of 127.0.0.1 that the system picks; `url` is known once entered.

    `hits` counts the requests that came in by `METHOD route`, and is what tests trust: whatever a
    caller believes to have sent, this is what arrived. `orders` are the orders that were really
    made, by id.
    """

    def __init__(self, chaos: Chaos, clock: Clock) -> None:
        self.hits: Counter[str] = Counter()
        self.orders: dict[str, Mapping[str, object]] = {}
        self.url = ""
        self._keys: dict[str, tuple[bytes, str]] = {}
        self._chaos = chaos
        self._clock = clock
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.5)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def total_hits(self) -> int:
        """How many requests came in."""
        return self.hits.total()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave], client_max_size=1024 * 1024)
        app.add_routes(
            [
                web.get("/products", self._list_products),
                web.get("/products/{id}", self._get_product),
                web.get("/search", self._search),
                web.get("/inventory/{id}", self._inventory),
                web.get("/reports/slow", self._slow_report),
                web.post("/orders", self._create_order),
                web.get("/orders/{id}", self._get_order),
            ]
        )
        return app

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        self.hits[f"{request.method} {resource.canonical if resource else '_OTHER'}"] += 1
        fault = self._chaos.fault(NAME)
        if fault.latency:
            await self._clock.sleep(fault.latency)
        if fault.reset:
            return _reset(request)
        if self._chaos.draws_failure(NAME):
            return _failed(fault)
        if fault.malformed:
            return web.Response(text=_HTML, content_type="text/html")
        response = await handler(request)
        if fault.truncated and isinstance(response, web.Response):
            return await _truncate(request, response)
        return response

    async def _list_products(self, request: web.Request) -> web.Response:
        return _page(request, PRODUCTS, "/products")

    async def _search(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "").lower()
        if not text:
            return _error(400, "q is missing")
        return _page(request, [each for each in PRODUCTS if text in str(each["name"])], "/search")

    async def _get_product(self, request: web.Request) -> web.Response:
        product = _BY_ID.get(request.match_info["id"])
        return _error(404, "no such product") if product is None else _json({"data": product})

    async def _inventory(self, request: web.Request) -> web.Response:
        product = request.match_info["id"]
        if product not in _BY_ID:
            return _error(404, "no such product")
        return _json({"product": product, "in_stock": (_PLACES[product] * 7) % 23})

    async def _slow_report(self, request: web.Request) -> web.Response:
        try:
            seconds = float(request.query.get("seconds", "1"))
        except ValueError:
            return _error(400, "seconds is no number")
        if not math.isfinite(seconds) or not 0 <= seconds <= 60:
            return _error(400, "seconds must lie between 0 and 60")
        await self._clock.sleep(seconds)
        return _json({"report": "slow", "seconds": seconds, "products": len(PRODUCTS)})

    async def _create_order(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = request.headers.get("Idempotency-Key", "")
        if key in self._keys:
            return self._repeat(key, body)
        order = _read_order(body)
        if isinstance(order, web.Response):
            return order
        if len(self.orders) >= _KEPT_ORDERS:
            self.orders.pop(next(iter(self.orders)))
            self._keys.pop(next(iter(self._keys)), None)
        number = f"o{self.hits['POST /orders']:06}"
        self.orders[number] = {"id": number, **order}
        if key:
            self._keys[key] = (body, number)
        return _json({"order": self.orders[number]}, status=201)

    def _repeat(self, key: str, body: bytes) -> web.Response:
        """Answers a repeated key: the same order for the same body, a conflict for another."""
        first, number = self._keys[key]
        if first != body or number not in self.orders:
            return _error(409, "this key has been used for another order")
        return _json({"order": self.orders[number]}, status=201, headers={"Idempotent-Replay": "1"})

    async def _get_order(self, request: web.Request) -> web.Response:
        order = self.orders.get(request.match_info["id"])
        return _error(404, "no such order") if order is None else _json({"order": order})


def _json(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response(value, status=status, headers=headers)


def _error(status: int, message: str) -> web.Response:
    return _json({"error": message}, status=status)


def _failed(fault: Fault) -> web.Response:
    headers = {}
    if fault.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(fault.retry_after))
    return _json({"error": "chaos"}, status=fault.status, headers=headers)


def _page(request: web.Request, found: Sequence[Mapping[str, object]], path: str) -> web.Response:
    """Answers one page: `?after=` is the id that the last page ended with, `?limit=` its size."""
    limit = request.query.get("limit", "10")
    if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit[:9]) <= 100:
        return _error(400, "limit must lie between 1 and 100")
    after = request.query.get("after", "")
    if after and after not in _BY_ID:
        return _error(400, "after is no id of a product")
    start = _PLACES[after] if after else -1
    left = [each for each in found if _PLACES[str(each["id"])] > start]
    page = left[: int(limit)]
    is_last = len(left) <= len(page)
    following = None if is_last else page[-1]["id"]
    return _json({"data": page, "next": following, "self": path})


def _read_order(body: bytes) -> Mapping[str, object] | web.Response:
    try:
        order = json.decode(body)
    except ValueError:
        return _error(400, "the body is no JSON")
    if not isinstance(order, dict):
        return _error(422, "an order is an object")
    product = order.get("product")
    if not isinstance(product, str) or product not in _BY_ID:
        return _error(422, "product is not in the catalogue")
    quantity = order.get("quantity", 1)
    if type(quantity) is not int or not 1 <= quantity <= 100:
        return _error(422, "quantity must lie between 1 and 100")
    return {"product": product, "quantity": quantity}


def _reset(request: web.Request) -> web.Response:
    """Cuts the connection with a RST: with no time to linger, closing sends one."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=503)


async def _truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Promises the whole body and sends half of it."""
    body = bytes(response.body) if isinstance(response.body, bytes | bytearray) else b""
    half = web.StreamResponse(status=response.status, headers={"Content-Type": "application/json"})
    half.content_length = len(body)
    half.force_close()
    with contextlib.suppress(ConnectionError):
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
