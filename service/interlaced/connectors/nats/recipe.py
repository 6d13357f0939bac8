"""What we say to NATS and what its answers mean: messages and events, requests of JetStream, where
a reader starts, and the state of a pull. Pure: bytes and headers in, values out."""

from __future__ import annotations

import hashlib
import itertools
import json
import urllib.parse
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import Any, Generic, Protocol, TypeVar

from interlaced.connectors.competing import DEAD_GROUP
from interlaced.connectors.nats.config import AckConfig, Config, FeedConfig, StreamConfig
from interlaced.connectors.nats.errors import from_api, from_exception
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Confirmation, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.transport.nats_link import LinkLost
from interlaced.transport.nats_pull import PullSettings

__all__ = [
    "EXPECTED_STREAM",
    "MSG_ID",
    "Log",
    "Metadata",
    "StreamFacts",
    "broadcast_consumer",
    "confirmation",
    "create_stream",
    "dead_letters",
    "exhausted",
    "expired",
    "from_message",
    "give_back",
    "group_consumer",
    "lost",
    "message_id",
    "nack",
    "pack",
    "plan",
    "pull_settings",
    "read_api",
    "read_confirmation",
    "read_metadata",
    "read_stream",
    "streams_to_create",
    "to_headers",
    "to_letter_headers",
    "to_publication_headers",
    "unknown",
    "unpack",
    "verdict",
]

MSG_ID = "Nats-Msg-Id"
"""The header by which a stream tells duplicates."""
EXPECTED_STREAM = "Nats-Expected-Stream"
"""The header that names the one stream that may confirm."""
MessageT = TypeVar("MessageT")

_KEY = "ce-partitionkey"
_CORE_HEADERS = ("id", "source", "type", "subject", "time", "specversion", "partitionkey")
_NANO = 1_000_000_000
_POSITION_BYTES = 8
_IDLE = 30.0
_ASKED_BYTES = 4 * 1024 * 1024
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_NAME = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_V1_TOKENS, _V2_TOKENS, _NUMBERS = 9, 11, 4


def pack(sequence: int) -> bytes:
    """Writes a stream sequence number as a position."""
    return sequence.to_bytes(_POSITION_BYTES, "big")


def unpack(position: bytes) -> int:
    """Reads a position; Failure BAD_CURSOR if it is none of ours."""
    if len(position) != _POSITION_BYTES:
        raise Failure(Reason.BAD_CURSOR, "the position is not one of this feed")
    return int.from_bytes(position, "big")


# Messages and events


def _quote(text: str) -> str:
    """Percent-encodes as the bindings of CloudEvents do: printable ASCII stays but for '"', '%' and
    the space."""
    return urllib.parse.quote(text, safe=_SAFE)


def message_id(event: Event) -> str:
    """Returns the id by which the broker tells duplicates: id and source, since only the pair is
    unique. Empty for an event without an id."""
    return f"{_quote(event.source)} {_quote(event.id)}" if event.id else ""


def to_letter_headers(letter: Event, metadata: Metadata, epoch: int) -> dict[str, str]:
    """Returns the headers of a dead letter: with an id that makes a second letter of the same
    delivery a duplicate, and with what another publisher's message had as headers that no attribute
    may be called as it came."""
    plain = {name: value for name, value in letter.attributes.items() if not _is_carried(name)}
    fine = {name: value for name, value in letter.attributes.items() if name not in plain}
    place = f"{metadata.stream}.{metadata.stream_sequence}.{letter.attributes[DEAD_GROUP]}.{epoch}"
    return plain | to_headers(replace(letter, attributes=fine)) | {MSG_ID: place}


def to_publication_headers(event: Event, stream: str | None) -> dict[str, str]:
    """Returns the headers of an event that a stream confirms, this one if it is named. Raises
    Failure INVALID_REQUEST."""
    headers = to_headers(event)
    if event.id:
        headers[MSG_ID] = message_id(event)
    if stream:
        headers[EXPECTED_STREAM] = stream
    return headers


def _is_carried(name: str) -> bool:
    return bool(name) and name.lower() not in _CORE_HEADERS and _NAME.issuperset(name)


def to_headers(event: Event) -> dict[str, str]:
    """Returns the headers of an event. Raises Failure INVALID_REQUEST for an attribute whose name
    cannot be carried."""
    headers = {
        "ce-specversion": "1.0",
        "ce-id": _quote(event.id),
        "ce-source": _quote(event.source),
        "ce-type": _quote(event.type),
        "content-type": _quote(event.media_type),
    }
    if event.subject:
        headers["ce-subject"] = _quote(event.subject)
    if event.time is not None:
        headers["ce-time"] = _write_time(event.time)
    if event.key:
        headers[_KEY] = _quote(event.key)
    for name, value in event.attributes.items():
        if not _is_carried(name):
            violation = FieldViolation(
                "attributes", "a name is reserved or not made of [A-Za-z0-9._-]"
            )
            raise Failure(
                Reason.INVALID_REQUEST, "an attribute has no usable name", fields=(violation,)
            )
        headers[f"ce-{name}"] = _quote(value)
    return headers


class _Message(Protocol):
    """What we read of a message."""

    subject: str
    data: bytes
    headers: dict[str, str] | None


def from_message(
    message: _Message, metadata: Metadata | None, *, media_type: str, otherwise: str
) -> Event:
    """Reads an event from a message, also from one that somebody else published without the
    headers of CloudEvents: then its NATS subject is type and subject, and its stream the source.
    `otherwise` is the id of one that has neither an id nor a place in a stream."""
    headers, subject, stored = message.headers or {}, message.subject, None
    source, position = "nats", b""
    if metadata is not None:
        stored, position = metadata.time, pack(metadata.stream_sequence)
        source = f"nats:{metadata.stream}"
        otherwise = f"{metadata.stream}.{metadata.stream_sequence}"
    unquote = urllib.parse.unquote
    own = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    foreign = {
        name: value
        for name, value in headers.items()
        if not name.startswith(("ce-", "Nats-")) and name.lower() != "content-type"
    }
    kind = headers.get("content-type") or headers.get("Content-Type") or media_type
    return Event(
        id=own.get("id") or headers.get(MSG_ID) or otherwise,
        source=own.get("source") or source,
        type=own.get("type") or subject,
        subject=own.get("subject", "") if "id" in own else subject,
        time=_read_time(own["time"], stored) if "time" in own else None if "id" in own else stored,
        key=own.get("partitionkey", ""),
        media_type=unquote(kind),
        data=message.data,
        position=position,
        attributes=foreign | {name: own[name] for name in own if name not in _CORE_HEADERS},
    )


def _write_time(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds")


def _read_time(text: str, otherwise: float | None) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return otherwise


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the reply subject of a JetStream message tells; `time` is when the stream stored it, in
    seconds since 1970."""

    stream: str
    attempt: int
    stream_sequence: int
    consumer_sequence: int
    time: float


def read_metadata(reply: str) -> Metadata:
    """Reads `$JS.ACK.STREAM.CONSUMER.ATTEMPT.SEQUENCE.CONSUMER_SEQUENCE.TIME.PENDING`, or the form
    with a domain and an account before the stream. Failure UPSTREAM_MALFORMED for anything else."""
    parts = reply.split(".")
    is_short = len(parts) == _V1_TOKENS
    skip = 0 if is_short else 2
    try:
        numbers = [int(part) for part in parts[4 + skip : 8 + skip]]
    except ValueError:
        numbers = []
    if len(numbers) != _NUMBERS or not (is_short or len(parts) >= _V2_TOKENS):
        raise Failure(
            Reason.UPSTREAM_MALFORMED, "the broker sent a message without a place in its stream"
        )
    attempt, stream, consumer, nanos = numbers
    return Metadata(parts[2 + skip], attempt, stream, consumer, nanos / _NANO)


def exhausted(
    buffer: Iterable[tuple[Metadata, MessageT]], most: int | None
) -> tuple[Metadata, MessageT] | None:
    """Returns the first delivery that came more than `most` times, if there is one."""
    if most is None:
        return None
    return next((item for item in buffer if item[0].attempt > most), None)


class Log(Generic[MessageT]):
    """What a reader of a stream holds: messages in their order, none left out unseen."""

    def __init__(self) -> None:
        self.buffer: deque[tuple[Metadata, MessageT]] = deque()
        self._expected = 1
        self._last = 0

    def add(self, metadata: Metadata, message: MessageT) -> None:
        """Takes the next message. Raises Failure UPSTREAM_TRUNCATED if it is another one."""
        if metadata.consumer_sequence != self._expected:
            raise Failure(
                Reason.UPSTREAM_TRUNCATED, "the broker's messages did not come one after the other"
            )
        self._expected += 1
        self.buffer.append((metadata, message))

    def take(self, limit: int) -> list[tuple[Metadata, MessageT]]:
        """Hands out the next messages."""
        taken = [self.buffer.popleft() for _ in range(min(limit, len(self.buffer)))]
        if taken:
            self._last = taken[-1][0].stream_sequence
        return taken

    def has_holes(self) -> bool:
        """Tells whether the sequence of what is held has holes: messages of other subjects,
        deleted ones, or some that were trimmed before we came to them."""
        return any(before and after != before + 1 for before, after in self._steps())

    def trimmed(self, facts: StreamFacts) -> list[Gap]:
        """Returns a gap for each hole in what the stream no longer keeps. Rather one too many than
        one too few: which of the missing were of this feed cannot be told."""
        return [
            expired(before + 1, min(after, facts.first))
            for before, after in self._steps()
            if before and before + 1 < min(after, facts.first)
        ]

    def _steps(self) -> Iterator[tuple[int, int]]:
        places = [self._last, *(metadata.stream_sequence for metadata, _ in self.buffer)]
        return itertools.pairwise(places)


# Requests of JetStream


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """A stream as it is: its history's epoch, the sequence numbers that it keeps, and when the
    first of them was stored (seconds since 1970)."""

    epoch: int
    first: int
    last: int
    first_time: float


def read_api(data: bytes) -> Mapping[str, Any]:
    """Reads an answer of JetStream's API; raises the Failure that it tells of."""
    try:
        answer = json.loads(data)
    except ValueError as error:
        raise _malformed() from error
    if not isinstance(answer, dict):
        raise _malformed()
    if isinstance(answer.get("error"), dict):
        raise from_api(answer["error"])
    return answer


def _malformed() -> Failure:
    return Failure(
        Reason.UPSTREAM_MALFORMED, "the broker's answer cannot be read", reached=Reached.MAYBE
    )


def read_stream(answer: Mapping[str, Any], name: str) -> StreamFacts:
    """Reads what STREAM.INFO says. The epoch is that of the history: name and time of creation."""
    try:
        state = answer["state"]
        seed = f"{name} {answer['created']}".encode()
        first, last = int(state["first_seq"]), int(state["last_seq"])
        first_time = datetime.fromisoformat(state["first_ts"]).timestamp()
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed() from error
    epoch = int.from_bytes(hashlib.blake2b(seed, digest_size=4).digest(), "big")
    # A stream that never held anything says first_seq 0.
    return StreamFacts(epoch, max(1, first), last, first_time)


def create_stream(name: str, config: StreamConfig) -> dict[str, Any]:
    """Returns the request that creates a stream."""
    return {
        "name": name,
        "subjects": list(config.subjects),
        "retention": "limits",
        "discard": "old",
        "storage": config.storage,
        "num_replicas": config.replicas,
        "max_msgs": config.max_events or -1,
        "max_bytes": config.max_bytes or -1,
        "max_age": _nanos(config.max_age or 0),
        # The server refuses a window that is longer than what it keeps.
        "duplicate_window": _nanos(min(config.dedupe, config.max_age or config.dedupe)),
    }


def broadcast_consumer(start: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """Returns the settings of a consumer that acknowledges nothing, and that the server drops once
    nobody has pulled for 30 seconds."""
    return {
        **start,
        "filter_subject": subject,
        "ack_policy": "none",
        "replay_policy": "instant",
        "inactive_threshold": _nanos(_IDLE),
        "mem_storage": True,
        "num_replicas": 1,
    }


def group_consumer(group: str, ack: AckConfig, subject: str) -> dict[str, Any]:
    """Returns the settings of the durable consumer that a group shares. The server redelivers
    without end, since it would drop what it gives up: the dead letters are ours to write."""
    return {
        "durable_name": group,
        "deliver_policy": "all",
        "filter_subject": subject,
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": _nanos(ack.wait),
        "max_deliver": -1,
        "max_ack_pending": ack.in_flight,
    }


def pull_settings(max_payload: int, batch: int, heartbeat: float) -> PullSettings:
    """Returns what to ask for at a time: some bytes, but always room for one message."""
    max_bytes = max(_ASKED_BYTES, 2 * max_payload)
    return PullSettings(batch=batch, max_bytes=max_bytes, heartbeat=heartbeat)


def nack(delay: float) -> bytes:
    """Returns the negative acknowledgement that asks for a delay in seconds."""
    return b"-NAK " + _encode({"delay": _nanos(delay)}) if delay > 0 else b"-NAK"


def give_back() -> bytes:
    """Returns what a member says of its deliveries that leaves. Without the delay, server 2.9 hands
    the first of them to the request that the member no longer waits for, and the last one twice."""
    return nack(0.05)


def verdict(
    settlement: Settlement, attempt: int, *, most: int | None, backoff: Backoff, random: Random
) -> bytes | None:
    """Returns what to tell the broker of a delivery, or None if it goes to the dead letters. `most`
    None means that there are none: then a rejected delivery just ends."""
    if settlement.verdict is Verdict.ACK:
        return b"+ACK"
    if settlement.verdict is Verdict.NACK and (most is None or attempt < most):
        delay = settlement.delay
        return nack(backoff.delay(attempt - 1, random) if delay is None else delay)
    return b"+TERM" if most is None else None


def _nanos(seconds: float) -> int:
    return round(seconds * _NANO)


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def read_confirmation(data: bytes) -> Confirmation:
    """Reads what a stream answered to a publication."""
    try:
        answer = read_api(data)
        position = pack(int(answer["seq"]))
    except Failure as failure:
        return Confirmation(failure)
    except (KeyError, TypeError, ValueError, OverflowError):
        return Confirmation(_malformed())
    return Confirmation(None, position, answer.get("duplicate") is True)


# What sinks hear


def confirmation(answer: _Message | BaseException | None) -> Confirmation:
    """Says what became of one event; an answer that is not there leaves it unknown."""
    if answer is None or isinstance(answer, LinkLost):
        return lost()
    if isinstance(answer, BaseException):
        return Confirmation(from_exception(answer, reached=Reached.REPLIED))
    return read_confirmation(answer.data)


def lost() -> Confirmation:
    """Says that nobody knows what became of an event."""
    message = "the broker's confirmation did not come"
    return Confirmation(Failure(Reason.OUTCOME_UNKNOWN, message, reached=Reached.MAYBE))


def unknown(results: Mapping[int, Confirmation]) -> list[int]:
    """Returns the numbers of the events of which nobody knows what became."""
    return [
        number
        for number, one in results.items()
        if one.failure is not None and one.failure.reason is Reason.OUTCOME_UNKNOWN
    ]


# Where a reader starts


def plan(start: Start, facts: StreamFacts) -> tuple[dict[str, Any], list[Gap]]:
    """Returns where in the stream a reader starts, and the gap to report first, if any.

    A position that the stream has not reached yet belongs to another history: then everything that
    is kept is new.
    """
    if start.kind is StartKind.NOW:
        return _from(facts.last + 1), []
    if start.kind is StartKind.OLDEST:
        return {"deliver_policy": "all"}, []
    if start.kind is StartKind.TIME:
        when = datetime.fromtimestamp(start.time, UTC).isoformat()
        is_trimmed = facts.first > 1 and start.time < facts.first_time
        gaps = [expired(1, facts.first)] if is_trimmed else []
        return {"deliver_policy": "by_start_time", "opt_start_time": when}, gaps
    wanted = unpack(start.position) + 1
    if wanted > facts.last + 1:
        return {"deliver_policy": "all"}, [Gap(GapWhy.NEW_HISTORY)]
    if wanted < facts.first:
        return _from(facts.first), [expired(wanted, facts.first)]
    return _from(wanted), []


def _from(sequence: int) -> dict[str, Any]:
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}


def expired(wanted: int, first: int) -> Gap:
    """Says that the messages from `wanted` up to the one before `first` are no longer kept."""
    return Gap(GapWhy.EXPIRED, str(wanted), str(first - 1))


# Which streams there are


def dead_letters(name: str, config: FeedConfig) -> tuple[str, str]:
    """Returns the stream and the subject of a feed's dead letters."""
    dead = config.dead_letters
    return dead.stream or f"{config.stream}-dead", dead.subject or f"dead.{config.stream}.{name}"


def streams_to_create(config: Config) -> dict[str, StreamConfig]:
    """Returns every stream that is ours to create, those of dead letters included."""
    streams = dict(config.streams)
    for name, feed in config.feeds.items():
        stream, subject = dead_letters(name, feed)
        if feed.core or not feed.dead_letters.create or stream in config.streams:
            continue
        alike = config.streams.get(feed.stream or "")
        before = streams[stream].subjects if stream in streams else ()
        streams[stream] = StreamConfig(
            subjects=(*before, subject),
            storage=alike.storage if alike else "file",
            replicas=alike.replicas if alike else 1,
        )
    return streams
