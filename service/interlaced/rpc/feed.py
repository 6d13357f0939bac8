"""FeedService: listen to feeds and tell sinks."""

from __future__ import annotations

import asyncio

import grpc

from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.consume import ConsumeSession
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import EndOfFeed, Failure, FieldViolation, Reason
from interlaced.core.feed import Hub
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks
from interlaced.rpc.feed_mapping import (
    consume_response,
    publish_response,
    read_publication,
    read_settlements,
    read_wishes,
)
from interlaced.rpc.frames import frame_bytes
from interlaced.rpc.guard import Guard, Scope
from interlaced.telemetry.log import log

__all__ = ["Feeds"]

SERVICE = "interlace.v1.FeedService"


class Feeds:
    """Serves FeedService over a Hub and a Dispatch."""

    def __init__(self, *, guard: Guard, hub: Hub, dispatch: Dispatch, clock: Clock) -> None:
        self._guard = guard
        self._hub = hub
        self._dispatch = dispatch
        self._clock = clock

    def service(self) -> grpc.GenericRpcHandler:
        """Returns the service's handlers."""
        guard = self._guard
        handlers = {
            "Subscribe": guard.server_stream(
                f"{SERVICE}/Subscribe", pb.SubscribeRequest, self.subscribe, is_endless=True
            ),
            "Consume": guard.bidi(f"{SERVICE}/Consume", pb.ConsumeRequest, self.consume),
            "Publish": guard.unary(f"{SERVICE}/Publish", pb.PublishRequest, self.publish),
        }
        return guard.service(SERVICE, handlers)

    async def subscribe(
        self, request: pb.SubscribeRequest, scope: Scope[pb.SubscribeRequest]
    ) -> None:
        """Writes frames until the caller leaves, the feed ends, or the caller is too slow."""
        wishes = read_wishes(request)
        try:
            shared = self._hub.find(request.feed)
            await shared.prepare(wishes)
            async with shared.subscribe(wishes) as subscription:
                while (frame := await subscription.next()) is not None:
                    with subscription.writing:
                        await scope.write(frame_bytes(frame))
        except Failure as failure:
            raise failure.but(operation=request.feed) from failure.__cause__

    async def consume(self, scope: Scope[pb.ConsumeRequest]) -> None:
        """Serves one member of a group; the first message must join it."""
        first = await scope.read()
        if first is None or first.WhichOneof("action") != "open":
            raise _wrong_order("the first message must open the stream")
        feed, opening = first.open.feed, first.open
        try:
            shared = self._hub.find(feed)
            async with shared.consume(opening.group, opening.credit) as session:
                listener = asyncio.create_task(_listen(scope, session))
                try:
                    await _tell(scope, session)
                finally:
                    await end_tasks([listener])
        except Failure as failure:
            raise failure.but(operation=feed) from failure.__cause__

    async def publish(self, request: pb.PublishRequest, scope: Scope[pb.PublishRequest]) -> bytes:
        """Hands events to a sink; each has its own outcome."""
        now = self._clock.now()
        publication = read_publication(request, deadline=scope.deadline, now=now)
        return publish_response(await self._dispatch.publish(publication))


async def _tell(scope: Scope[pb.ConsumeRequest], session: ConsumeSession) -> None:
    """Writes what the member is told until the session is over."""
    while True:
        try:
            frame = await session.next()
        except EndOfFeed:
            return
        with session.writing:
            await scope.write(consume_response(frame))


async def _listen(scope: Scope[pb.ConsumeRequest], session: ConsumeSession) -> None:
    """Hears the member out; whatever goes wrong here ends the session."""
    try:
        while (request := await scope.read()) is not None:
            await _obey(request, session)
        session.finish()
    except Failure as failure:
        session.end(failure)
    except Exception as error:  # noqa: BLE001  # a bug must end the stream, not only this task
        log.error("rpc.bug", method=f"{SERVICE}/Consume", exc_info=error)
        session.end(Failure(Reason.INTERNAL_ERROR, "an internal error; the log has the details"))


async def _obey(request: pb.ConsumeRequest, session: ConsumeSession) -> None:
    action = request.WhichOneof("action")
    if action == "settle":
        await session.settle(read_settlements(request.settle))
    elif action == "credit":
        session.add_credit(request.credit.more)
    else:
        raise _wrong_order("only the first message opens the stream, and each says something")


def _wrong_order(rule: str) -> Failure:
    return Failure(
        Reason.INVALID_REQUEST,
        "the stream's messages are out of order",
        fields=(FieldViolation("action", rule),),
    )
