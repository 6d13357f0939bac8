"""Answers as bytes, written without a message in between.

A reply's body is copied once on its way into a response; building messages copies it three times,
and costs three times what this does. Only what is common is written here: failures and ledgers are
messages, and every byte is the one that a message would have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    took = _effort(effort, ended, has_reply=True, has_ledger=False)
    return b"".join((*_payload(_FIRST, payload), _SECOND, varint(len(took)), took))


def fan_out_response(outcomes: Iterable[Outcome]) -> bytes:
    """Returns an encoded FanOutResponse."""
    parts: list[bytes] = []
    for outcome in outcomes:
        own = _outcome(outcome)
        parts += (_FIRST, varint(sum(map(len, own))), *own)
    return b"".join(parts)


def fan_out_outcome(outcome: Outcome) -> bytes:
    """Returns a StreamFanOutResponse with one outcome, encoded."""
    return fan_out_response((outcome,))  # the field has the same number in both


def reply(number: int, outcome: Outcome) -> bytes:
    """Returns an encoded SessionReply; `number` is the caller's own."""
    own = _outcome(outcome)
    head = (_FIRST_NUMBER, varint(number)) if number else ()
    return b"".join((*head, _SECOND, varint(sum(map(len, own))), *own))


def joined(replies: Sequence[bytes]) -> bytes:
    """Returns a SessionResponse out of encoded replies: a repeated field is a concatenation."""
    parts: list[bytes] = []
    for one in replies:
        parts += (_SECOND, varint(len(one)), one)
    return b"".join(parts)


def _outcome(outcome: Outcome) -> list[bytes]:
    """Returns the parts of an encoded Outcome."""
    parts: list[bytes] = []
    if outcome.branch:
        name = outcome.branch.encode()
        parts += (_FIRST, varint(len(name)), name)
    result = outcome.result
    if isinstance(result, Failure):
        status = to_status(result).SerializeToString()
        parts += (_THIRD, varint(len(status)), status)
        took = _effort(outcome.effort, outcome.ended, has_reply=False)
    else:
        parts += _payload(_SECOND, result.payload)
        took = _effort(outcome.effort, outcome.ended, has_reply=True)
    parts += (_FOURTH, varint(len(took)), took)
    return parts


def _payload(tag: bytes, payload: Payload) -> Sequence[bytes]:
    media_type, data = payload.media_type.encode(), payload.data
    kind = (_FIRST, varint(len(media_type)), media_type) if media_type else ()
    body = (_SECOND, varint(len(data)), data) if data else ()
    size = sum(map(len, kind)) + sum(map(len, body))
    return (tag, varint(size), *kind, *body)


def _effort(effort: Effort, ended: float, *, has_reply: bool, has_ledger: bool = True) -> bytes:
    if has_ledger and effort.ledger:
        message = effort_message(effort, ended=ended, has_reply=has_reply)
        encoded: bytes = message.SerializeToString()
        return encoded
    nanos = max(0, round((ended - effort.started) * 1e9))
    seconds, nanos = divmod(nanos, _NANOS) if nanos >= _NANOS else (0, nanos)
    whole = _FIRST_NUMBER + varint(seconds) if seconds else b""
    latency = whole + _SECOND_NUMBER + varint(nanos) if nanos else whole
    attempts = _SECOND_NUMBER + varint(effort.attempts) if effort.attempts else b""
    source = _THIRD_NUMBER + varint(SOURCES[effort.source]) if has_reply else b""
    return b"".join((_FIRST, varint(len(latency)), latency, attempts, source))
