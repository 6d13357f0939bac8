"""What is said to NATS and what its answers mean, without a server."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from random import Random

import nats.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlaced.connectors.competing import dead_letter
from interlaced.connectors.nats import recipe
from interlaced.connectors.nats.config import AckConfig, Config, StreamConfig
from interlaced.connectors.nats.recipe import Log, Metadata, StreamFacts
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Start, StartKind
from interlaced.transport.nats_link import LinkLost

PLACE = Metadata("ORDERS", 1, 42, 7, 1_700_000_000.5)
FACTS = StreamFacts(epoch=1, first=10, last=20, first_time=1000.0)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@dataclass
class Message:
    subject: str = "orders.new"
    data: bytes = b"{}"
    headers: dict[str, str] | None = field(default_factory=dict)


def read(message: Message, metadata: Metadata | None = PLACE) -> Event:
    return recipe.from_message(message, metadata, media_type="text/plain", otherwise="made-up")


@given(
    st.builds(
        Event,
        id=TEXT.filter(bool),
        source=TEXT.filter(bool),
        type=TEXT.filter(bool),
        data=st.binary(max_size=20),
        media_type=TEXT.filter(bool),
        subject=TEXT,
        key=TEXT,
        time=st.none() | st.integers(0, 4_000_000_000).map(float),
        attributes=st.dictionaries(st.sampled_from(["a", "traceparent", "X-1.b_c"]), TEXT),
    )
)
def test_an_event_survives_the_headers(event: Event) -> None:
    headers = recipe.to_headers(event)
    assert all(value.isascii() and value == value.strip() for value in headers.values())
    again = read(Message(data=event.data, headers=headers))
    assert again == replace(event, position=recipe.pack(42))


def test_somebody_elses_message_becomes_an_event() -> None:
    headers = {"X-Trace": "1", "Nats-Msg-Id": "m", "Content-Type": "a/b", "id": "5"}
    event = read(Message(headers=headers))
    assert (event.id, event.source, event.type) == ("m", "nats:ORDERS", "orders.new")
    assert (event.subject, event.time) == ("orders.new", 1_700_000_000.5)
    assert event.media_type == "a/b"
    assert dict(event.attributes) == {"X-Trace": "1", "id": "5"}
    bare = read(Message(headers=None))
    assert (bare.id, bare.media_type) == ("ORDERS.42", "text/plain")
    core = read(Message(headers=None), None)
    assert (core.id, core.source, core.time, core.position) == ("made-up", "nats", None, b"")


def test_a_time_that_is_none_falls_back_to_when_it_was_stored() -> None:
    event = read(Message(headers={"ce-id": "1", "ce-time": "soon"}))
    assert event.time == 1_700_000_000.5


@pytest.mark.parametrize("name", ["", "id", "ID", "a b", "a:b", "é", "partitionkey"])
def test_an_attribute_that_cannot_be_carried_is_refused(name: str) -> None:
    event = Event(id="1", source="s", type="t", data=b"", attributes={name: "x"})
    with pytest.raises(Failure) as refused:
        recipe.to_headers(event)
    assert refused.value.reason is Reason.INVALID_REQUEST
    assert refused.value.fields[0].field == "attributes"


def test_a_dead_letter_carries_even_that() -> None:
    event = Event(id="1", source="s", type="t", data=b"", attributes={"id": "5", "a": "b"})
    letter = dead_letter(event, "why", attempts=2, group="g")
    headers = recipe.to_letter_headers(letter, PLACE, 9)
    assert headers["Nats-Msg-Id"] == "ORDERS.42.g.9"
    again = read(Message(headers=headers))
    assert dict(again.attributes) == dict(letter.attributes)
    assert again.id == "1"


def test_duplicates_are_told_by_id_and_source() -> None:
    event = Event(id="a b", source="c", type="t", data=b"")
    ids = {recipe.message_id(event), recipe.message_id(replace(event, id="b", source="c a"))}
    assert len(ids) == 2
    assert recipe.message_id(replace(event, id="")) == ""
    assert "Nats-Msg-Id" not in recipe.to_publication_headers(replace(event, id=""), None)
    assert recipe.to_publication_headers(event, "S")["Nats-Expected-Stream"] == "S"


def test_the_place_of_a_message_is_read_in_both_forms() -> None:
    short = "$JS.ACK.ORDERS.g.2.42.7.1700000000500000000.3"
    long = "$JS.ACK.hub.ACCHASH.ORDERS.g.2.42.7.1700000000500000000.3.token"
    for reply in (short, long):
        assert recipe.read_metadata(reply) == replace(PLACE, attempt=2)


@pytest.mark.parametrize("reply", ["", "a.b", "$JS.ACK.S.g.x.1.1.1.1", "$JS.ACK.S.g.1.1.1.1.1.1"])
def test_a_message_without_a_place_is_malformed(reply: str) -> None:
    with pytest.raises(Failure) as malformed:
        recipe.read_metadata(reply)
    assert malformed.value.reason is Reason.UPSTREAM_MALFORMED


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"null", b"{"])
def test_an_answer_that_cannot_be_read_is_malformed(data: bytes) -> None:
    with pytest.raises(Failure) as malformed:
        recipe.read_api(data)
    assert malformed.value.reason is Reason.UPSTREAM_MALFORMED


def test_an_error_of_the_api_is_its_failure() -> None:
    with pytest.raises(Failure) as missing:
        recipe.read_api(b'{"error": {"code": 404, "err_code": 10059}}')
    assert missing.value.reason is Reason.UPSTREAM_PRECONDITION


def state(first: int, created: str = "2026-01-01T00:00:00.123456789Z") -> dict[str, object]:
    when = "2026-01-01T00:00:01.123456789Z"
    return {"created": created, "state": {"first_seq": first, "last_seq": 9, "first_ts": when}}


def test_the_epoch_is_that_of_the_history() -> None:
    facts = recipe.read_stream(state(3), "ORDERS")
    assert (facts.first, facts.last) == (3, 9)
    assert facts.epoch == recipe.read_stream(state(5), "ORDERS").epoch
    assert facts.epoch != recipe.read_stream(state(3, "2026-01-02T00:00:00Z"), "ORDERS").epoch
    assert facts.epoch != recipe.read_stream(state(3), "OTHER").epoch
    assert recipe.read_stream(state(0), "ORDERS").first == 1
    with pytest.raises(Failure):
        recipe.read_stream({"state": {}}, "ORDERS")


@pytest.mark.parametrize(
    ("start", "where", "gaps"),
    [
        (Start(), 21, []),
        (Start(StartKind.AFTER, recipe.pack(15)), 16, []),
        (Start(StartKind.AFTER, recipe.pack(20)), 21, []),
        (Start(StartKind.AFTER, recipe.pack(9)), 10, []),
        (Start(StartKind.AFTER, recipe.pack(4)), 10, [Gap(GapWhy.EXPIRED, "5", "9")]),
        (Start(StartKind.AFTER, recipe.pack(21)), None, [Gap(GapWhy.NEW_HISTORY)]),
        (Start(StartKind.OLDEST), None, []),
    ],
)
def test_a_reader_begins_where_it_asked_or_says_what_it_misses(
    start: Start, where: int | None, gaps: list[Gap]
) -> None:
    settings, told = recipe.plan(start, FACTS)
    assert told == gaps
    assert settings.get("opt_start_seq") == where
    assert settings["deliver_policy"] == ("all" if where is None else "by_start_sequence")


def test_a_time_before_what_is_kept_is_a_gap() -> None:
    settings, gaps = recipe.plan(Start(StartKind.TIME, time=900.0), FACTS)
    assert settings["opt_start_time"] == "1970-01-01T00:15:00+00:00"
    assert gaps == [Gap(GapWhy.EXPIRED, "1", "9")]
    assert recipe.plan(Start(StartKind.TIME, time=1100.0), FACTS)[1] == []
    fresh = StreamFacts(epoch=1, first=1, last=20, first_time=1000.0)
    assert recipe.plan(Start(StartKind.TIME, time=900.0), fresh)[1] == []


def test_a_position_of_another_kind_is_refused() -> None:
    with pytest.raises(Failure) as refused:
        recipe.plan(Start(StartKind.AFTER, b"x"), FACTS)
    assert refused.value.reason is Reason.BAD_CURSOR


def log(*sequences: int) -> Log[str]:
    made: Log[str] = Log()
    for number, sequence in enumerate(sequences, 1):
        made.add(replace(PLACE, consumer_sequence=number, stream_sequence=sequence), str(sequence))
    return made


def test_a_log_refuses_what_is_not_next() -> None:
    made = log(5)
    with pytest.raises(Failure) as truncated:
        made.add(replace(PLACE, consumer_sequence=3), "x")
    assert truncated.value.reason is Reason.UPSTREAM_TRUNCATED


def test_a_log_reports_the_holes_that_the_stream_no_longer_keeps() -> None:
    made = log(5, 6, 9, 12)
    assert made.has_holes()
    assert made.trimmed(replace(FACTS, first=1)) == []
    assert made.trimmed(replace(FACTS, first=8)) == [Gap(GapWhy.EXPIRED, "7", "7")]
    assert made.trimmed(replace(FACTS, first=12)) == [
        Gap(GapWhy.EXPIRED, "7", "8"),
        Gap(GapWhy.EXPIRED, "10", "11"),
    ]
    assert [text for _, text in made.take(3)] == ["5", "6", "9"]
    assert [text for _, text in made.take(3)] == ["12"]
    assert not log(5, 6).has_holes()
    assert not Log[str]().has_holes()


@pytest.mark.parametrize(
    ("settlement", "attempt", "most", "said"),
    [
        (Settlement(Verdict.ACK), 1, 3, b"+ACK"),
        (Settlement(Verdict.NACK, 1.5), 1, 3, b'-NAK {"delay":1500000000}'),
        (Settlement(Verdict.NACK, 0.0), 2, 3, b"-NAK"),
        (Settlement(Verdict.NACK, 0.0), 3, 3, None),
        (Settlement(Verdict.NACK, 0.0), 9, None, b"-NAK"),
        (Settlement(Verdict.REJECT), 1, 3, None),
        (Settlement(Verdict.REJECT), 1, None, b"+TERM"),
    ],
)
def test_a_verdict_is_said_or_a_dead_letter(
    settlement: Settlement, attempt: int, most: int | None, said: bytes | None
) -> None:
    backoff = Backoff(1.0, 8.0)
    told = recipe.verdict(settlement, attempt, most=most, backoff=backoff, random=Random(1))
    assert told == said


def test_a_nack_without_a_delay_backs_off() -> None:
    nack = Settlement(Verdict.NACK)
    told = recipe.verdict(nack, 2, most=5, backoff=Backoff(1.0, 8.0), random=Random(1))
    assert told is not None
    assert 0 < json.loads(told.removeprefix(b"-NAK "))["delay"] <= 2_000_000_000
    assert recipe.give_back().startswith(b"-NAK {")


def test_consumers_are_as_they_are_promised() -> None:
    group = recipe.group_consumer("g", AckConfig(wait=2.0, in_flight=7), "orders.>")
    assert (group["ack_wait"], group["max_ack_pending"], group["max_deliver"]) == (2 * 10**9, 7, -1)
    reader = recipe.broadcast_consumer({"deliver_policy": "all"}, "orders.>")
    assert (reader["ack_policy"], reader["filter_subject"]) == ("none", "orders.>")


def test_a_stream_is_bounded_as_it_was_configured() -> None:
    config = StreamConfig.model_validate({"subjects": ["a"], "max_age": "1m", "max_events": 5})
    wanted = recipe.create_stream("S", config)
    assert (wanted["max_msgs"], wanted["max_bytes"], wanted["max_age"]) == (5, -1, 60 * 10**9)
    assert wanted["duplicate_window"] == 60 * 10**9


def test_a_pull_has_room_for_the_largest_message() -> None:
    assert recipe.pull_settings(1024, 10, 1.0).max_bytes == 4 * 1024 * 1024
    assert recipe.pull_settings(64 * 1024 * 1024, 10, 1.0).max_bytes == 128 * 1024 * 1024


def test_an_answer_that_is_not_there_leaves_it_unknown() -> None:
    for answer in (None, LinkLost()):
        failure = recipe.confirmation(answer).failure
        assert failure is not None
        assert failure.reason is Reason.OUTCOME_UNKNOWN
    refused = recipe.confirmation(nats.errors.NoRespondersError()).failure
    assert refused is not None
    assert refused.reason is Reason.UPSTREAM_PRECONDITION
    fine = recipe.confirmation(Message(data=b'{"stream":"S","seq":3,"duplicate":true}'))
    assert (fine.failure, fine.position, fine.is_duplicate) == (None, recipe.pack(3), True)
    for data in (b"{}", b'{"seq":-1}', b'{"seq":"x"}', b"no"):
        malformed = recipe.confirmation(Message(data=data)).failure
        assert malformed is not None
        assert malformed.reason is Reason.UPSTREAM_MALFORMED
    results = {0: fine, 1: recipe.lost()}
    assert recipe.unknown(results) == [1]


def test_the_streams_of_dead_letters_are_ours_to_create() -> None:
    feed = {"stream": "ORDERS", "subject": "orders.>"}
    foreign = {**feed, "dead_letters": {"stream": "MINE", "create": False}}
    document = {
        "upstream": {"nats": "nats://a"},
        "streams": {"ORDERS": {"subjects": ["orders.>"], "storage": "memory"}},
        "feeds": {"A": feed, "B": feed, "C": foreign, "D": {"core": True, "subject": "x"}},
    }
    config = Config.model_validate(document)
    streams = recipe.streams_to_create(config)
    assert sorted(streams) == ["ORDERS", "ORDERS-dead"]
    assert streams["ORDERS-dead"].subjects == ("dead.ORDERS.A", "dead.ORDERS.B")
    assert streams["ORDERS-dead"].storage == "memory"
    assert recipe.dead_letters("C", config.feeds["C"]) == ("MINE", "dead.ORDERS.C")
