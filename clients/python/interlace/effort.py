"""What a call took, step by step, and what became of the branches of a fan-out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from interlace.v1 import gateway_service_pb2, outcome_pb2

__all__ = [
    "Effort",
    "Ledger",
    "LedgerEntry",
    "ReplySource",
    "Step",
    "read_effort",
    "read_ledger",
]


class ReplySource(enum.StrEnum):
    """Where a reply came from."""

    UNKNOWN = "unknown"
    UPSTREAM = "upstream"
    CACHE = "cache"
    COALESCED = "coalesced"


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt, or one wait and its cause. `start` (from the start of the call) and `duration`
    are in seconds; `reason` is empty for a success or a plain wait."""

    step: str
    start: float
    duration: float
    reason: str = ""
    upstream_status: str = ""
    breaker: str = ""
    bytes_received: int = 0


@dataclass(frozen=True, slots=True)
class Effort:
    """What a call took. `latency` is in seconds and measured inside Interlace; `ledger` is empty
    unless it was asked for."""

    latency: float = 0.0
    attempts: int = 0
    source: ReplySource = ReplySource.UNKNOWN
    ledger: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of one branch. `code` is a gRPC status code (0 is success), `latency` is in
    seconds."""

    branch: str
    code: int
    reason: str = ""
    attempts: int = 0
    latency: float = 0.0


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of every branch, without payloads. `omitted` entries were left out for size."""

    policy_met: bool
    entries: tuple[LedgerEntry, ...] = ()
    omitted: int = 0


_SOURCES = {
    outcome_pb2.REPLY_SOURCE_UPSTREAM: ReplySource.UPSTREAM,
    outcome_pb2.REPLY_SOURCE_CACHE: ReplySource.CACHE,
    outcome_pb2.REPLY_SOURCE_COALESCED: ReplySource.COALESCED,
}


def read_effort(message: outcome_pb2.Effort) -> Effort:
    """Reads an Effort."""
    return Effort(
        latency=message.latency.ToNanoseconds() / 1e9,
        attempts=message.attempts,
        source=_SOURCES.get(message.source, ReplySource.UNKNOWN),
        ledger=tuple(_step(record) for record in message.ledger),
    )


def _step(record: outcome_pb2.AttemptRecord) -> Step:
    return Step(
        step=record.step,
        start=record.start.ToNanoseconds() / 1e9,
        duration=record.duration.ToNanoseconds() / 1e9,
        reason=record.reason,
        upstream_status=record.upstream_status,
        breaker=record.breaker,
        bytes_received=record.bytes_received,
    )


def read_ledger(message: gateway_service_pb2.FanOutLedger) -> Ledger:
    """Reads the ledger of a fan-out."""
    entries = (
        LedgerEntry(
            branch=entry.branch,
            code=entry.code,
            reason=entry.reason,
            attempts=entry.attempts,
            latency=entry.latency.ToNanoseconds() / 1e9,
        )
        for entry in message.entries
    )
    return Ledger(message.policy_met, tuple(entries), message.entries_omitted)
