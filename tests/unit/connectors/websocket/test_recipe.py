from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket_rig import TICKS, config, tick

from interlaced.connectors.websocket import recipe
from interlaced.connectors.websocket.config import Config
from interlaced.connectors.websocket.recipe import Dropped, Memory, Plan, Session, compile_plan
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Event, Gap, GapWhy


def plan_of(feeds: dict[str, Any] | None = None, **upstream: Any) -> Plan:
    return compile_plan("market", config("ws://example.com/", feeds=feeds, **upstream), "nonce")


class Rig:
    """A session with its memory, fed with frames at second 0 unless a test says otherwise."""

    def __init__(self, feeds: dict[str, Any] | None = None, **upstream: Any) -> None:
        self.plan = plan_of(feeds, **upstream)
        self.memory = Memory()
        self.session = Session(self.plan, self.memory, 0.0)

    def reconnect(self) -> None:
        self.session = Session(self.plan, self.memory, 0.0)

    def frames(self) -> list[Any]:
        return [json.loads(text) for text in self.session.opened()]

    def takes(self, frame: object, now: float = 0.0) -> list[tuple[str, recipe.Item]]:
        return self.takes_bytes(json.dumps(frame).encode(), now=now)

    def takes_bytes(
        self, data: bytes, *, is_text: bool = True, now: float = 0.0
    ) -> list[tuple[str, recipe.Item]]:
        return self.session.received(data, is_text=is_text, now=now)

    def ticks(self, *numbers: int, symbol: str = "A") -> list[str]:
        return [
            brief(item)
            for number in numbers
            for _, item in self.takes_bytes(tick(symbol, number).encode())
        ]


def brief(item: recipe.Item) -> str:
    if isinstance(item, Dropped):
        return item.value
    if isinstance(item, Gap):
        return f"{item.why} {item.first}..{item.last}"
    return item.id


def event(items: list[tuple[str, recipe.Item]]) -> Event:
    ((_, item),) = items
    assert isinstance(item, Event)
    return item


# --- what a frame becomes ---------------------------------------------------------------------


def test_a_frame_passes_byte_for_byte_by_default() -> None:
    raw = b'{ "op":"tick" , "n": 1.50 }'
    rig = Rig({"All": {}})
    found = event(rig.takes_bytes(raw))
    assert found.data == raw
    assert (found.source, found.type, found.id) == ("market.All", "market.All", "nonce-1")


def test_every_part_is_found_at_its_path() -> None:
    feed = {
        "key": "$.s",
        "id": "$.meta.id",
        "type": "$.kind",
        "subject": "$.subject",
        "time": "$.at",
        "data": "$.body",
    }
    found = event(
        Rig({"All": feed}).takes(
            {
                "s": 7,
                "meta": {"id": "e1"},
                "kind": "k",
                "subject": True,
                "at": "1970-01-01T00:00:10Z",
                "body": {"x": [1]},
            }
        )
    )
    assert (found.key, found.id, found.type, found.subject) == ("7", "e1", "k", "true")
    assert (found.time, found.data) == (10.0, b'{"x":[1]}')


@pytest.mark.parametrize(
    ("form", "value", "payload"),
    [
        ("json", {"a": [1]}, b'{"a":[1]}'),
        ("json", None, b"null"),
        ("text", '{ "a": 1 }', b'{ "a": 1 }'),
        ("text", "é", "é".encode()),
        ("text", 1, None),
        ("base64", "AP8=", b"\x00\xff"),
        ("base64", "not base64", None),
        ("base64", None, None),
    ],
)
def test_a_payload_may_be_wrapped_in_a_string(
    form: str, value: object, payload: bytes | None
) -> None:
    rig = Rig({"All": {"data": "$.body", "data_as": form, "media_type": "x/y"}})
    items = rig.takes({"body": value})
    if payload is None:
        assert [brief(item) for _, item in items] == ["unreadable", "upstream_sequence .."]
    else:
        assert (event(items).data, event(items).media_type) == (payload, "x/y")


def test_a_frame_that_is_one_string_may_hold_the_payload() -> None:
    rig = Rig({"All": {"data_as": "text"}})
    assert event(rig.takes_bytes(b'"plain"')).data == b"plain"


def test_half_a_character_is_no_text() -> None:
    rig = Rig({"All": {"data": "$.body", "data_as": "text"}})
    items = rig.takes_bytes(b'{"body": "\\ud800"}')
    assert [brief(item) for _, item in items] == ["unreadable", "upstream_sequence .."]


def test_source_and_attributes_are_found_at_their_paths() -> None:
    feed = {"source": "$.from", "attributes": {"traceparent": "$.trace", "tenant": "$.tenant"}}
    found = event(Rig({"All": feed}).takes({"from": "/a", "trace": "00-1"}))
    assert (found.source, found.attributes) == ("/a", {"traceparent": "00-1"})
    assert event(Rig({"All": {"source": "/fixed"}}).takes({})).source == "/fixed"


def test_a_type_without_a_dollar_is_itself() -> None:
    assert event(Rig({"All": {"type": "com.acme.tick"}}).takes({})).type == "com.acme.tick"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (1_700_000_000, 1_700_000_000.0),
        (1_700_000_000_500, 1_700_000_000.5),
        ("2023-11-14T22:13:20+00:00", 1_700_000_000.0),
        ("2023-11-14T22:13:20", 1_700_000_000.0),
        ("yesterday", None),
        (True, None),
        (-1, None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
)
def test_times_are_read_in_their_usual_forms(value: object, seconds: float | None) -> None:
    assert event(Rig({"All": {"time": "$.at"}}).takes({"at": value})).time == seconds


def test_frames_are_told_apart_by_match() -> None:
    feeds = {"Ticks": {"match": {"$.op": "tick"}}, "News": {"match": {"$.op": ["news", "alert"]}}}
    rig = Rig(feeds)
    assert [name for name, _ in rig.takes({"op": "tick"})] == ["Ticks"]
    assert [name for name, _ in rig.takes({"op": "alert"})] == ["News"]
    assert rig.takes({"op": "heartbeat"}) == []
    assert rig.takes([1, 2]) == []


def test_a_frame_may_belong_to_several_feeds() -> None:
    rig = Rig({"All": {}, "Ticks": {"match": {"$.op": "tick"}}})
    assert [name for name, _ in rig.takes({"op": "tick"})] == ["All", "Ticks"]


def test_true_is_not_one() -> None:
    rig = Rig({"Ones": {"match": {"$.n": 1}}})
    assert rig.takes({"n": True}) == []
    assert len(rig.takes({"n": 1})) == 1


def test_a_frame_without_its_payload_is_unreadable() -> None:
    rig = Rig({"All": {"data": "$.body"}})
    assert [brief(item) for _, item in rig.takes({})] == ["unreadable", "upstream_sequence .."]


# --- numbers ----------------------------------------------------------------------------------


def test_numbers_in_order_pass() -> None:
    assert Rig().ticks(5, 6, 7) == ["A-5", "A-6", "A-7"]


def test_a_missing_number_is_one_gap() -> None:
    """P21: one gap, one report."""
    assert Rig().ticks(1, 4, 5, 6) == ["A-1", "upstream_sequence A-2..A-3", "A-4", "A-5", "A-6"]


def test_a_duplicate_is_dropped() -> None:
    assert Rig().ticks(1, 2, 2, 3) == ["A-1", "A-2", "late", "A-3"]


def test_a_late_one_is_dropped_since_its_gap_is_told_already() -> None:
    """P21: reordered frames are a gap and a drop, never data out of order."""
    assert Rig().ticks(1, 3, 2, 4) == ["A-1", "upstream_sequence A-2..A-2", "A-3", "late", "A-4"]


def test_a_gap_of_one_key_is_no_gap_of_another() -> None:
    """P21: one missing number must not reset every instrument, so that the gap says whose it is."""
    rig = Rig()
    rig.ticks(1)
    rig.ticks(1, symbol="B")
    assert rig.ticks(3) == ["upstream_sequence A-2..A-2", "A-3"]
    assert rig.ticks(2, symbol="B") == ["B-2"]


def test_numbers_may_count_per_feed() -> None:
    rig = Rig({"Ticks": {**TICKS, "sequence_per": "feed"}})
    rig.ticks(1)
    assert rig.ticks(2, symbol="B") == ["B-2"]
    assert rig.ticks(4) == ["upstream_sequence 3..3", "A-4"], "it is no key's"


def test_numbers_written_as_text_are_numbers() -> None:
    rig = Rig()
    rig.takes({"op": "tick", "symbol": "A", "seq": "9007199254740993"})
    found = event(rig.takes({"op": "tick", "symbol": "A", "seq": "9007199254740994"}))
    assert found.id == "A-9007199254740994"


@pytest.mark.parametrize("number", [None, "x", 1.5, True, [], "-1", "٣"])
def test_a_frame_without_a_number_is_unreadable(number: object) -> None:
    items = Rig().takes({"op": "tick", "symbol": "A", "seq": number})
    assert [brief(item) for _, item in items] == ["unreadable", "upstream_sequence .."]


def test_a_number_far_back_is_a_new_history() -> None:
    """Dropping everything until an old number comes again would silence the key for ever."""
    assert Rig().ticks(5000, 1, 2) == ["A-5000", "new_history ..", "A-1", "A-2"]


def test_without_resume_every_connection_counts_anew() -> None:
    rig = Rig()
    rig.ticks(7)
    rig.reconnect()
    assert rig.ticks(3, 4) == ["A-3", "A-4"]


def test_with_resume_numbers_go_on_over_connections() -> None:
    rig = Rig(on_open={"since": "$resume.seq"})
    rig.ticks(7)
    rig.reconnect()
    assert rig.ticks(6, 7, 8) == ["late", "late", "A-8"]
    rig.reconnect()
    assert rig.ticks(11) == ["upstream_sequence A-9..A-10", "A-11"]


def test_with_resume_a_restarted_upstream_is_a_new_history() -> None:
    rig = Rig(on_open={"since": "$resume.seq"})
    rig.ticks(1, 2, 3)
    rig.reconnect()
    assert rig.ticks(1, 2) == ["new_history ..", "A-1", "A-2"]


def test_keys_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upstream that invents keys must not fill our memory."""
    monkeypatch.setattr(recipe, "MAX_KEYS", 10)
    rig = Rig()
    for number in range(100):
        rig.ticks(1, symbol=f"K{number}")
    assert len(rig.memory.sequences) == 10


@given(st.lists(st.integers(1, 40), max_size=60))
def test_what_is_delivered_grows_and_every_hole_is_told(numbers: list[int]) -> None:
    """P21, as a property: whatever is dropped, repeated or reordered, delivered numbers grow, and
    the holes between them are exactly the gaps that are told."""
    rig = Rig()
    delivered: list[int] = []
    told: set[int] = set()
    for number in numbers:
        for _, item in rig.takes_bytes(tick("A", number).encode()):
            if isinstance(item, Gap):
                first, last = (int(end.removeprefix("A-")) for end in (item.first, item.last))
                told |= set(range(first, last + 1))
            elif isinstance(item, Event):
                delivered.append(int(item.id.removeprefix("A-")))
    assert delivered == sorted(set(delivered))
    if delivered:
        holes = set(range(delivered[0], delivered[-1] + 1)) - set(delivered)
        assert told == holes


# --- frames that cannot be read ---------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"", b"{", b"NaN", b"\x00", b"{'a': 1}", b"[" * 100_000, b'{"a": 1} x']
)
def test_a_frame_that_is_no_json_is_a_gap_in_every_feed(data: bytes) -> None:
    rig = Rig({"A": {}, "B": {}})
    found = [(name, brief(item)) for name, item in rig.takes_bytes(data)]
    gap = "upstream_sequence .."
    assert found == [("A", "unreadable"), ("A", gap), ("B", "unreadable"), ("B", gap)]


def test_many_unreadable_frames_are_one_gap_until_one_is_readable() -> None:
    rig = Rig()
    first = [brief(item) for _, item in rig.takes_bytes(b"{")]
    again = [brief(item) for _, item in rig.takes_bytes(b"{")]
    rig.ticks(1)
    later = [brief(item) for _, item in rig.takes_bytes(b"{")]
    assert first == later == ["unreadable", "upstream_sequence .."]
    assert again == ["unreadable"]


def test_an_unreadable_frame_can_be_made_to_reconnect() -> None:
    with pytest.raises(Failure) as caught:
        Rig(unreadable="reconnect").takes_bytes(b"{")
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED
    assert caught.value.__cause__ is not None


def test_text_that_is_no_utf_8_ends_the_connection() -> None:
    """F33, RFC 6455 section 8.1."""
    with pytest.raises(Failure) as caught:
        Rig().takes_bytes(b'{"a": "\xff"}')
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED
    assert "\xff" not in caught.value.message


def test_binary_frames_may_hold_anything() -> None:
    rig = Rig()
    assert [brief(item) for _, item in rig.takes_bytes(b"\xff\xfe", is_text=False)] == [
        "unreadable",
        "upstream_sequence ..",
    ]
    assert len(rig.takes_bytes(tick("A", 1).encode(), is_text=False)) == 1


@given(st.binary(max_size=200))
def test_no_bytes_break_the_session(data: bytes) -> None:
    rig = Rig()
    rig.takes_bytes(data, is_text=False)
    assert len(rig.takes_bytes(tick("A", 1).encode())) == 1, "and it still takes what is good"


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(json_values, json_values, json_values)
def test_no_values_break_the_session(symbol: object, number: object, time: object) -> None:
    feed = {**TICKS, "time": "$.time", "type": "$.symbol", "subject": "$.seq", "id": "$.time"}
    rig = Rig({"T": feed})
    taken = rig.takes({"op": "tick", "symbol": symbol, "seq": number, "time": time})
    assert {name for name, _ in taken} <= {"T"}


# --- subscriptions ----------------------------------------------------------------------------


def test_subscribe_frames_leave_out_what_is_not_known_yet() -> None:
    frame = {"op": "subscribe", "since": "$resume.seq", "deep": [{"at": "$resume.time"}]}
    rig = Rig({"Ticks": {**TICKS, "time": "$.at", "id": "$.id"}}, on_open=[frame, {"op": "go"}])
    assert rig.frames() == [{"op": "subscribe", "deep": [{}]}, {"op": "go"}]
    rig.takes({"op": "tick", "symbol": "A", "seq": 3, "at": 12, "id": "e3"})
    rig.reconnect()
    assert rig.frames()[0] == {"op": "subscribe", "since": 3, "deep": [{"at": 12.0}]}


def test_the_last_number_of_every_key_can_be_resumed_after() -> None:
    rig = Rig(
        {"Ticks": TICKS, "A": {**TICKS, "match": {"$.op": "tick", "$.symbol": "A"}}},
        on_open={"since": "$resume.sequences", "id": "$resume.id"},
    )
    rig.ticks(3)
    rig.ticks(9, symbol="B")
    rig.reconnect()
    assert rig.frames() == [{"since": {"A": 3, "B": 9}}]


def test_without_an_ack_a_sent_subscription_counts() -> None:
    assert Rig().session.is_subscribed


def test_the_ack_is_waited_for_and_is_no_event() -> None:
    rig = Rig({"All": {}}, ack={"match": {"$.op": "ok"}, "count": 2})
    assert not rig.session.is_subscribed
    assert rig.takes({"op": "ok"}) == []
    assert not rig.session.is_subscribed
    assert rig.takes({"op": "ok"}) == []
    assert rig.session.is_subscribed


def test_events_before_the_ack_are_kept() -> None:
    """F33: the server sends before it confirms the subscription."""
    rig = Rig(ack={"match": {"$.op": "ok"}})
    assert rig.ticks(1) == ["A-1"]
    assert not rig.session.is_subscribed


def test_a_refused_subscription_is_a_failure() -> None:
    rig = Rig(ack={"match": {"$.op": "ok"}, "reject": {"$.op": "error"}})
    with pytest.raises(Failure) as caught:
        rig.takes({"op": "error", "message": "secret detail"})
    assert caught.value.reason is Reason.UPSTREAM_REJECTED
    assert "secret" not in caught.value.message


def test_a_missing_ack_is_found_in_time_however_much_else_comes() -> None:
    rig = Rig(ack={"match": {"$.op": "ok"}, "within": "5s"})
    rig.takes({"op": "tick", "symbol": "A", "seq": 1}, now=4.9)
    rig.session.check(4.9)
    assert rig.session.deadline() == 5.0
    with pytest.raises(Failure) as caught:
        rig.session.check(5.0)
    assert caught.value.reason is Reason.UPSTREAM_TIMEOUT


# --- signs of life ----------------------------------------------------------------------------


def test_silence_is_death_at_twice_the_heartbeat() -> None:
    """P20: detected within two heartbeats."""
    rig = Rig(heartbeat={"ping": "10s"})
    assert rig.session.deadline() == 20.0
    rig.session.check(19.9)
    with pytest.raises(Failure) as caught:
        rig.session.check(20.0)
    assert caught.value.reason is Reason.UPSTREAM_TIMEOUT


def test_any_frame_is_a_sign_of_life() -> None:
    rig = Rig(heartbeat={"ping": "10s", "dead_after": "15s"})
    rig.takes({"op": "heartbeat"}, now=10.0)
    assert rig.session.deadline() == 25.0
    rig.session.heard(20.0)
    assert rig.session.deadline() == 35.0


def test_the_frame_to_ping_with_is_ready() -> None:
    assert plan_of(heartbeat={"frame": {"op": "ping"}}).ping_frame == '{"op":"ping"}'
    assert plan_of().ping_frame is None


def test_a_plan_needs_no_more_than_a_config() -> None:
    config_ = Config.model_validate({"upstream": {"websocket": "ws://x/"}, "feeds": {"F": {}}})
    plan = compile_plan("c", config_, "n")
    assert [feed.name for feed in plan.feeds] == ["F"]
    assert GapWhy.UPSTREAM_SEQUENCE.value == "upstream_sequence"
