"""Answers as bytes, written without a message in between.

A reply's body is copied once on its way into a response; building messages copies it three times,
and costs three times what this does. Only what is common is written here: failures and ledgers are
messages, and every byte is the one that a message would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from interlaced.core.failure import Failure
from interlaced.core.fanout import Outcome
from interlaced.core.model import Effort, Payload
from interlaced.rpc.mapping import SOURCES, effort_message
from interlaced.rpc.status import to_status

__all__ = ["call_response", "fan_out_outcome", "fan_out_response", "joined", "reply", "varint"]

# Tags of protobuf: field number * 8 + wire type 2 (length) or 0 (varint).
_FIRST = b"\x0a"
_SECOND = b"\x12"
_THIRD = b"\x1a"
_FOURTH = b"\x22"
_FIRST_NUMBER = b"\x08"
_SECOND_NUMBER = b"\x10"
_THIRD_NUMBER = b"\x18"
_SOURCES = {source: _THIRD_NUMBER + bytes((number,)) for source, number in SOURCES.items()}
_SMALL = tuple(bytes((number,)) for number in range(0x80))
_NANOS = 1_000_000_000


def varint(value: int) -> bytes:
    """Writes a whole number of at least zero."""
    if value < 0x80:
        return _SMALL[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def call_response(payload: Payload, effort: Effort, ended: float) -> bytes:
    """Returns an encoded CallResponse. Its ledger, if there is one, is in the trailers."""
    took = _effort(effort, ended, _SOURCES[effort.source])
    return b"".join((_FIRST, *_payload(payload), _SECOND, varint(len(took)), took))


def fan_out_response(outcomes: Iterable[Outcome]) -> bytes:
    """Returns an encoded FanOutResponse."""
    parts: list[bytes] = []
    for outcome in outcomes:
        size, own = _outcome(outcome)
        parts += (_FIRST, varint(size), *own)
    return b"".join(parts)


def fan_out_outcome(outcome: Outcome) -> bytes:
    """Returns a StreamFanOutResponse with one outcome, encoded."""
    return fan_out_response((outcome,))  # the field has the same number in both


def reply(number: int, outcome: Outcome) -> bytes:
    """Returns an encoded SessionReply; `number` is the caller's own."""
    size, own = _outcome(outcome)
    head = _FIRST_NUMBER + varint(number) if number else b""
    return b"".join((head, _SECOND, varint(size), *own))


def joined(replies: Sequence[bytes]) -> bytes:
    """Returns a SessionResponse out of encoded replies: a repeated field is a concatenation."""
    parts: list[bytes] = []
    for one in replies:
        parts += (_SECOND, varint(len(one)), one)
    return b"".join(parts)


def _outcome(outcome: Outcome) -> tuple[int, tuple[bytes, ...]]:
    """Returns the size and the parts of an encoded Outcome."""
    result, effort, name = outcome.result, outcome.effort, outcome.branch.encode()
    if isinstance(result, Failure):
        status = to_status(result).SerializeToString()
        source, own = b"", (_THIRD, varint(len(status)), status)
        size = sum(map(len, own))
    else:
        source, own = _SOURCES[effort.source], (_SECOND, *_payload(result.payload))
        # The sizes of what a payload is made of, without a walk over its parts.
        size = 1 + len(own[1]) + len(own[2]) + len(own[3]) + len(own[4]) + len(own[5])
    took = _effort_with_ledger(effort, outcome.ended, source)
    length = varint(len(took))
    size += 1 + len(length) + len(took)
    if not name:
        return size, (*own, _FOURTH, length, took)
    own_length = varint(len(name))
    size += 1 + len(own_length) + len(name)
    return size, (_FIRST, own_length, name, *own, _FOURTH, length, took)


def _payload(payload: Payload) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Returns the length of a payload's field, and its parts."""
    kind, data = _kind(payload.media_type), payload.data
    if not data:
        return varint(len(kind)), kind, b"", b"", b""
    length = varint(len(data))
    return varint(len(kind) + 1 + len(length) + len(data)), kind, _SECOND, length, data


@lru_cache(256)
def _kind(media_type: str) -> bytes:
    text = media_type.encode()
    return b"".join((_FIRST, varint(len(text)), text)) if text else b""


def _effort_with_ledger(effort: Effort, ended: float, source: bytes) -> bytes:
    if not effort.ledger:
        return _effort(effort, ended, source)
    message = effort_message(effort, ended=ended, has_reply=bool(source))
    encoded: bytes = message.SerializeToString()
    return encoded


def _effort(effort: Effort, ended: float, source: bytes) -> bytes:
    nanos = max(0, round((ended - effort.started) * 1e9))
    latency = _SECOND_NUMBER + varint(nanos) if nanos else b""
    if nanos >= _NANOS:
        seconds, nanos = divmod(nanos, _NANOS)
        below = _SECOND_NUMBER + varint(nanos) if nanos else b""
        latency = _FIRST_NUMBER + varint(seconds) + below
    count = effort.attempts
    attempts = _SECOND_NUMBER + varint(count) if count else b""
    return b"".join((_FIRST, varint(len(latency)), latency, attempts, source))
