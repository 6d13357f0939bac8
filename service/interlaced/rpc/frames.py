"""Frames as bytes: a repeated field is a concatenation on the wire, so that a batch is a join of
events that were encoded once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from interlace.v1 import event_pb2
from interlace.v1 import feed_service_pb2 as pb
from interlaced.core.frame import Frame, FrameKind
from interlaced.core.model import Event, Gap, GapWhy
from interlaced.rpc.wire import varint

__all__ = ["GAP_REASONS", "duration", "encode_event", "event_message", "frame_bytes"]

GAP_REASONS: Mapping[GapWhy, pb.GapReason.ValueType] = {
    GapWhy.EXPIRED: pb.GAP_REASON_EXPIRED,
    GapWhy.NEW_HISTORY: pb.GAP_REASON_NEW_HISTORY,
    GapWhy.UPSTREAM_SEQUENCE: pb.GAP_REASON_UPSTREAM_SEQUENCE,
    GapWhy.RECONNECTED: pb.GAP_REASON_RECONNECTED,
}
"""Why events are missing, as the API says it."""

# Tags of protobuf: field number * 8 + wire type 2 (length) or 0 (varint).
_EVENTS = b"\x0a"  # EventBatch.events = 1
_BATCH = b"\x0a"  # SubscribeResponse.batch = 1
_CHECKPOINT = b"\x12\x00"  # SubscribeResponse.checkpoint = 2, empty
_GAP = b"\x1a"  # SubscribeResponse.gap = 3
_GOING_AWAY = b"\x22"  # SubscribeResponse.going_away = 4
_CURSOR = b"\x72"  # SubscribeResponse.cursor = 14
_DROPPED = b"\x78"  # SubscribeResponse.dropped = 15

_FIRST_SECOND = -62_135_596_800  # 0001-01-01
_LAST_SECOND = 253_402_300_799  # 9999-12-31


def encode_event(event: Event) -> bytes:
    """Returns the event as a ready field of EventBatch: tag, length, and its bytes."""
    data = event_message(event).SerializeToString()
    return b"".join((_EVENTS, varint(len(data)), data))


def event_message(event: Event) -> event_pb2.Event:
    """Returns the event as a message. Texts that are not Unicode are mended; a time that no
    Timestamp can hold is left out."""
    try:
        return _event_message(event, event.attributes)
    except UnicodeEncodeError:
        mended = {_mend(name): _mend(value) for name, value in event.attributes.items()}
        clean = replace(
            event,
            id=_mend(event.id),
            source=_mend(event.source),
            type=_mend(event.type),
            subject=_mend(event.subject),
            key=_mend(event.key),
            media_type=_mend(event.media_type),
        )
        return _event_message(clean, mended)


def _event_message(event: Event, attributes: Mapping[str, str]) -> event_pb2.Event:
    return event_pb2.Event(
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        time=_timestamp(event.time),
        key=event.key,
        position=event.position,
        media_type=event.media_type,
        data=event.data,
        attributes=attributes,
    )


def _mend(text: str) -> str:
    return text.encode(errors="replace").decode()


def _timestamp(time: float | None) -> Timestamp | None:
    if time is None or not _FIRST_SECOND <= time <= _LAST_SECOND:
        return None
    # A float of this size tells microseconds; more digits would be invented.
    seconds, micros = divmod(round(time * 1_000_000), 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def duration(seconds: float) -> Duration:
    """Returns a Duration of so many seconds, to the millisecond."""
    made = Duration()
    made.FromMilliseconds(round(seconds * 1000))
    return made


def frame_bytes(frame: Frame) -> bytes:
    """Returns a frame as an encoded SubscribeResponse. A shared frame is encoded once."""
    if not frame.wire:
        frame.wire = b"".join((*_head(frame), *_tail(frame)))
        frame.body = b""
    return frame.wire


def _head(frame: Frame) -> tuple[bytes, ...]:
    if frame.kind is FrameKind.BATCH:
        return _BATCH, varint(len(frame.body)), frame.body
    if frame.kind is FrameKind.CHECKPOINT:
        return (_CHECKPOINT,)
    if frame.kind is FrameKind.GOING_AWAY:
        away = pb.GoingAway(reconnect_after=duration(frame.reconnect_after))
        return _GOING_AWAY, *_field(away.SerializeToString())
    return _GAP, *_field(_gap_message(frame.gap).SerializeToString())


def _gap_message(gap: Gap | None) -> pb.Gap:
    if gap is None:
        return pb.Gap()
    message = pb.Gap(to=_mend(gap.last), why=GAP_REASONS[gap.why])
    setattr(message, "from", _mend(gap.first))  # a word of Python
    return message


def _tail(frame: Frame) -> tuple[bytes, ...]:
    cursor = (_CURSOR, *_field(frame.cursor.encode())) if frame.cursor else ()
    return (*cursor, _DROPPED, varint(frame.dropped)) if frame.dropped else cursor


def _field(data: bytes) -> tuple[bytes, bytes]:
    return varint(len(data)), data
