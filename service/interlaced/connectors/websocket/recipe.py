"""What a WebSocket feed is, without a socket: frames in; events, gaps and frames to send out.

A Session lives as long as one connection, a Memory as long as the connector keeps one up. Times
are passed in, so every case is a plain unit test.
"""

from __future__ import annotations

import base64
import enum
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from interlaced.connectors.websocket.config import Ack, Config, FeedConfig, Match
from interlaced.connectors.websocket.errors import (
    dead,
    not_acknowledged,
    not_text,
    refused,
    unreadable,
)
from interlaced.core.model import Event, Gap, GapWhy
from interlaced.core.path import MISSING, Path, compile_path

__all__ = [
    "AckPlan",
    "Dropped",
    "FeedPlan",
    "Item",
    "Memory",
    "Plan",
    "Session",
    "Span",
    "compile_plan",
]

MAX_KEYS = 100_000
"""So many keys of one connector have their sequence watched; beyond it the quietest is forgotten:
an upstream that invents keys must not fill our memory."""

WINDOW = 64
"""A number that lies at most so far back is late or a duplicate; one further back is a history
that began anew, and dropping it would silence the key."""

_DECODER = msgspec.json.Decoder()
_ENCODER = msgspec.json.Encoder()


class Dropped(enum.Enum):
    """Why a frame became no event; the value is what the observer is told."""

    LATE = "late"
    UNREADABLE = "unreadable"


Item: TypeAlias = Event | Gap | Dropped
Span: TypeAlias = tuple[str, Item]
"""The feed's name, and what belongs to it."""


_Matches: TypeAlias = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class AckPlan:
    """How a subscription is confirmed."""

    matches: _Matches
    rejects: _Matches
    count: int
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPlan:
    """One feed's section, compiled: which frames are its own, and where their parts are."""

    name: str
    source: str | Path
    matches: _Matches
    key: Path | None
    id: Path | None
    subject: Path | None
    time: Path | None
    sequence: Path | None
    data: Path
    data_as: Literal["json", "text", "base64"]
    media_type: str
    attributes: tuple[tuple[str, Path], ...]
    type: str | Path
    is_sequence_per_key: bool

    def number_of(self, document: object) -> object:
        """Returns the sequence number, None if the feed has none, MISSING if the frame lacks it."""
        if self.sequence is None:
            return None
        value = self.sequence.extract(document)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 40:
            return int(value)
        return value if type(value) is int else MISSING

    def payload_of(self, document: object, data: bytes) -> bytes | None:
        """Returns the payload: the frame untouched, or the part at the path; None without it."""
        if self.data_as == "json" and not self.data.steps:
            return data
        value = self.data.extract(document)
        if self.data_as == "json":
            return None if value is MISSING else _ENCODER.encode(value)
        if not isinstance(value, str):
            return None
        return _as_text(value) if self.data_as == "text" else _as_base64(value)

    def source_of(self, document: object) -> str:
        """Returns who says so."""
        return _literal(self.source, document)

    def type_of(self, document: object) -> str:
        """Returns the event's type."""
        return _literal(self.type, document)

    def attributes_of(self, document: object) -> Mapping[str, str]:
        """Returns the further attributes that are there."""
        found = {name: _text(path, document) for name, path in self.attributes}
        return {name: text for name, text in found.items() if text}

    def time_of(self, document: object) -> float | None:
        """Returns the event's time in seconds since 1970, or None if it cannot be read."""
        return None if self.time is None else _read_time(self.time.extract(document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A connector's configuration, compiled at load. Times are in seconds."""

    feeds: tuple[FeedPlan, ...]
    on_open: tuple[dict[str, object], ...] = field(repr=False)  # may hold secrets, as the next
    resumes: bool
    ack: AckPlan | None
    ping: float
    ping_frame: str | None = field(repr=False)
    dead_after: float
    reconnects_on_unreadable: bool
    nonce: str


def compile_plan(connector: str, config: Config, nonce: str) -> Plan:
    """Compiles a configuration; `nonce` makes counted event ids unique over restarts."""
    upstream = config.upstream
    beat = upstream.heartbeat
    return Plan(
        feeds=tuple(_compile_feed(connector, *entry) for entry in config.feeds.items()),
        on_open=upstream.on_open,
        resumes=_has_reference(list(upstream.on_open)),
        ack=None if config.upstream.ack is None else _compile_ack(config.upstream.ack),
        ping=beat.ping,
        ping_frame=None if beat.frame is None else _ENCODER.encode(beat.frame).decode(),
        dead_after=beat.limit,
        reconnects_on_unreadable=upstream.unreadable == "reconnect",
        nonce=nonce,
    )


def _compile_ack(ack: Ack) -> AckPlan:
    rejects = _compile_match(ack.reject) if ack.reject else _never
    return AckPlan(_compile_match(ack.match), rejects, ack.count, ack.within)


def _compile_feed(connector: str, name: str, config: FeedConfig) -> FeedPlan:
    return FeedPlan(
        name=name,
        source=_literal_or_path(config.source or f"{connector}.{name}"),
        matches=_compile_match(config.match),
        key=_path(config.key),
        id=_path(config.id),
        subject=_path(config.subject),
        time=_path(config.time),
        sequence=_path(config.sequence),
        data=compile_path(config.data),
        data_as=config.data_as,
        media_type=config.media_type,
        attributes=tuple((each, compile_path(at)) for each, at in config.attributes.items()),
        type=_literal_or_path(config.type or f"{connector}.{name}"),
        is_sequence_per_key=config.sequence_per == "key",
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else compile_path(text)


def _literal_or_path(text: str) -> str | Path:
    return compile_path(text) if text.startswith("$") else text


def _compile_match(match: Match) -> _Matches:
    tests: list[tuple[Path, tuple[tuple[type, object], ...]]] = []
    for text, wanted in match.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        tests.append((compile_path(text), tuple((type(value), value) for value in values)))

    def matches(document: object) -> bool:
        return all(_is_one_of(path.extract(document), wanted) for path, wanted in tests)

    return matches


def _is_one_of(value: object, wanted: tuple[tuple[type, object], ...]) -> bool:
    """Compares by type too: JSON's true is not 1."""
    return any(type(value) is kind and value == each for kind, each in wanted)


def _never(document: object) -> bool:  # noqa: ARG001  # it has the shape of _Matches
    return False


def _has_reference(template: object) -> bool:
    if isinstance(template, dict):
        return any(_has_reference(value) for value in template.values())
    if isinstance(template, list):
        return any(_has_reference(value) for value in template)
    return isinstance(template, str) and template.startswith("$resume.")


def _literal(value: str | Path, document: object) -> str:
    return value if isinstance(value, str) else _text(value, document)


def _as_text(value: str) -> bytes | None:
    try:
        return value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        return None


def _as_base64(value: str) -> bytes | None:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _text(path: Path | None, document: object) -> str:
    """Returns a scalar at a path as text; empty where there is none."""
    value = MISSING if path is None else path.extract(document)
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def _read_time(value: object) -> float | None:
    """Reads RFC 3339, or seconds or milliseconds since 1970: what lies behind the year 5000 in
    seconds is milliseconds."""
    if isinstance(value, str):
        return _read_rfc3339(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e14:
        return float(value) if value < 1e11 else value / 1000
    return None


def _read_rfc3339(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


@dataclass(slots=True)
class Memory:
    """What outlives a connection: the last number per feed and key, and the last event's marks."""

    sequences: OrderedDict[tuple[str, str], int] = field(default_factory=OrderedDict)
    resume: dict[str, object] = field(default_factory=dict)
    count: int = 0

    def advance(self, place: tuple[str, str], number: int) -> None:
        """Notes the last number of a key, and forgets the quietest key if there are too many."""
        self.sequences[place] = number
        self.sequences.move_to_end(place)
        if len(self.sequences) > MAX_KEYS:
            self.sequences.popitem(last=False)


class Session:
    """One connection's state: subscribed or not, alive or not, and what each key is waiting for.

    Whether numbers go on over connections is read from the subscribe frames: those that say where
    to resume (`$resume.…`) continue a history, so what the upstream repeats is dropped and what it
    leaves out is a gap. Without them every connection counts anew.
    """

    def __init__(self, plan: Plan, memory: Memory, now: float) -> None:
        self._plan = plan
        self._memory = memory
        self._heard = now
        self._acks = plan.ack.count if plan.ack else 0
        self._ack_until = now + plan.ack.within if plan.ack else math.inf
        self._is_unreadable: set[str] = set()
        self._begun: set[tuple[str, str]] = set()
        if not plan.resumes:
            memory.sequences.clear()

    @property
    def is_subscribed(self) -> bool:
        """Whether the upstream has confirmed everything that it is to confirm."""
        return self._acks == 0

    def opened(self) -> Sequence[str]:
        """Returns the frames that subscribe."""
        resume = self._memory.resume | self._sequences()
        return [_ENCODER.encode(_fill(frame, resume)).decode() for frame in self._plan.on_open]

    def _sequences(self) -> dict[str, object]:
        """The last number by key; where feeds share a key, what all of them have seen."""
        found: dict[str, int] = {}
        for (_, key), last in self._memory.sequences.items():
            found[key] = min(last, found.get(key, last))
        return {"sequences": found} if found else {}

    def heard(self, now: float) -> None:
        """Notes a sign of life: any frame, pongs and pings too."""
        self._heard = now

    def deadline(self) -> float:
        """Returns when `check` has to be called again, if nothing is heard until then."""
        return min(self._heard + self._plan.dead_after, self._ack_until)

    def check(self, now: float) -> None:
        """Raises UPSTREAM_TIMEOUT if the connection is dead or the subscription unconfirmed: kill
        the transport then, since a peer that is gone answers no polite close."""
        if now >= self._ack_until:
            raise not_acknowledged()
        if now >= self._heard + self._plan.dead_after:
            raise dead()

    def received(self, data: bytes, *, is_text: bool, now: float) -> list[Span]:
        """Takes one whole frame and returns what it means, in order.

        Raises a Failure when the connection is of no use any more: text that is no UTF-8 (RFC
        6455 asks for it), a refused subscription, or an unreadable frame where the configuration
        says so.
        """
        self._heard = now
        try:
            document = _DECODER.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return self._unreadable(data, is_text, error)
        if self._acks and self._is_about_subscription(document):
            return []
        return [
            (feed.name, item)
            for feed in self._plan.feeds
            if feed.matches(document)
            for item in self._read(feed, document, data)
        ]

    def _is_about_subscription(self, document: object) -> bool:
        ack = self._plan.ack
        if ack is None:
            return False
        if ack.rejects(document):
            raise refused()
        if not ack.matches(document):
            return False
        self._acks -= 1
        if not self._acks:
            self._ack_until = math.inf
        return True

    def _unreadable(self, data: bytes, is_text: bool, error: Exception) -> list[Span]:
        if is_text and not _is_utf8(data):
            raise not_text() from error
        if self._plan.reconnects_on_unreadable:
            raise unreadable() from error
        # Nobody can say whose it was, so every feed may miss something.
        return [span for feed in self._plan.feeds for span in self._lose(feed)]

    def _lose(self, feed: FeedPlan) -> Iterator[Span]:
        for item in self._lost(feed):
            yield feed.name, item

    def _lost(self, feed: FeedPlan) -> Iterator[Item]:
        """An unreadable frame of a feed: one gap until it is readable again, however many."""
        yield Dropped.UNREADABLE
        if feed.name not in self._is_unreadable:
            self._is_unreadable.add(feed.name)
            yield Gap(GapWhy.UPSTREAM_SEQUENCE)

    def _read(self, feed: FeedPlan, document: object, data: bytes) -> Iterator[Item]:
        key = _text(feed.key, document)
        number = feed.number_of(document)
        payload = feed.payload_of(document, data)
        if number is MISSING or payload is None:
            yield from self._lost(feed)
            return
        self._is_unreadable.discard(feed.name)
        if isinstance(number, int):
            found = self._place((feed.name, key if feed.is_sequence_per_key else ""), number)
            if found is Dropped.LATE:
                yield found
                return
            if found is not None:
                yield found
        yield self._event(feed, document, payload, key=key, number=number)

    def _place(self, place: tuple[str, str], number: int) -> Gap | Dropped | None:
        """Finds where a number belongs: next, late (its gap has been reported, or it is a
        duplicate), behind a gap, or in a history that began anew."""
        last = self._memory.sequences.get(place)
        found = None
        if last is not None and number != last + 1:
            is_first = place not in self._begun
            if number > last:
                first, final = _mark(place[1], last + 1), _mark(place[1], number - 1)
                found = Gap(GapWhy.UPSTREAM_SEQUENCE, first, final)
            elif last - number > WINDOW or (is_first and number <= 1 < last):
                found = Gap(GapWhy.NEW_HISTORY)
            else:
                return Dropped.LATE
        self._begun.add(place)
        self._memory.advance(place, number)
        self._memory.resume["seq"] = number
        return found

    def _event(
        self, feed: FeedPlan, document: object, payload: bytes, *, key: str, number: object
    ) -> Event:
        memory = self._memory
        memory.count += 1
        given = _text(feed.id, document)
        if given:
            memory.resume["id"] = given
        event = Event(
            id=given or self._made_up_id(key, number),
            source=feed.source_of(document),
            type=feed.type_of(document),
            subject=_text(feed.subject, document),
            time=feed.time_of(document),
            key=key,
            data=payload,
            media_type=feed.media_type,
            attributes=feed.attributes_of(document),
        )
        if event.time is not None:
            memory.resume["time"] = event.time
        return event

    def _made_up_id(self, key: str, number: object) -> str:
        if isinstance(number, int):
            return _mark(key, number)
        return f"{self._plan.nonce}-{self._memory.count}"


def _mark(key: str, number: int) -> str:
    """Names a number, with the key that it counts for, as the ids made up here do."""
    return f"{key}-{number}" if key else str(number)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fill(template: object, resume: dict[str, object]) -> object:
    """Puts what came last into a frame; members without a value are left out."""
    if isinstance(template, dict):
        filled = {name: _fill(value, resume) for name, value in template.items()}
        return {name: value for name, value in filled.items() if value is not MISSING}
    if isinstance(template, list):
        return [value for each in template if (value := _fill(each, resume)) is not MISSING]
    if isinstance(template, str) and template.startswith("$resume."):
        return resume.get(template.removeprefix("$resume."), MISSING)
    return template
