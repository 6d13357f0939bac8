"""Events, and what can be said about a subscription to them."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from interlace.calls import duration
from interlace.v1 import event_pb2, feed_service_pb2

__all__ = [
    "Bookmark",
    "Dropped",
    "Event",
    "Filter",
    "Gap",
    "GapReason",
    "Overflow",
    "Prefix",
    "Start",
    "read_event",
    "read_gap",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened, with the attributes of CloudEvents 1.0. `position` is the place in
    the feed's history: opaque, set by the service, ignored when publishing."""

    id: str = ""
    source: str = ""
    type: str = ""
    data: bytes = b""
    media_type: str = "application/json"
    subject: str = ""
    time: dt.datetime | None = None
    key: str = ""
    position: bytes = b""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Decodes the content as JSON; raises ValueError if it is none."""
        return json.loads(self.data)

    def message(self) -> event_pb2.Event:
        """Returns it as a proto. A time without a zone is taken as UTC."""
        message = event_pb2.Event(
            id=self.id,
            source=self.source,
            type=self.type,
            data=self.data,
            media_type=self.media_type,
            subject=self.subject,
            key=self.key,
            position=self.position,
            attributes=self.attributes,
        )
        if self.time is not None:
            message.time.CopyFrom(_timestamp(self.time))
        return message


class GapReason(enum.StrEnum):
    """Why events are missing."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    NEW_HISTORY = "new_history"
    UPSTREAM_SEQUENCE = "upstream_sequence"
    RECONNECTED = "reconnected"


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that are missing, or may be, at this place. `first` and `last` are the upstream's own
    words for the last known place before and the first after it, where it has them."""

    why: GapReason
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """So many events were dropped for this subscriber, as its overflow policy asks."""

    count: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """Matches texts that begin with this."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which events are wanted: exactly this text, or a Prefix; all that are given must match."""

    type: str | Prefix | None = None
    source: str | Prefix | None = None
    subject: str | Prefix | None = None
    key: str | Prefix | None = None

    def message(self) -> feed_service_pb2.Filter:
        """Returns it as a proto."""
        return feed_service_pb2.Filter(
            type=_match(self.type),
            source=_match(self.source),
            subject=_match(self.subject),
            key=_match(self.key),
        )


@dataclass(frozen=True, slots=True)
class Bookmark:
    """How far a subscription has come: the cursor of the last frame that was delivered whole, and
    the positions of the events of the next one that were delivered already."""

    cursor: str
    delivered: tuple[bytes, ...] = ()

    def dump(self) -> str:
        """Returns it as a text to be stored."""
        return json.dumps([self.cursor, *(base64.b64encode(at).decode() for at in self.delivered)])

    @classmethod
    def load(cls, text: str) -> Bookmark:
        """Reads what `dump` made; raises ValueError for anything else."""
        value = json.loads(text)
        if not isinstance(value, list) or not value or not all(type(it) is str for it in value):
            raise ValueError("not a bookmark")
        return cls(value[0], tuple(base64.b64decode(at, validate=True) for at in value[1:]))


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription starts. Make one with `now`, `oldest`, `at` or `after`."""

    place: str
    bookmark: Bookmark = field(default_factory=lambda: Bookmark(""))
    time: dt.datetime | None = None

    @classmethod
    def now(cls) -> Start:
        """From now on."""
        return cls("now")

    @classmethod
    def oldest(cls) -> Start:
        """From the oldest event kept."""
        return cls("oldest")

    @classmethod
    def at(cls, time: dt.datetime) -> Start:
        """From the first event at or after a time, where the feed can replay."""
        return cls("time", time=time)

    @classmethod
    def after(cls, place: str | Bookmark) -> Start:
        """Exclusively after a cursor; or after a bookmark, which repeats no event at all."""
        return cls("cursor", place if isinstance(place, Bookmark) else Bookmark(place))

    def message(self) -> feed_service_pb2.StartPosition:
        """Returns it as a proto."""
        pb = feed_service_pb2
        if self.place == "cursor":
            return pb.StartPosition(cursor=self.bookmark.cursor)
        if self.time is not None:
            return pb.StartPosition(time=_timestamp(self.time))
        if self.place == "oldest":
            return pb.StartPosition(oldest=pb.StartOldest())
        return pb.StartPosition(now=pb.StartNow())


@dataclass(frozen=True, slots=True)
class Overflow:
    """What happens when the subscriber does not keep up. Make one with `block`, `drop_oldest`,
    `drop_newest`, `conflate` or `disconnect`. `buffer` is how many events may wait, 0 for the
    service's default."""

    policy: str
    buffer: int = 0
    timeout: float | None = None

    @classmethod
    def block(cls, timeout: float | None = None, *, buffer: int = 0) -> Overflow:
        """Waits, and disconnects with SlowConsumer after so many seconds of a full buffer."""
        return cls("block", buffer, timeout)

    @classmethod
    def drop_oldest(cls, *, buffer: int = 0) -> Overflow:
        """Skips the oldest waiting events."""
        return cls("drop_oldest", buffer)

    @classmethod
    def drop_newest(cls, *, buffer: int = 0) -> Overflow:
        """Keeps the oldest waiting events and skips new ones."""
        return cls("drop_newest", buffer)

    @classmethod
    def conflate(cls, *, buffer: int = 0) -> Overflow:
        """Keeps the last event per key."""
        return cls("conflate", buffer)

    @classmethod
    def disconnect(cls, *, buffer: int = 0) -> Overflow:
        """Disconnects with SlowConsumer as soon as the buffer is full."""
        return cls("disconnect", buffer)

    def message(self) -> feed_service_pb2.Overflow:
        """Returns it as a proto."""
        pb = feed_service_pb2
        message = pb.Overflow(buffer=self.buffer)
        getattr(message, self.policy).SetInParent()
        if self.timeout is not None:
            message.block.timeout.CopyFrom(duration(self.timeout))
        return message


def read_event(message: event_pb2.Event) -> Event:
    """Reads an event."""
    when = message.time.ToDatetime(dt.UTC) if message.HasField("time") else None
    return Event(
        id=message.id,
        source=message.source,
        type=message.type,
        data=message.data,
        media_type=message.media_type,
        subject=message.subject,
        time=when,
        key=message.key,
        position=message.position,
        attributes=dict(message.attributes),
    )


_REASONS = {
    feed_service_pb2.GAP_REASON_EXPIRED: GapReason.EXPIRED,
    feed_service_pb2.GAP_REASON_NEW_HISTORY: GapReason.NEW_HISTORY,
    feed_service_pb2.GAP_REASON_UPSTREAM_SEQUENCE: GapReason.UPSTREAM_SEQUENCE,
    feed_service_pb2.GAP_REASON_RECONNECTED: GapReason.RECONNECTED,
}


def read_gap(message: feed_service_pb2.Gap) -> Gap:
    """Reads a gap."""
    # `from` is a word of the language, so that the field has no attribute that can be written.
    first = getattr(message, "from")
    return Gap(_REASONS.get(message.why, GapReason.UNKNOWN), first, message.to)


def _match(rule: str | Prefix | None) -> feed_service_pb2.StringMatch | None:
    if rule is None:
        return None
    if isinstance(rule, Prefix):
        return feed_service_pb2.StringMatch(prefix=rule.text)
    return feed_service_pb2.StringMatch(exact=rule)


def _timestamp(time: dt.datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message
