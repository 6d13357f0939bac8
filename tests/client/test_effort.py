"""Efforts and ledgers, as they are read."""

from __future__ import annotations

from interlace.calls import duration
from interlace.effort import Effort, LedgerEntry, ReplySource, Step, read_effort, read_ledger
from interlace.v1 import gateway_service_pb2, outcome_pb2


def test_an_effort_is_read_in_seconds_with_its_records() -> None:
    record = outcome_pb2.AttemptRecord(
        step="attempt",
        start=duration(0.5),
        duration=duration(1.25),
        reason="UPSTREAM_FAILED",
        upstream_status="500",
        breaker="closed",
        bytes_received=7,
    )
    message = outcome_pb2.Effort(
        latency=duration(2), attempts=2, source=outcome_pb2.REPLY_SOURCE_CACHE, ledger=[record]
    )
    step = Step("attempt", 0.5, 1.25, "UPSTREAM_FAILED", "500", "closed", 7)
    assert read_effort(message) == Effort(2.0, 2, ReplySource.CACHE, (step,))


def test_a_source_that_is_not_known_is_unknown() -> None:
    message = outcome_pb2.Effort.FromString(b"\x18\x63")
    assert read_effort(message).source is ReplySource.UNKNOWN


def test_every_source_of_the_protos_is_known() -> None:
    sources = {
        read_effort(outcome_pb2.Effort(source=value)).source
        for value in outcome_pb2.ReplySource.values()
    }
    assert sources == set(ReplySource)


def test_a_ledger_is_read_with_what_was_left_out() -> None:
    entry = gateway_service_pb2.LedgerEntry(
        branch="a", code=14, reason="BREAKER_OPEN", attempts=1, latency=duration(0.25)
    )
    ledger = read_ledger(
        gateway_service_pb2.FanOutLedger(policy_met=False, entries=[entry], entries_omitted=3)
    )
    assert not ledger.policy_met
    assert ledger.entries == (LedgerEntry("a", 14, "BREAKER_OPEN", 1, 0.25),)
    assert ledger.omitted == 3
