"""Publishing as the loads of events do it: one RPC for a batch, and no event refused."""

from __future__ import annotations

from typing import Protocol

from benchmarks.load.http2 import Connection, framed
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["Publisher", "publish"]

_PATH = b"/interlace.v1.FeedService/Publish"


class Publisher(Protocol):
    """Whoever publishes."""

    def fail(self, why: str) -> None:
        """Count an error: an event that was not taken, or an RPC that failed."""
        ...

    def published(self) -> None:
        """One RPC is over, however it went."""
        ...


def publish(connection: Connection, request: pb.PublishRequest, publisher: Publisher) -> None:
    """Send one Publish RPC; `publisher` is told what becomes of it."""
    stream = connection.open(_PATH, _Publication(publisher, len(request.events)))
    connection.send_data(stream, framed(request.SerializeToString()), is_last=True)


class _Publication:
    """One Publish RPC."""

    __slots__ = ("_count", "_publisher")

    def __init__(self, publisher: Publisher, count: int) -> None:
        self._publisher = publisher
        self._count = count

    def on_message(self, message: bytes) -> None:
        """Check that every event was taken."""
        outcomes = pb.PublishResponse.FromString(message).outcomes
        if len(outcomes) != self._count or any(one.status.code for one in outcomes):
            self._publisher.fail("an event was not taken")

    def on_end(self, error: str) -> None:
        """Count an RPC that failed, and let the next one go."""
        if error:
            self._publisher.fail(f"publish: {error}")
        self._publisher.published()
