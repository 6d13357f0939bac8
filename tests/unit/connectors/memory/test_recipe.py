"""The embedded broker, without a loop and without time."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlaced.connectors.memory.config import AckConfig, OperationConfig
from interlaced.connectors.memory.recipe import (
    Broker,
    Group,
    Limits,
    Topic,
    answer,
    begin,
    pack,
    unpack,
)
from interlaced.core.backoff import Backoff
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Effort, Event, Gap, GapWhy, Payload, Settlement, Verdict
from interlaced.core.ports import Start, StartKind

RULE = AckConfig(wait=10.0, max_deliver=3, backoff=Backoff(1.0, 8.0), in_flight=4, batch=3)
ACK = Settlement(Verdict.ACK)
NACK = Settlement(Verdict.NACK, 2.0)


def event(number: int, data: bytes = b"x") -> Event:
    return Event(id=str(number), source="s", type="t", data=data)


def filled(count: int, limits: Limits | None = None) -> Topic:
    topic = Topic("Orders", limits or Limits(), epoch=7)
    for number in range(1, count + 1):
        topic.append(event(number), 0.0, 1000.0 + number)
    return topic


def joined(topic: Topic, rule: AckConfig = RULE) -> tuple[Group, list[Event]]:
    letters: list[Event] = []
    group = Group(topic, "g", rule, letters.append, rule.max_deliver)
    topic.groups["g"] = group
    return group, letters


def settle(group: Group, number: int, attempt: int, settlement: Settlement, now: float) -> bool:
    return group.settle(number, attempt, settlement, now=now, random=Random(1))


def test_positions_are_read_as_they_were_written() -> None:
    assert unpack(pack(2**40)) == 2**40
    with pytest.raises(Failure) as refused:
        unpack(b"short")
    assert refused.value.reason is Reason.BAD_CURSOR


def test_the_oldest_go_first() -> None:
    topic = filled(7, Limits(events=5))
    assert (topic.first, topic.next) == (3, 8)
    assert [record.sequence for record in topic.since(3, 100)] == [3, 4, 5, 6, 7]


def test_bytes_are_bounded_too() -> None:
    topic = filled(3, Limits(size=1000))
    topic.append(event(9, b"x" * 700), 0.0, 0.0)
    assert topic.first == 4
    with pytest.raises(Failure) as refused:
        topic.append(event(10, b"x" * 2000), 0.0, 0.0)
    assert (refused.value.reason, refused.value.context) == (Reason.TOO_LARGE, {"limit": "1000"})


def test_what_a_group_has_not_settled_is_never_trimmed() -> None:
    """L5: the log is full, and says so."""
    topic = filled(5, Limits(events=5))
    group, _ = joined(topic)
    group.take("m", 0.0)
    settle(group, 1, 1, ACK, 0.0)
    settle(group, 3, 1, ACK, 0.0)
    topic.append(event(6), 0.0, 0.0)
    with pytest.raises(Failure) as refused:
        topic.append(event(7), 0.0, 0.0)
    assert refused.value.reason is Reason.STORE_FULL
    assert topic.first == 2
    settle(group, 2, 1, ACK, 0.0)
    topic.append(event(7), 0.0, 0.0)
    topic.append(event(8), 0.0, 0.0)
    assert topic.first == 4


def test_duplicates_are_told_for_a_while() -> None:
    topic = filled(1, Limits(dedupe=10.0))
    assert topic.append(event(1), 9.0, 0.0) == (1, True)
    assert topic.append(replace(event(1), source="other"), 9.0, 0.0) == (2, False)
    assert topic.append(event(1), 10.0, 0.0) == (3, False)
    nameless = replace(event(1), id="")
    assert topic.append(nameless, 9.0, 0.0) == (4, False)
    assert topic.append(nameless, 9.0, 0.0) == (5, False)


def test_the_memory_of_duplicates_is_bounded() -> None:
    topic = filled(50, Limits(events=5, dedupe=1e9))
    assert len(topic._seen) <= 6


@pytest.mark.parametrize(
    ("start", "first", "gaps"),
    [
        (Start(), 8, []),
        (Start(StartKind.OLDEST), 3, []),
        (Start(StartKind.AFTER, pack(5)), 6, []),
        (Start(StartKind.AFTER, pack(7)), 8, []),
        (Start(StartKind.AFTER, pack(2)), 3, []),
        (Start(StartKind.AFTER, pack(1)), 3, [Gap(GapWhy.EXPIRED, "2", "2")]),
        (Start(StartKind.AFTER, pack(9)), 3, [Gap(GapWhy.NEW_HISTORY)]),
        (Start(StartKind.TIME, time=1004.5), 5, []),
        (Start(StartKind.TIME, time=2000.0), 8, []),
        (Start(StartKind.TIME, time=5.0), 3, [Gap(GapWhy.EXPIRED, "1", "2")]),
    ],
)
def test_a_reader_begins_where_it_asked_or_says_what_it_misses(
    start: Start, first: int, gaps: list[Gap]
) -> None:
    assert begin(filled(7, Limits(events=5)), start) == (first, gaps)


def test_a_group_hands_out_within_its_bounds() -> None:
    group, _ = joined(filled(10))
    assert [record.sequence for record, _ in group.take("m", 0.0)] == [1, 2, 3]
    assert [record.sequence for record, _ in group.take("n", 0.0)] == [4]
    assert group.take("n", 0.0) == []
    settle(group, 2, 1, ACK, 0.0)
    assert [record.sequence for record, _ in group.take("n", 0.0, limit=1)] == [5]


def test_a_nack_comes_again_when_it_is_due() -> None:
    group, _ = joined(filled(1))
    group.take("m", 0.0)
    settle(group, 1, 1, NACK, 1.0)
    assert group.due() == 3.0
    assert group.take("m", 2.9) == []
    assert [attempt for _, attempt in group.take("m", 3.0)] == [2]


def test_a_nack_without_a_delay_backs_off() -> None:
    group, _ = joined(filled(1))
    group.take("m", 0.0)
    settle(group, 1, 1, Settlement(Verdict.NACK), 0.0)
    due = group.due()
    assert due is not None
    assert 0.0 < due <= 1.0


def test_after_its_attempts_it_is_buried() -> None:
    group, letters = joined(filled(1))
    assert not any(
        settle(group, 1, attempt, NACK, 10.0 * attempt)
        for attempt in (1, 2)
        if group.take("m", 10.0 * attempt)
    )
    group.take("m", 30.0)
    assert settle(group, 1, 3, NACK, 30.0)
    assert letters[0].attributes["interlacecause"] == "nack"
    assert (group.unsettled, group.held, group.due()) == (0, 0, None)


def test_what_nobody_settles_is_buried_on_its_way_out() -> None:
    group, letters = joined(filled(1))
    for now in (0.0, 10.0, 20.0):
        assert len(group.take("m", now)) == 1
    assert group.take("m", 30.0) == []
    assert letters[0].attributes["interlaceattempts"] == "3"


def test_where_the_dead_letters_are_full_nothing_is_lost() -> None:
    topic = filled(1)

    def full(letter: Event) -> None:
        raise Failure(Reason.STORE_FULL, "full")

    group = Group(topic, "g", RULE, full, 1)
    group.take("m", 0.0)
    with pytest.raises(Failure):
        settle(group, 1, 1, NACK, 0.0)
    assert (group.unsettled, group.due()) == (1, 8.0)
    assert group.take("m", 8.0) == []
    assert group.due() == 16.0


def test_a_delivery_that_was_given_to_another_cannot_be_settled() -> None:
    """F19: no two consumers acknowledge the same delivery."""
    group, _ = joined(filled(1))
    group.take("m", 0.0)
    assert [attempt for _, attempt in group.take("n", 10.0)] == [2]
    with pytest.raises(Failure) as stale:
        settle(group, 1, 1, ACK, 10.0)
    assert stale.value.reason is Reason.UPSTREAM_CONFLICT
    settle(group, 1, 2, ACK, 10.0)
    assert group.unsettled == 0


def test_a_member_that_leaves_gives_back_its_own_alone() -> None:
    group, _ = joined(filled(4))
    group.take("m", 0.0, limit=2)
    group.take("n", 0.0, limit=2)
    group.give_back("m", 1.0)
    assert [record.sequence for record, _ in group.take("n", 1.0)] == [1, 2]


def test_a_topic_has_so_many_groups_and_no_more() -> None:
    broker = Broker(Limits(), Random(1))
    topic = broker.topic("Orders")
    for number in range(1000):
        broker.group(topic, f"g{number}", RULE, print)
    assert broker.group(topic, "g1", RULE, print) is topic.groups["g1"]
    with pytest.raises(Failure) as refused:
        broker.group(topic, "one-more", RULE, print)
    assert refused.value.reason is Reason.STORE_FULL


def test_dead_letters_are_never_given_up_and_never_duplicates() -> None:
    broker = Broker(Limits(), Random(1))
    dead = broker.topic("Orders.dead")
    assert broker.group(dead, "g", RULE, print).attempts is None
    assert [dead.append(event(1), 0.0, 0.0) for _ in range(2)] == [(1, False), (2, False)]
    assert broker.topic("Orders").epoch != dead.epoch


def test_operations_answer_what_they_were_told_or_what_they_hear() -> None:
    call = Call(connector="c", operation="o", deadline=1.0, effort=Effort(0.0))
    canned = answer(OperationConfig.model_validate({"reply": {"é": 1}}))
    assert canned(call) == Payload("application/json", '{"é":1}'.encode())
    echo = answer(OperationConfig.model_validate({"echo": True}))
    assert echo(replace(call, parameters={"a": 1})).data == b'{"a":1}'
    spoken = Payload("text/plain", b"hello")
    assert echo(replace(call, payload=spoken)) is spoken
    packed = replace(call, accept=("application/msgpack",), parameters={"a": 1})
    assert canned(packed) == Payload("application/msgpack", b"\x81\xa2\xc3\xa9\x01")
    assert echo(packed) == Payload("application/msgpack", b"\x81\xa1a\x01")


def test_an_answer_that_cannot_be_had_as_accepted_is_refused() -> None:
    call = Call(connector="c", operation="o", deadline=1.0, effort=Effort(0.0))
    canned = answer(OperationConfig.model_validate({"reply": 2**64}))
    echo = answer(OperationConfig.model_validate({"echo": True}))
    spoken = replace(call, payload=Payload("text/plain", b"hello"), accept=("application/json",))
    for make, asked in (
        (canned, replace(call, accept=("text/csv",))),
        (canned, replace(call, accept=("application/msgpack",))),
        (echo, spoken),
    ):
        with pytest.raises(Failure) as caught:
            make(asked)
        assert caught.value.reason is Reason.UNACCEPTABLE_MEDIA_TYPE


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=80), st.integers(0, 99))
def test_published_is_acked_held_waiting_new_or_dead(
    steps: list[tuple[int, int]], seed: int
) -> None:
    """L5: whatever is done, in whatever order, nothing is skipped."""
    topic = Topic("Orders", Limits(events=30), epoch=1)
    group, letters = joined(topic)
    now, published, acked = 0.0, set[str](), set[str]()
    held: list[tuple[int, int]] = []
    random = Random(seed)
    for what, number in steps:
        now += number
        if what < 2:
            name = str(len(published))
            try:
                topic.append(replace(event(0), id=name), now, now)
            except Failure:
                continue
            published.add(name)
        elif what < 4:
            held += [(one.sequence, attempt) for one, attempt in group.take(f"m{number}", now)]
        elif what == 4:
            group.give_back(f"m{number}", now)
        elif held:
            chosen = held.pop(random.randrange(len(held)))
            verdict = random.choice(list(Verdict))
            try:
                settle(group, *chosen, Settlement(verdict, 1.0), now)
            except Failure:
                continue
            if verdict is Verdict.ACK:
                acked.add(topic.get(chosen[0]).event.id)
    waiting = {topic.get(number).event.id for number in group._pending}
    new = {topic.get(number).event.id for number in range(group._next, topic.next)}
    dead = {letter.id for letter in letters}
    assert acked | waiting | new | dead == published
    assert len(acked) + len(waiting) + len(new) + len(dead) == len(published)
    assert group.held == sum(one.member is not None for one in group._pending.values())
