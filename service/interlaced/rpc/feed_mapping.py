"""Requests of the FeedService, read into core nouns, and answers written: pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.consume import ConsumeFrame, Farewell, Handed, Settled, TagSettlement
from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.filter import Filter, Match
from interlaced.core.frame import Overflow, OverflowPolicy, Wishes
from interlaced.core.model import (
    Confirmation,
    Effort,
    Event,
    Publication,
    Settlement,
    Verdict,
)
from interlaced.core.ports import Start, StartKind
from interlaced.rpc.frames import duration, event_message
from interlaced.rpc.mapping import Fields, read_seconds
from interlaced.rpc.status import to_status

__all__ = [
    "MAX_EVENTS",
    "consume_response",
    "publish_response",
    "read_publication",
    "read_settlements",
    "read_wishes",
]

MAX_EVENTS = 10_000
"""The most events of one Publish."""

_LONGEST_CAUSE = 256
_POLICIES = {
    "block": OverflowPolicy.BLOCK,
    "drop_oldest": OverflowPolicy.DROP_OLDEST,
    "drop_newest": OverflowPolicy.DROP_NEWEST,
    "conflate": OverflowPolicy.CONFLATE,
    "disconnect": OverflowPolicy.DISCONNECT,
}


def read_wishes(message: pb.SubscribeRequest) -> Wishes:
    """Reads what a subscriber asks for; raises Failure INVALID_REQUEST with the fields."""
    fields = Fields()
    if not message.feed:
        fields.refuse("feed", "must not be empty")
    if message.on_expired not in pb.OnExpired.values():
        fields.refuse("on_expired", "must be a known value")
    heartbeat = read_seconds(message, "heartbeat", "heartbeat", fields)
    wishes = Wishes(
        start=_start(message.start, fields),
        cursor=message.start.cursor,
        filter=_filter(message.filter, fields),
        overflow=_overflow(message.overflow, fields),
        fails_on_expired=message.on_expired == pb.ON_EXPIRED_FAIL,
        heartbeat=None if math.isinf(heartbeat) else heartbeat,
    )
    fields.check()
    return wishes


def _start(message: pb.StartPosition, fields: Fields) -> Start:
    place = message.WhichOneof("place")
    if place == "cursor" and not message.cursor:
        fields.refuse("start.cursor", "must not be empty")
    if place == "time":
        return Start(StartKind.TIME, time=_seconds(message.time, "start.time", fields))
    return Start(StartKind.OLDEST if place == "oldest" else StartKind.NOW)


def _seconds(message: Timestamp, field: str, fields: Fields) -> float:
    if not 0 <= message.nanos <= 999_999_999 or abs(message.seconds) > 315_576_000_000:
        fields.refuse(field, "must be a valid time")
    return float(message.seconds) + message.nanos / 1e9


def _filter(message: pb.Filter, fields: Fields) -> Filter:
    def match(name: str) -> Match | None:
        if not message.HasField(name):  # type: ignore[arg-type]  # the four names below are its fields
            return None
        rule: pb.StringMatch = getattr(message, name)
        which = rule.WhichOneof("rule")
        if which is None:
            fields.refuse(f"filter.{name}", "exactly one rule must be set")
            return None
        return Match(getattr(rule, which), is_prefix=which == "prefix")

    return Filter(match("type"), match("source"), match("subject"), match("key"))


def _overflow(message: pb.Overflow, fields: Fields) -> Overflow:
    which = message.WhichOneof("policy") or "block"
    timeout = read_seconds(message.block, "timeout", "overflow.block.timeout", fields)
    return Overflow(
        _POLICIES[which], message.buffer or None, None if math.isinf(timeout) else timeout
    )


def read_settlements(message: pb.ConsumeSettle) -> Sequence[TagSettlement]:
    """Reads verdicts; one that is wrong carries its own Failure and harms no other."""
    return [TagSettlement(one.tag, _settlement(one)) for one in message.settlements]


def _settlement(message: pb.Settlement) -> Settlement | Failure:
    which = message.WhichOneof("verdict")
    if which == "ack":
        return Settlement(Verdict.ACK)
    if which == "reject":
        return Settlement(Verdict.REJECT, cause=message.reject.cause[:_LONGEST_CAUSE])
    if which is None:
        return _wrong("verdict", "exactly one verdict must be set")
    if not message.nack.HasField("delay"):
        return Settlement(Verdict.NACK)
    delay: Duration = message.nack.delay
    seconds = delay.seconds + delay.nanos / 1e9
    if delay.seconds < 0 or delay.nanos < 0 or seconds > 7 * 86_400:
        return _wrong("nack.delay", "must be from 0 s to 7 d")
    return Settlement(Verdict.NACK, delay=seconds)


def _wrong(field: str, rule: str) -> Failure:
    violation = FieldViolation(f"settle.settlements.{field}", rule)
    return Failure(
        Reason.INVALID_REQUEST, "the settlement breaks a rule of its fields", fields=(violation,)
    )


def consume_response(frame: ConsumeFrame) -> bytes:
    """Writes what a member is told."""
    return _consume_message(frame).SerializeToString()


def _consume_message(frame: ConsumeFrame) -> pb.ConsumeResponse:
    if frame is None:
        return pb.ConsumeResponse(checkpoint=pb.Checkpoint())
    if isinstance(frame, Farewell):
        after = duration(frame.reconnect_after)
        return pb.ConsumeResponse(going_away=pb.GoingAway(reconnect_after=after))
    deliveries = [_delivery(one) for one in frame if isinstance(one, Handed)]
    if deliveries:
        return pb.ConsumeResponse(deliveries=pb.DeliveryBatch(deliveries=deliveries))
    results = [_result(one) for one in frame if isinstance(one, Settled)]
    return pb.ConsumeResponse(results=pb.SettleResults(results=results))


def _delivery(one: Handed) -> pb.Delivery:
    delivery = one.delivery
    return pb.Delivery(
        tag=one.tag, event=event_message(delivery.event), attempt=max(1, delivery.attempt)
    )


def _result(one: Settled) -> pb.SettleResult:
    if one.failure is None:
        return pb.SettleResult(tag=one.tag)
    return pb.SettleResult(tag=one.tag, status=to_status(one.failure))


def read_publication(message: pb.PublishRequest, *, deadline: float, now: float) -> Publication:
    """Reads events for a sink; raises Failure INVALID_REQUEST with the fields."""
    fields = Fields()
    if not message.sink:
        fields.refuse("sink", "must not be empty")
    if not 1 <= len(message.events) <= MAX_EVENTS:
        fields.refuse("events", f"must hold 1 to {MAX_EVENTS} events")
    timeout = read_seconds(message, "timeout", "timeout", fields)
    fields.check()
    events = [_event(one, f"events[{at}]", fields) for at, one in enumerate(message.events)]
    fields.check()
    return Publication(
        deadline=min(deadline, now + timeout),
        effort=Effort(now),
        sink=message.sink,
        events=events,
    )


def _event(message: event_pb2.Event, field: str, fields: Fields) -> Event:
    has_time = message.HasField("time")
    return Event(
        id=message.id,
        source=message.source,
        type=message.type,
        subject=message.subject,
        time=_seconds(message.time, f"{field}.time", fields) if has_time else None,
        key=message.key,
        media_type=message.media_type,
        data=message.data,
        attributes=dict(message.attributes),
    )


def publish_response(confirmations: Sequence[Confirmation]) -> bytes:
    """Writes what became of each event."""
    outcomes = [
        pb.PublishOutcome(
            status=None if one.failure is None else to_status(one.failure),
            position=one.position,
            duplicate=one.is_duplicate,
        )
        for one in confirmations
    ]
    return pb.PublishResponse(outcomes=outcomes).SerializeToString()
