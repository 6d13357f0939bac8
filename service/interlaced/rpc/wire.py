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
_SHORT = 0x4000
_SHORTS = (
    *(bytes((number,)) for number in range(0x80)),
    *(bytes((number & 0x7F | 0x80, number >> 7)) for number in range(0x80, _SHORT)),
)
"""The numbers that take one byte or two: most lengths are such, six in every answer."""
_MORE = tuple(bytes((number & 0x7F | 0x80, number >> 7 | 0x80)) for number in range(_SHORT))
"""The first two bytes of a number that takes more, by its lowest 14 bits."""
_NANOS = 1_000_000_000
_BELOW_A_SECOND = tuple(bytes((0x0A, 1 + size)) + _SECOND_NUMBER for size in range(6))
"""What an Effort begins with, by the length of its latency's nanoseconds."""
_ATTEMPTS = (b"", *(_SECOND_NUMBER + bytes((count,)) for count in range(1, 0x80)))
"""The usual numbers of attempts, with their tag."""


def varint(value: int) -> bytes:
    """Writes a whole number of at least zero."""
    if value < _SHORT:
        return _SHORTS[value]
    if value < _SHORT * _SHORT:
        return _MORE[value & 0x3FFF] + _SHORTS[value >> 14]
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def call_response(payload: Payload, effort: Effort, ended: float) -> bytes:
    """Returns an encoded CallResponse. Its ledger, if there is one, is in the trailers."""
    kind, data = _kind(payload.media_type), payload.data
    took = _effort(effort, ended, _SOURCES[effort.source])
    if not data:
        return b"".join((_FIRST, varint(len(kind)), kind, _SECOND, varint(len(took)), took))
    length = varint(len(data))
    size = varint(len(kind) + 1 + len(length) + len(data))
    return b"".join((_FIRST, size, kind, _SECOND, length, data, _SECOND, _SHORTS[len(took)], took))


def fan_out_response(outcomes: Iterable[Outcome]) -> bytes:
    """Returns an encoded FanOutResponse."""
    parts: list[bytes] = []
    for outcome in outcomes:
        size, own = _outcome(outcome)
        parts.append(_FIRST)
        parts.append(_SHORTS[size] if size < _SHORT else varint(size))
        parts += own
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
    label = name and _FIRST + _SHORTS[len(name)] + name
    if isinstance(result, Failure):
        source, tag, data = b"", _THIRD, b""
        content: bytes = to_status(result).SerializeToString()
    else:
        source, tag, data = _SOURCES[effort.source], _SECOND, result.payload.data
        content = _kind(result.payload.media_type)
    if effort.ledger:
        took = _effort_with_ledger(effort, outcome.ended, source)
        taken = varint(len(took))
    else:
        took = _effort(effort, outcome.ended, source)
        taken = _SHORTS[len(took)]
    size = len(label) + 2 + len(taken) + len(took)
    if not data:
        length = varint(len(content))
        parts = (label, tag, length, content, _FOURTH, taken, took)
        return size + len(length) + len(content), parts
    count = len(data)
    length = _SHORTS[count] if count < _SHORT else varint(count)
    inner = len(content) + 1 + len(length) + count
    head = _SHORTS[inner] if inner < _SHORT else varint(inner)
    own = (label, tag, head, content, _SECOND, length, data, _FOURTH, taken, took)
    return size + len(head) + inner, own


@lru_cache(256)
def _kind(media_type: str) -> bytes:
    text = media_type.encode()
    return b"".join((_FIRST, varint(len(text)), text)) if text else b""


def _effort_with_ledger(effort: Effort, ended: float, source: bytes) -> bytes:
    message = effort_message(effort, ended=ended, has_reply=bool(source))
    encoded: bytes = message.SerializeToString()
    return encoded


def _effort(effort: Effort, ended: float, source: bytes) -> bytes:
    """Returns an encoded Effort without a ledger, which is never long."""
    nanos = round((ended - effort.started) * 1e9)
    count = effort.attempts
    attempts = _ATTEMPTS[count] if count < 0x80 else _SECOND_NUMBER + varint(count)
    if _SHORT <= nanos < _SHORT * _SHORT:  # from 16 us to a quarter of a second, as nearly all
        high = _SHORTS[nanos >> 14]
        head = _BELOW_A_SECOND[2 + len(high)]
        return b"".join((head, _MORE[nanos & 0x3FFF], high, attempts, source))
    if 0 < nanos < _NANOS:
        below = varint(nanos)
        return b"".join((_BELOW_A_SECOND[len(below)], below, attempts, source))
    if nanos <= 0:
        return b"".join((_FIRST, _SHORTS[0], attempts, source))
    seconds, nanos = divmod(nanos, _NANOS)
    below = _SECOND_NUMBER + varint(nanos) if nanos else b""
    latency = _FIRST_NUMBER + varint(seconds) + below
    return b"".join((_FIRST, varint(len(latency)), latency, attempts, source))
