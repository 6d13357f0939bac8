"""What the transcodes of the benchmark do before and while they are timed, and what they count."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from benchmarks.codecs import transcodes
from benchmarks.codecs.codec import UnequalContentError
from benchmarks.codecs.converting import CONVERTING, PLAIN, message_of, messages_of
from benchmarks.codecs.counts import calls_of
from benchmarks.codecs.plan import Effort
from benchmarks.codecs.schema import message_class
from benchmarks.codecs.shapes import SHAPES
from benchmarks.codecs.transcodes import (
    COMPILED,
    DIRECTIONS,
    INDENTED,
    ORACLE,
    assert_equal_transcodes,
    sides_of,
    time_in_turn,
    transcode_cases,
    transcoder_for,
)
from benchmarks.harness.results import INTERLACE
from google.protobuf import json_format

SHORT = Effort(rounds=4, window_s=0.0, turn_s=0.0, is_quick=True)


class Twin:
    """The transcoder, but for what the saboteur changes."""

    def __init__(self, made: type[Any]) -> None:
        self._made = made
        self._inner = transcoder_for(made)

    def from_json(self, raw: bytes) -> Any:
        return self._inner.from_json(raw)

    def to_json(self, message: Any) -> bytes:
        return self._inner.to_json(message)

    def from_data(self, value: Any) -> Any:
        return self._inner.from_data(value)


class DropsFromMessagePack(Twin):
    def from_data(self, value: Any) -> Any:
        return self._inner.from_data({**value, "tags": []})


class DropsWhileReading(Twin):
    def from_json(self, raw: bytes) -> Any:
        message = self._inner.from_json(raw)
        message.ClearField("email")
        return message


class DropsWhileWriting(Twin):
    def to_json(self, message: Any) -> bytes:
        return json.dumps({**json.loads(self._inner.to_json(message)), "tags": []}).encode()


class KeepsTheOriginalNames(Twin):
    def to_json(self, message: Any) -> bytes:
        return self._inner.to_json(message).replace(b"displayName", b"display_name")


@pytest.mark.parametrize("name", [*SHAPES, *CONVERTING])
def test_the_transcoder_agrees_with_json_format_on_every_shape(name: str) -> None:
    message = message_of(name)
    assert_equal_transcodes(message, transcoder_for(type(message)))


@pytest.mark.parametrize("broken", [DropsWhileReading, DropsWhileWriting, KeepsTheOriginalNames])
def test_a_broken_transcoder_is_refused_before_anything_is_timed(
    broken: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        pytest.fail("it was timed")

    monkeypatch.setattr(transcodes, "transcoder_for", broken)
    monkeypatch.setattr(transcodes, "time_in_turn", never)
    with pytest.raises(UnequalContentError, match="Record"):
        transcode_cases("typical_record", SHORT)


def test_a_broken_way_from_msgpack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcodes, "transcoder_for", DropsFromMessagePack)
    with pytest.raises(UnequalContentError, match="from MessagePack"):
        sides_of("msgpack_to_protobuf", "typical_record")


def test_the_sides_take_turns_and_the_order_turns_round() -> None:
    done: list[str] = []
    sides: dict[str, Callable[[], Any]] = {
        "a": lambda: done.append("a"),
        "b": lambda: done.append("b"),
    }
    found = time_in_turn(sides, SHORT)
    assert {side: len(values) for side, values in found.items()} == {"a": 4, "b": 4}
    assert "".join(done[-8:]) == "abbaabba"


def test_every_direction_has_interlace_beside_the_oracle() -> None:
    for direction in DIRECTIONS:
        sides = sides_of(direction, "typical_record")
        assert ORACLE in sides
        assert INTERLACE in sides


@pytest.mark.parametrize("name", CONVERTING)
def test_every_side_goes_through_many_documents_and_none_twice_in_a_round(name: str) -> None:
    """Else whoever remembers texts of times would look well beside the same few for ever."""
    documents = messages_of(name)
    assert len(documents) >= 8
    assert len({each.SerializeToString(deterministic=True) for each in documents}) == len(documents)
    for run in sides_of("json_to_protobuf", name).values():
        assert [run() for _ in documents] == documents
        assert run() == documents[0]


def test_all_sides_of_the_hot_path_answer_with_the_same_message() -> None:
    for name in ("typical_record", "converting"):
        made = type(message_of(name))
        sides = sides_of("hot_path", name)
        assert set(sides) == {INTERLACE, ORACLE, COMPILED}
        replies = [side()[1] for side in sides.values()]
        assert len({str(made.FromString(reply)) for reply in replies}) == 1


@pytest.mark.parametrize("place", [0, 1], ids=["writes", "reads"])
def test_a_compiled_side_that_is_wrong_is_refused_before_anything_is_timed(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: type[Any]) -> Callable[[Any], Any]:
        message = message_of("typical_record")
        right = [json_format.MessageToJson(message).encode(), message.SerializeToString()]
        right[place] = b"{}" if place == 0 else b""
        return lambda _: tuple(right)

    monkeypatch.setattr(transcodes, "_compiled_hot_path", broken)
    with pytest.raises(UnequalContentError, match="protobuf-py"):
        sides_of("hot_path", "typical_record")


def test_without_the_compiled_runtime_there_are_the_two_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "benchmarks.codecs.buf", None)
    assert set(sides_of("hot_path", "typical_record")) == {INTERLACE, ORACLE}


def test_all_ways_from_msgpack_make_the_same_message() -> None:
    sides = sides_of("msgpack_to_protobuf", "typical_record")
    assert all(side() == message_of("typical_record") for side in sides.values())
    assert sides_of("msgpack_to_protobuf", "binary_blob") == {}


def test_a_case_has_its_ratio_and_the_indented_default_stands_apart() -> None:
    cases = {
        (case.variant["direction"], case.variant["oracle"]): case
        for case in transcode_cases("typical_record", SHORT)
    }
    compact = cases["protobuf_to_json", ORACLE]
    indented = cases["protobuf_to_json", INDENTED]
    assert compact.ratio is not None
    assert indented.ratio is not None
    assert INDENTED not in {sample.side for sample in compact.samples}
    assert {sample.side for sample in indented.samples} == {INTERLACE, INDENTED}
    assert compact.variant["fields"] == "plain"


@pytest.mark.parametrize("name", [*PLAIN, *CONVERTING])
@pytest.mark.parametrize("direction", ["json_to_protobuf", "protobuf_to_json", "hot_path"])
def test_a_transcode_never_reaches_json_format_nor_struct(direction: str, name: str) -> None:
    called = calls_of(sides_of(direction, name, most=1)[INTERLACE])
    assert not [one for one in called if "json_format" in one or "struct_pb2" in one]
    assert not called["google.protobuf.internal.well_known_types"]


@pytest.mark.parametrize(
    ("direction", "names", "least"),
    [
        ("json_to_protobuf", PLAIN, 8.0),
        ("protobuf_to_json", PLAIN, 5.0),
        ("json_to_protobuf", CONVERTING, 2.0),
        ("protobuf_to_json", CONVERTING, 1.5),
    ],
    ids=["read plain", "write plain", "read converting", "write converting"],
)
def test_a_transcode_makes_far_fewer_calls_than_json_format(
    direction: str, names: tuple[str, ...], least: float
) -> None:
    for name in names:
        sides = sides_of(direction, name, most=1)
        ours, theirs = (calls_of(sides[side]).total() for side in (INTERLACE, ORACLE))
        assert theirs / ours >= least, f"{name}: {ours} calls, json_format makes {theirs}"


def test_the_count_of_calls_is_the_same_each_time() -> None:
    for direction in ("json_to_protobuf", "protobuf_to_json"):
        run = sides_of(direction, "converting", most=1)[INTERLACE]
        assert calls_of(run) == calls_of(run)


def test_a_count_names_the_modules_that_were_called() -> None:
    made = message_class("Tiny")(name="a")
    called = calls_of(lambda: json.dumps({"name": made.name}))
    assert called["json.encoder"] > 0
    assert called["sys"] == 0
