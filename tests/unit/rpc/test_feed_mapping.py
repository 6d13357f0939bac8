"""Requests of the FeedService: what is read, and which field is refused."""

from __future__ import annotations

import math

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.consume import Farewell, Handed, Settled
from interlaced.core.failure import Failure, Reason
from interlaced.core.filter import Match
from interlaced.core.frame import OverflowPolicy
from interlaced.core.model import Confirmation, Delivery, Event, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.rpc.feed_mapping import (
    MAX_EVENTS,
    consume_response,
    publish_response,
    read_publication,
    read_settlements,
    read_wishes,
)


def test_a_bare_request_asks_for_the_defaults() -> None:
    wishes = read_wishes(pb.SubscribeRequest(feed="a.b"))
    assert wishes.start.kind is StartKind.NOW
    assert wishes.overflow.policy is OverflowPolicy.BLOCK
    assert (wishes.overflow.buffer, wishes.overflow.timeout, wishes.heartbeat) == (None, None, None)
    assert wishes.filter.canonical == b""


def test_a_full_request_is_read() -> None:
    request = pb.SubscribeRequest(
        feed="a.b",
        start=pb.StartPosition(time=Timestamp(seconds=5, nanos=500_000_000)),
        filter=pb.Filter(
            type=pb.StringMatch(prefix="order."),
            source=pb.StringMatch(exact="/s"),
            subject=pb.StringMatch(exact="1"),
            key=pb.StringMatch(prefix="k"),
        ),
        overflow=pb.Overflow(block=pb.BlockOverflow(timeout=Duration(seconds=3)), buffer=9),
        on_expired=pb.ON_EXPIRED_FAIL,
        heartbeat=Duration(seconds=2),
    )
    wishes = read_wishes(request)
    assert wishes.start == Start(StartKind.TIME, time=5.5)
    assert wishes.filter.type == Match("order.", is_prefix=True)
    assert wishes.filter.source == Match("/s")
    assert (wishes.overflow.buffer, wishes.overflow.timeout) == (9, 3.0)
    assert (wishes.fails_on_expired, wishes.heartbeat) == (True, 2.0)


@pytest.mark.parametrize("name", [policy.value for policy in OverflowPolicy])
def test_every_policy_can_be_asked_for(name: str) -> None:
    overflow = pb.Overflow()
    getattr(overflow, name).SetInParent()
    wishes = read_wishes(pb.SubscribeRequest(feed="a.b", overflow=overflow))
    assert wishes.overflow.policy.value == name


def test_places_other_than_a_time() -> None:
    for place, kind in ((pb.StartPosition(oldest=pb.StartOldest()), StartKind.OLDEST),):
        assert read_wishes(pb.SubscribeRequest(feed="f", start=place)).start.kind is kind
    assert (
        read_wishes(pb.SubscribeRequest(feed="f", start=pb.StartPosition(cursor="c"))).cursor == "c"
    )


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("feed", pb.SubscribeRequest()),
        ("start.cursor", pb.SubscribeRequest(feed="f", start=pb.StartPosition(cursor=""))),
        (
            "start.time",
            pb.SubscribeRequest(feed="f", start=pb.StartPosition(time=Timestamp(nanos=-1))),
        ),
        ("filter.key", pb.SubscribeRequest(feed="f", filter=pb.Filter(key=pb.StringMatch()))),
        (
            "overflow.block.timeout",
            pb.SubscribeRequest(
                feed="f", overflow=pb.Overflow(block=pb.BlockOverflow(timeout=Duration(seconds=-1)))
            ),
        ),
        ("heartbeat", pb.SubscribeRequest(feed="f", heartbeat=Duration())),
        ("on_expired", pb.SubscribeRequest(feed="f", on_expired=77)),  # type: ignore[arg-type]  # a newer client's
    ],
)
def test_what_is_wrong_is_named(field: str, request_: pb.SubscribeRequest) -> None:
    with pytest.raises(Failure) as refused:
        read_wishes(request_)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert [one.field for one in refused.value.fields] == [field]


def test_verdicts_are_read_and_a_wrong_one_harms_no_other() -> None:
    settle = pb.ConsumeSettle(
        settlements=[
            pb.Settlement(tag=1, ack=pb.Ack()),
            pb.Settlement(tag=2, nack=pb.Nack()),
            pb.Settlement(tag=3, nack=pb.Nack(delay=Duration(seconds=2))),
            pb.Settlement(tag=4, nack=pb.Nack(delay=Duration())),
            pb.Settlement(tag=5, reject=pb.Reject(cause="x" * 300)),
            pb.Settlement(tag=6),
            pb.Settlement(tag=7, nack=pb.Nack(delay=Duration(seconds=-1))),
        ]
    )
    read = read_settlements(settle)
    assert [one.tag for one in read] == [1, 2, 3, 4, 5, 6, 7]
    assert [one.settlement for one in read[:5]] == [
        Settlement(Verdict.ACK),
        Settlement(Verdict.NACK),
        Settlement(Verdict.NACK, delay=2.0),
        Settlement(Verdict.NACK, delay=0.0),
        Settlement(Verdict.REJECT, cause="x" * 256),
    ]
    assert all(isinstance(one.settlement, Failure) for one in read[5:])


def test_what_a_member_is_told() -> None:
    async def settle(_: Settlement) -> None: ...

    def told(frame: object) -> pb.ConsumeResponse:
        return pb.ConsumeResponse.FromString(consume_response(frame))  # type: ignore[arg-type]  # each kind below

    delivery = Delivery(Event(id="1", source="s", type="t", data=b"d"), settle, 4)
    handed = told([Handed(9, delivery)]).deliveries.deliveries[0]
    assert (handed.tag, handed.attempt, handed.event.id) == (9, 4, "1")
    failed = Settled(2, Failure(Reason.INVALID_REQUEST, "no"))
    results = told([Settled(1), failed]).results.results
    assert not results[0].HasField("status")
    assert results[1].status.code == 3
    assert told(None).WhichOneof("frame") == "checkpoint"
    assert told(Farewell(1.5)).going_away.reconnect_after.nanos == 500_000_000


def test_a_publication_is_read_and_bounded() -> None:
    event = event_pb2.Event(id="1", time=Timestamp(seconds=3), position=b"ignored", data=b"d")
    request = pb.PublishRequest(sink="a.b", events=[event], timeout=Duration(seconds=1))
    made = read_publication(request, deadline=math.inf, now=100.0)
    assert (made.deadline, made.sink) == (101.0, "a.b")
    assert (made.events[0].time, made.events[0].position) == (3.0, b"")
    for events, field in (([], "events"), ([event] * (MAX_EVENTS + 1), "events")):
        with pytest.raises(Failure) as refused:
            read_publication(pb.PublishRequest(sink="a.b", events=events), deadline=1.0, now=0.0)
        assert [one.field for one in refused.value.fields] == [field]


def test_every_event_has_its_own_outcome() -> None:
    confirmations = [
        Confirmation(position=b"p", is_duplicate=True),
        Confirmation(Failure(Reason.OUTCOME_UNKNOWN, "maybe")),
    ]
    read = pb.PublishResponse.FromString(publish_response(confirmations))
    assert (read.outcomes[0].position, read.outcomes[0].duplicate) == (b"p", True)
    assert not read.outcomes[0].HasField("status")
    assert read.outcomes[1].status.code == 2
