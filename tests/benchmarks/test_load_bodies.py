"""Bodies are what they say, and the same on every machine."""

from __future__ import annotations

import json

import msgpack
import pytest
from benchmarks.load.bodies import MEDIA_TYPES, body, event_data

from interlace.v1 import feed_service_pb2


@pytest.mark.parametrize("size", [500, 1_000, 100_000])
def test_a_json_body_has_exactly_its_size(size: int) -> None:
    found = body("json", size)
    assert len(found) == size
    assert json.loads(found)["items"]


def test_other_kinds_hold_the_same_records() -> None:
    records = json.loads(body("json", 10_000))["items"]
    assert msgpack.unpackb(body("msgpack", 10_000))["items"] == records
    batch = feed_service_pb2.EventBatch.FromString(body("protobuf", 10_000))
    assert [json.loads(event.data) for event in batch.events] == records


def test_an_unknown_kind_is_refused() -> None:
    assert "xml" not in MEDIA_TYPES
    with pytest.raises(KeyError):
        body("xml", 10)


def test_event_data_is_json_of_its_size() -> None:
    assert len(event_data()) == 150
    assert json.loads(event_data())["op"] == "tick"
