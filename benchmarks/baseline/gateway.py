"""Calls and fan-outs: a plain servicer with one tuned aiohttp session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
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

_CONVERT: Mapping[str, Callable[[bytes], bytes]] = {
    "application/msgpack": lambda data: ormsgpack.packb(orjson.loads(data)),
    "application/json": lambda data: orjson.dumps(ormsgpack.unpackb(data)),
}
"""The way to each media type from the other one."""
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
    """Passes calls on. `urls` has the encoded URL of each operation that reads, `posts` that of
    each that sends its payload, with the media type that the upstream takes."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        urls: Mapping[str, URL],
        posts: Mapping[str, tuple[URL, str]],
    ) -> None:
        self._session = session
        self._urls = urls
        self._posts = posts

    async def _ask(self, call: call_pb2.Call) -> Payload:
        url = self._urls.get(call.operation)
        if url is None:
            return await self._post(call)
        async with self._session.get(url) as answer:
            data = await answer.read()
            if answer.status != 200:
                raise aiohttp.ClientError(answer.status)
            media_type = answer.headers["Content-Type"]
        if call.accept and media_type not in call.accept:
            return Payload(media_type=call.accept[0], data=_CONVERT[call.accept[0]](data))
        return Payload(media_type=media_type, data=data)

    async def _post(self, call: call_pb2.Call) -> Payload:
        """Send the payload on, as the upstream takes it, and answer as for what is read."""
        url, takes = self._posts[call.operation]
        data = call.payload.data
        if call.payload.media_type != takes:
            data = _CONVERT[takes](data)
        async with self._session.post(url, data=data, headers={"Content-Type": takes}) as answer:
            data = await answer.read()
            if answer.status != 200:
                raise aiohttp.ClientError(answer.status)
            media_type = answer.headers["Content-Type"]
        if call.accept and media_type not in call.accept:
            return Payload(media_type=call.accept[0], data=_CONVERT[call.accept[0]](data))
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
