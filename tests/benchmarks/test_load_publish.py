"""A Publish RPC counts as good only where every event of it was taken."""

from __future__ import annotations

from typing import Any, cast

from benchmarks.load.http2 import Connection
from benchmarks.load.publish import publish

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb

REQUEST = pb.PublishRequest(sink="up.Ticks", events=[event_pb2.Event(id=name) for name in "ab"])


class Wire:
    """A connection that keeps what is opened and sent."""

    def __init__(self) -> None:
        self.path = b""
        self.listener: Any = None
        self.sent: list[tuple[bytes, bool]] = []

    def open(self, path: bytes, listener: object) -> object:
        self.path, self.listener = path, listener
        return self

    def send_data(self, stream: object, data: bytes, *, is_last: bool) -> None:
        assert stream is self
        self.sent.append((data, is_last))


class Books:
    """A publisher that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def fail(self, why: str) -> None:
        self.told.append(why)

    def published(self) -> None:
        self.told.append("published")


def begun() -> tuple[Wire, Books]:
    wire, books = Wire(), Books()
    publish(cast("Connection", wire), REQUEST, books)
    return wire, books


def answer(*codes: int) -> bytes:
    outcomes = [pb.PublishOutcome() for _ in codes]
    for outcome, code in zip(outcomes, codes, strict=True):
        outcome.status.code = code
    return pb.PublishResponse(outcomes=outcomes).SerializeToString()


def test_one_rpc_carries_the_whole_batch() -> None:
    wire, _ = begun()
    assert wire.path == b"/interlace.v1.FeedService/Publish"
    ((data, is_last),) = wire.sent
    assert is_last
    assert pb.PublishRequest.FromString(data[5:]) == REQUEST


def test_a_batch_that_was_taken_is_no_error() -> None:
    wire, books = begun()
    wire.listener.on_message(answer(0, 0))
    wire.listener.on_end("")
    assert books.told == ["published"]


def test_an_event_that_was_refused_or_forgotten_is_an_error() -> None:
    for codes in ((0, 8), (0,)):
        wire, books = begun()
        wire.listener.on_message(answer(*codes))
        assert books.told == ["an event was not taken"]


def test_an_rpc_that_fails_is_an_error_and_is_over() -> None:
    wire, books = begun()
    wire.listener.on_end("UNAVAILABLE")
    assert books.told == ["publish: UNAVAILABLE", "published"]
