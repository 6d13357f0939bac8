"""What passes between a worker and the group's embedded broker, as values of MessagePack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from interlaced.codecs import msgpack
from interlaced.codecs.codec import CodecError
from interlaced.connectors.memory.config import AckConfig, UpstreamConfig
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Disposition, Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Confirmation, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.relay.wire import WireError

__all__ = [
    "ack_from",
    "confirmation_from",
    "decode",
    "encode",
    "event_from",
    "event_size",
    "failure_from",
    "gap_from",
    "pack_ack",
    "pack_confirmation",
    "pack_event",
    "pack_failure",
    "pack_gap",
    "pack_settlement",
    "pack_start",
    "pack_upstream",
    "settlement_from",
    "start_from",
    "upstream_from",
]

RecordT = TypeVar("RecordT")


def encode(message: list[Any]) -> bytes:
    """Writes a message; Failure INVALID_REQUEST for text that is not Unicode."""
    try:
        return msgpack.encode(message)
    except CodecError as error:
        raise Failure(Reason.INVALID_REQUEST, "a text of an event is not Unicode") from error


def decode(message: bytes) -> list[Any]:
    """Reads a message; WireError for anything else."""
    try:
        value = msgpack.decode_carefully(message)  # payloads are bytes, which are not usual
    except CodecError as error:
        raise WireError("the message is not MessagePack") from error
    if not isinstance(value, list):
        raise WireError("the message is no list")
    return value


def _read(make: Callable[..., RecordT], *parts: object) -> RecordT:
    """Makes a record of what came; WireError if it cannot be one."""
    try:
        return make(*parts)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise WireError("a record is malformed") from error


def event_size(event: Event) -> int:
    """Returns about how many bytes an event takes in a message."""
    return len(event.data) + sum(map(len, event.attributes.values())) + 200


def pack_event(event: Event) -> list[Any]:
    """Writes an event."""
    return [
        *(event.id, event.source, event.type, event.data, event.media_type),
        *(event.subject, event.time, event.key, event.position, dict(event.attributes)),
    ]


def event_from(packed: Any) -> Event:
    """Reads an event; WireError if it is none."""
    return _read(_event, packed)


def _event(packed: Any) -> Event:
    name, source, kind, data, media_type, subject, time, key, position, attributes = packed
    return Event(
        id=name,
        source=source,
        type=kind,
        data=data,
        media_type=media_type,
        subject=subject,
        time=time,
        key=key,
        position=position,
        attributes=attributes,
    )


def pack_failure(failure: Failure | None) -> list[Any] | None:
    """Writes a failure, without its cause."""
    if failure is None:
        return None
    return [
        *(failure.reason.value, failure.message, failure.disposition.value),
        *(failure.reached.value, failure.retry_after, dict(failure.context)),
        [[field.field, field.description] for field in failure.fields],
    ]


def failure_from(packed: Any) -> Failure | None:
    """Reads a failure; WireError if it is none."""
    return None if packed is None else _read(_failure, packed)


def _failure(packed: Any) -> Failure:
    reason, message, disposition, reached, retry_after, context, fields = packed
    return Failure(
        Reason(reason),
        message,
        disposition=Disposition(disposition),
        reached=Reached(reached),
        retry_after=retry_after,
        fields=tuple(FieldViolation(*field) for field in fields),
        **context,
    )


def pack_confirmation(one: Confirmation) -> list[Any]:
    """Writes a confirmation."""
    return [pack_failure(one.failure), one.position, one.is_duplicate]


def confirmation_from(packed: Any) -> Confirmation:
    """Reads a confirmation; WireError if it is none."""
    return _read(_confirmation, packed)


def _confirmation(packed: Any) -> Confirmation:
    failure, position, is_duplicate = packed
    return Confirmation(failure_from(failure), position, is_duplicate)


def pack_start(start: Start) -> list[Any]:
    """Writes a start."""
    return [start.kind.value, start.position, start.time]


def start_from(packed: Any) -> Start:
    """Reads a start; WireError if it is none."""
    return _read(lambda: Start(StartKind(packed[0]), packed[1], packed[2]))


def pack_gap(gap: Gap) -> list[Any]:
    """Writes a gap."""
    return [gap.why.value, gap.first, gap.last]


def gap_from(packed: Any) -> Gap:
    """Reads a gap; WireError if it is none."""
    return _read(lambda: Gap(GapWhy(packed[0]), packed[1], packed[2]))


def pack_settlement(settlement: Settlement) -> list[Any]:
    """Writes a settlement."""
    return [settlement.verdict.value, settlement.delay, settlement.cause]


def settlement_from(packed: Any) -> Settlement:
    """Reads a settlement; WireError if it is none."""
    return _read(lambda: Settlement(Verdict(packed[0]), packed[1], packed[2]))


def pack_ack(rule: AckConfig) -> list[Any]:
    """Writes the rule of a group."""
    backoff = rule.backoff
    return [rule.wait, rule.max_deliver, backoff.base, backoff.cap, rule.in_flight, rule.batch]


def ack_from(packed: Any) -> AckConfig:
    """Reads the rule of a group; WireError if it is none."""
    return _read(_ack, packed)


def _ack(packed: Any) -> AckConfig:
    wait, max_deliver, base, cap, in_flight, batch = packed
    return AckConfig.model_construct(
        wait=float(wait),
        max_deliver=int(max_deliver),
        backoff=Backoff(float(base), float(cap)),
        in_flight=int(in_flight),
        batch=int(batch),
    )


def pack_upstream(config: UpstreamConfig) -> list[Any]:
    """Writes which broker is meant, and its bounds."""
    return [config.memory, config.keep_events, config.keep_bytes, config.dedupe]


def upstream_from(packed: Any) -> UpstreamConfig:
    """Reads which broker is meant; WireError if it is none."""
    return _read(_upstream, packed)


def _upstream(packed: Any) -> UpstreamConfig:
    name, events, size, dedupe = packed
    return UpstreamConfig.model_construct(
        memory=str(name), keep_events=int(events), keep_bytes=int(size), dedupe=float(dedupe)
    )
