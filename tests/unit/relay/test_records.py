"""What passes to the group's broker comes back as it was; anything else is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.connectors.memory.config import AckConfig, UpstreamConfig
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Disposition, Failure, FieldViolation, Reached, Reason
from interlaced.core.model import Confirmation, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.relay import records
from interlaced.relay.wire import WireError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EVENTS = st.builds(
    Event,
    id=TEXT,
    source=TEXT,
    type=TEXT,
    data=st.binary(max_size=50),
    media_type=TEXT,
    subject=TEXT,
    time=st.none() | st.floats(allow_nan=False),
    key=TEXT,
    position=st.binary(max_size=10),
    attributes=st.dictionaries(TEXT, TEXT, max_size=3),
)


def through(packed: Any) -> Any:
    """Over the wire and back."""
    return records.decode(records.encode([packed]))[0]


@given(EVENTS)
def test_an_event_comes_back_whole(event: Event) -> None:
    assert records.event_from(through(records.pack_event(event))) == event


def test_a_failure_comes_back_without_its_cause() -> None:
    failure = Failure(
        Reason.STORE_FULL,
        "full",
        disposition=Disposition.TEMPORARY,
        reached=Reached.REPLIED,
        retry_after=2.5,
        fields=(FieldViolation("events", "fewer"),),
        limit="7",
    )
    back = records.failure_from(through(records.pack_failure(failure)))
    assert back is not None
    assert repr(back) == repr(failure)
    assert (back.context, back.fields) == (failure.context, failure.fields)
    assert back.retry_after == failure.retry_after
    assert records.failure_from(through(records.pack_failure(None))) is None


@pytest.mark.parametrize(
    ("record", "pack", "read"),
    [
        (Confirmation(None, b"p", True), records.pack_confirmation, records.confirmation_from),
        (Start(StartKind.TIME, b"", 7.5), records.pack_start, records.start_from),
        (Gap(GapWhy.EXPIRED, "1", "3"), records.pack_gap, records.gap_from),
        (Settlement(Verdict.NACK, 0.5), records.pack_settlement, records.settlement_from),
        (
            AckConfig(wait=3, max_deliver=2, backoff=Backoff(0.5, 2), in_flight=9, batch=4),
            records.pack_ack,
            records.ack_from,
        ),
        (
            UpstreamConfig(memory="main", keep_events=5, keep_bytes=99, dedupe=3),
            records.pack_upstream,
            records.upstream_from,
        ),
    ],
)
def test_records_come_back(
    record: object, pack: Callable[[Any], Any], read: Callable[[Any], object]
) -> None:
    assert read(through(pack(record))) == record
    for bad in (None, 7, "text", [], [1], ["?", "?", "?"], [None] * 12):
        if bad is None and read is records.failure_from:
            continue
        with pytest.raises(WireError):
            read(bad)


def test_what_is_no_message_is_refused() -> None:
    for data in (b"", b"\xc1", b"\x07", records.encode([1]) + b"x"):
        with pytest.raises(WireError):
            records.decode(data)
    with pytest.raises(Failure) as refused:
        records.encode(["\ud800"])
    assert refused.value.reason is Reason.INVALID_REQUEST
    with pytest.raises(WireError):
        records.event_from([1, 2])


def test_an_event_is_about_as_large_as_what_it_holds() -> None:
    event = Event(id="", source="", type="", data=bytes(1000), attributes={"a": "b" * 50})
    assert 1050 <= records.event_size(event) <= 1500
