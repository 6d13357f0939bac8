"""The embedded broker: topics with bounded logs, groups, redelivery, dead letters. Pure: time and
chance are handed in, and whoever waits registers a watcher."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from interlaced.codecs import json
from interlaced.codecs.codec import CodecError
from interlaced.codecs.media import JSON, preferred, transcode
from interlaced.connectors.competing import UNSETTLED, dead_letter
from interlaced.connectors.memory.config import AckConfig, OperationConfig
from interlaced.connectors.memory.errors import failure
from interlaced.core.failure import Failure
from interlaced.core.model import Call, Event, Gap, GapWhy, Payload, Settlement, Verdict
from interlaced.core.ports import Start, StartKind

__all__ = [
    "Broker",
    "Group",
    "Limits",
    "Record",
    "Topic",
    "answer",
    "begin",
    "expired",
    "pack",
    "unpack",
]

_MOST_GROUPS = 1000
_POSITION_BYTES = 8
_OVERHEAD = 200
"""What an event costs beside its data, about, in bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a topic: events, bytes, and seconds in which a repeated id is a duplicate."""

    events: int = 10_000
    size: int = 16 * 1024 * 1024
    dedupe: float = 120.0


@dataclass(frozen=True, slots=True)
class Record:
    """An event in a log; `stored_at` is in seconds since 1970."""

    sequence: int
    event: Event
    stored_at: float
    size: int


def pack(sequence: int) -> bytes:
    """Writes a sequence number as a position."""
    return sequence.to_bytes(_POSITION_BYTES, "big")


def unpack(position: bytes) -> int:
    """Reads a position; Failure BAD_CURSOR if it is none of ours."""
    if len(position) != _POSITION_BYTES:
        raise failure("position")
    return int.from_bytes(position, "big")


def _size(event: Event) -> int:
    attributes = sum(len(name) + len(value) for name, value in event.attributes.items())
    return len(event.data) + attributes + _OVERHEAD


class Topic:
    """An append-only log, bounded by trimming its oldest events. What a group has not settled is
    never trimmed: then the log is full, and says so."""

    def __init__(self, name: str, limits: Limits, *, epoch: int) -> None:
        self.name = name
        self.epoch = epoch
        self.first = 1
        self.next = 1
        self.groups: dict[str, Group] = {}
        self.watchers: set[Callable[[], None]] = set()
        self._limits = limits
        self._records: dict[int, Record] = {}
        self._size = 0
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def append(self, event: Event, now: float, wall: float) -> tuple[int, bool]:
        """Stores an event and returns its sequence number, and whether it was there already.

        Raises Failure TOO_LARGE or STORE_FULL.
        """
        known = self._find_duplicate(event, now)
        if known is not None:
            return known, True
        size = _size(event)
        if size > self._limits.size:
            raise failure("too_large", limit=self._limits.size)
        self._make_room(size)
        sequence = self.next
        stored = replace(event, position=pack(sequence))
        self._records[sequence] = Record(sequence, stored, wall, size)
        self._size += size
        self.next += 1
        self._remember(event, now, sequence)
        self.wake()
        return sequence, False

    def wake(self) -> None:
        """Tells everyone who waits that something has changed."""
        for watcher in tuple(self.watchers):
            watcher()

    def get(self, sequence: int) -> Record:
        """Returns a record that is kept."""
        return self._records[sequence]

    def since(self, sequence: int, limit: int) -> list[Record]:
        """Returns up to `limit` records from `sequence` on, which must not be trimmed."""
        end = min(self.next, sequence + limit)
        return [self._records[number] for number in range(sequence, end)]

    def at(self, time: float) -> int:
        """Returns the sequence number of the first record stored at or after `time` (seconds since
        1970); records are asked one by one since the time of day may jump."""
        for number in range(self.first, self.next):
            if self._records[number].stored_at >= time:
                return number
        return self.next

    def _find_duplicate(self, event: Event, now: float) -> int | None:
        while self._seen:
            key, (until, _) = next(iter(self._seen.items()))
            if until > now and len(self._seen) <= self._limits.events:
                break
            del self._seen[key]
        if not event.id:
            return None
        known = self._seen.get((event.source, event.id))
        return None if known is None else known[1]

    def _remember(self, event: Event, now: float, sequence: int) -> None:
        if event.id and self._limits.dedupe > 0:
            self._seen[event.source, event.id] = (now + self._limits.dedupe, sequence)

    def _make_room(self, size: int) -> None:
        floor = min((group.floor() for group in self.groups.values()), default=self.next)
        first, freed = self.first, 0
        while (
            self.next - first >= self._limits.events
            or self._size - freed + size > self._limits.size
        ):
            if first >= floor:
                raise failure("full", limit=self._limits.events)
            freed += self._records[first].size
            first += 1
        for number in range(self.first, first):
            del self._records[number]
        self.first, self._size = first, self._size - freed


def begin(topic: Topic, start: Start) -> tuple[int, list[Gap]]:
    """Returns where a reader starts, and the gap that it has to report first, if any."""
    if start.kind is StartKind.NOW:
        return topic.next, []
    if start.kind is StartKind.OLDEST:
        return topic.first, []
    if start.kind is StartKind.TIME:
        return _begin_at(topic, start.time)
    wanted = unpack(start.position) + 1
    if wanted > topic.next:
        return topic.first, [Gap(GapWhy.NEW_HISTORY)]
    if wanted < topic.first:
        return topic.first, [expired(wanted, topic.first)]
    return wanted, []


def _begin_at(topic: Topic, time: float) -> tuple[int, list[Gap]]:
    number = topic.at(time)
    was_trimmed = number == topic.first > 1
    return number, [expired(1, number)] if was_trimmed else []


def expired(wanted: int, first: int) -> Gap:
    """Says that the events from `wanted` up to the one before `first` are no longer kept."""
    return Gap(GapWhy.EXPIRED, str(wanted), str(first - 1))


@dataclass(slots=True)
class _Pending:
    """An event that a group has seen and not settled. Held by a member until `due`, or waiting
    for it without one."""

    attempt: int = 0
    due: float = 0.0
    member: object | None = None


@dataclass(slots=True)
class Group:
    """Competing consumers of a topic: each event goes to one member at a time until it is
    settled. `attempts` None means that nothing is ever given up."""

    topic: Topic
    name: str
    rule: AckConfig
    bury: Callable[[Event], None]
    attempts: int | None
    held: int = 0
    _next: int = 0
    _pending: dict[int, _Pending] = field(default_factory=dict)
    _taken: deque[int] = field(default_factory=deque)
    _due: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = self.topic.first

    @property
    def unsettled(self) -> int:
        """How many events are held or wait to come again."""
        return len(self._pending)

    def floor(self) -> int:
        """Returns the oldest sequence number that is still needed."""
        while self._taken and self._taken[0] not in self._pending:
            self._taken.popleft()
        return self._taken[0] if self._taken else self._next

    def due(self) -> float | None:
        """Returns when something comes again, or None."""
        while self._due and not self._is_current(*self._due[0]):
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def take(
        self, member: object, now: float, *, limit: int | None = None
    ) -> list[tuple[Record, int]]:
        """Hands out what is due and what is new, with the number of its attempt."""
        taken: list[tuple[Record, int]] = []
        most = self.rule.batch if limit is None else min(limit, self.rule.batch)
        while len(taken) < most and self.held < self.rule.in_flight:
            number = self._next_due(now)
            if number is None:
                number = self._next_new()
            if number is None:
                break
            taken.append((self.topic.get(number), self._hold(number, member, now)))
        return taken

    def settle(
        self, number: int, attempt: int, settlement: Settlement, *, now: float, random: Random
    ) -> bool:
        """Settles one delivery; returns whether it went to the dead letters.

        Raises Failure UPSTREAM_CONFLICT when it is no longer this delivery's to settle.
        """
        pending = self._pending.get(number)
        if pending is None or pending.attempt != attempt or pending.member is None:
            raise failure("stale")
        self._release(pending)
        is_last = self.attempts is not None and attempt >= self.attempts
        if settlement.verdict is Verdict.ACK:
            self._forget(number)
        elif settlement.verdict is Verdict.NACK and not is_last:
            delay = settlement.delay
            if delay is None:
                delay = self.rule.backoff.delay(attempt - 1, random)
            self._wait(number, pending, now + delay)
        else:
            cause = settlement.cause or settlement.verdict.value
            self._give_up(number, pending, cause, now=now)
            return self.attempts is not None
        return False

    def give_back(self, member: object, now: float) -> None:
        """Lets everything that a member holds come again at once."""
        for number, pending in self._pending.items():
            if pending.member is member:
                self._release(pending)
                self._wait(number, pending, now)
        self.topic.wake()

    def _next_due(self, now: float) -> int | None:
        while (due := self.due()) is not None and due <= now:
            number = heapq.heappop(self._due)[1]
            pending = self._pending[number]
            self._release(pending)
            if self.attempts is None or pending.attempt < self.attempts:
                return number
            try:
                self._give_up(number, pending, UNSETTLED, now=now)
            except Failure:
                # The dead letters are full: the event waits, and is not lost.
                continue
        return None

    def _next_new(self) -> int | None:
        if self._next >= self.topic.next:
            return None
        number, self._next = self._next, self._next + 1
        self._pending[number] = _Pending()
        self._taken.append(number)
        return number

    def _hold(self, number: int, member: object, now: float) -> int:
        pending = self._pending[number]
        pending.attempt += 1
        pending.member = member
        self.held += 1
        self._schedule(number, pending, now + self.rule.wait)
        return pending.attempt

    def _release(self, pending: _Pending) -> None:
        if pending.member is not None:
            pending.member = None
            self.held -= 1

    def _wait(self, number: int, pending: _Pending, due: float) -> None:
        self._schedule(number, pending, due)
        self.topic.wake()

    def _give_up(self, number: int, pending: _Pending, cause: str, *, now: float) -> None:
        if self.attempts is not None:
            event = self.topic.get(number).event
            letter = dead_letter(event, cause, attempts=pending.attempt, group=self.name)
            try:
                self.bury(letter)
            except Failure:
                self._wait(number, pending, now + self.rule.backoff.cap)
                raise
        self._forget(number)

    def _forget(self, number: int) -> None:
        del self._pending[number]
        self.topic.wake()

    def _schedule(self, number: int, pending: _Pending, due: float) -> None:
        pending.due = due
        heapq.heappush(self._due, (due, number))

    def _is_current(self, due: float, number: int) -> bool:
        pending = self._pending.get(number)
        return pending is not None and pending.due == due


class Broker:
    """Topics by name. What it knows of time is handed in; it dies with the process."""

    def __init__(self, limits: Limits, random: Random) -> None:
        self._limits = limits
        self._random = random
        self._topics: dict[str, Topic] = {}

    def topic(self, name: str) -> Topic:
        """Returns a topic; it begins with the first one who asks."""
        topic = self._topics.get(name)
        if topic is None:
            limits = replace(self._limits, dedupe=0) if name.endswith(".dead") else self._limits
            topic = Topic(name, limits, epoch=self._random.getrandbits(32))
            self._topics[name] = topic
        return topic

    def group(
        self, topic: Topic, name: str, rule: AckConfig, bury: Callable[[Event], None]
    ) -> Group:
        """Returns a group of a topic; a new one starts at the oldest event. The newest rule holds.

        Raises Failure STORE_FULL when the topic has too many groups.
        """
        group = topic.groups.get(name)
        if group is None:
            if len(topic.groups) >= _MOST_GROUPS:
                raise failure("groups", limit=_MOST_GROUPS)
            attempts = None if topic.name.endswith(".dead") else rule.max_deliver
            group = Group(topic, name, rule, bury, attempts)
            topic.groups[name] = group
        elif group.attempts is not None:
            group.attempts = rule.max_deliver
        group.rule = rule
        return group


def answer(config: OperationConfig) -> Callable[[Call], Payload]:
    """Returns the function that makes an operation's reply; it raises UNACCEPTABLE_MEDIA_TYPE if
    the caller cannot have it in a type that is accepted. ValueError for what JSON cannot hold."""
    canned = Payload(JSON, json.encode(config.reply))

    def make(call: Call) -> Payload:
        if not config.echo:
            return _fit(canned, call.accept)
        return _fit(call.payload or Payload(JSON, json.encode(dict(call.parameters))), call.accept)

    return make


def _fit(payload: Payload, accept: Sequence[str]) -> Payload:
    target = preferred(accept, payload.media_type)
    if target == payload.media_type:
        return payload
    if target is None:
        raise failure("unacceptable")
    try:
        return Payload(target, transcode(payload.data, payload.media_type, target))
    except CodecError as error:
        raise failure("unacceptable") from error
