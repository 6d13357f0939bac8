"""Calls and fan-outs: a plain servicer with one tuned aiohttp session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

import aiohttp
import grpc
import orjson
import ormsgpack
from yarl import URL

from interlace.v1 import call_pb2, gateway_service_pb2_grpc
from interlace.v1.gateway_service_pb2 import (
    Branch,
    CallRequest,
    CallResponse,
    FanOutRequest,
    FanOutResponse,
    SessionReply,
    SessionRequest,
    SessionResponse,
    StreamFanOutRequest,
    StreamFanOutResponse,
)
from interlace.v1.outcome_pb2 import Outcome
from interlace.v1.payload_pb2 import Payload

__all__ = ["Gateway", "tuned_session"]

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


def tuned_session(ssl: Any = True) -> aiohttp.ClientSession:
    """Return a session without cookies, timers, default headers or a bound on connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60, ssl=ssl),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        auto_decompress=False,
    )


class Gateway(gateway_service_pb2_grpc.GatewayServiceServicer):
    """Passes calls on. `urls` has the encoded URL of each operation."""

    def __init__(self, session: aiohttp.ClientSession, urls: Mapping[str, URL]) -> None:
        self._session = session
        self._urls = urls

    async def _ask(self, call: call_pb2.Call) -> Payload:
        async with self._session.get(self._urls[call.operation]) as answer:
            data = await answer.read()
            if answer.status != 200:
                raise aiohttp.ClientError(answer.status)
            media_type = answer.headers["Content-Type"]
        if call.accept and media_type not in call.accept:
            return Payload(media_type=call.accept[0], data=ormsgpack.packb(orjson.loads(data)))
        return Payload(media_type=media_type, data=data)

    async def Call(self, request: CallRequest, context: Context) -> CallResponse:  # noqa: N802  # gRPC's name
        """Ask one upstream."""
        return CallResponse(payload=await self._ask(request.call))

    async def FanOut(self, request: FanOutRequest, context: Context) -> FanOutResponse:  # noqa: N802  # as above
        """Ask all at once."""
        payloads = await asyncio.gather(*[self._ask(branch.call) for branch in request.branches])
        return FanOutResponse(
            outcomes=[
                Outcome(branch=branch.name, payload=payload)
                for branch, payload in zip(request.branches, payloads, strict=True)
            ]
        )

    async def StreamFanOut(  # noqa: N802  # as above
        self, request: StreamFanOutRequest, context: Context
    ) -> AsyncIterator[StreamFanOutResponse]:
        """Ask all at once and yield what lands."""

        async def ask(branch: Branch) -> Outcome:
            return Outcome(branch=branch.name, payload=await self._ask(branch.call))

        for landed in asyncio.as_completed([ask(branch) for branch in request.branches]):
            yield StreamFanOutResponse(outcome=await landed)

    async def Session(  # noqa: N802  # as above
        self, request_iterator: AsyncIterator[SessionRequest], context: Context
    ) -> AsyncIterator[SessionResponse]:
        """A task per call and a message per reply, as soon as it is there."""
        ready: asyncio.Queue[SessionResponse | None] = asyncio.Queue()

        async def serve(number: int, call: call_pb2.Call) -> None:
            outcome = Outcome(payload=await self._ask(call))
            ready.put_nowait(SessionResponse(replies=[SessionReply(id=number, outcome=outcome)]))

        async def read() -> None:
            async with asyncio.TaskGroup() as group:
                async for request in request_iterator:
                    for item in request.items:
                        group.create_task(serve(item.id, item.call))
            ready.put_nowait(None)

        reading = asyncio.create_task(read())
        try:
            while (response := await ready.get()) is not None:
                yield response
        finally:
            reading.cancel()
