"""The bodies that upstreams answer with and the events that are published, from a fixed seed."""

from __future__ import annotations

import json
import random
from functools import cache

import msgpack  # type: ignore[import-untyped]  # it ships no types

from interlace.v1 import event_pb2, feed_service_pb2

__all__ = ["MEDIA_TYPES", "body", "event_data"]

MEDIA_TYPES = {
    "json": "application/json",
    "msgpack": "application/msgpack",
    "protobuf": "application/x-protobuf",
}
_SEED = 7


@cache
def body(kind: str, size: int) -> bytes:
    """Return a document of `kind` (`json`, `msgpack`, `protobuf`) with about `size` bytes.

    JSON has exactly that many. Raise KeyError for any other kind.
    """
    MEDIA_TYPES[kind]
    records = _records(size)
    if kind == "json":
        document = {"items": records, "pad": ""}
        bare = len(json.dumps(document, separators=(",", ":")))
        document["pad"] = "x" * max(0, size - bare)
        return json.dumps(document, separators=(",", ":")).encode()
    if kind == "msgpack":
        packed: bytes = msgpack.packb({"items": records})
        return packed
    events = [
        event_pb2.Event(id=str(one["id"]), source="shop", data=json.dumps(one).encode())
        for one in records
    ]
    encoded: bytes = feed_service_pb2.EventBatch(events=events).SerializeToString()
    return encoded


@cache
def event_data(size: int = 150) -> bytes:
    """Return the JSON payload of an event; with id, source, type and time around it an event of
    150 bytes of data is one of about 220 on the wire."""
    document = {"op": "tick", "symbol": "ACME", "bid": 101.25, "ask": 101.5, "pad": ""}
    bare = len(json.dumps(document, separators=(",", ":")))
    document["pad"] = "x" * max(0, size - bare)
    return json.dumps(document, separators=(",", ":")).encode()


def _records(size: int) -> list[dict[str, object]]:
    """As many records as fit into `size` bytes of JSON, with room for what is around them."""
    chance = random.Random(_SEED)
    records: list[dict[str, object]] = []
    used = 30
    while True:
        record: dict[str, object] = {
            "id": 100_000 + len(records),
            "name": f"Item {chance.randrange(10_000)}",
            "price": round(chance.uniform(1, 500), 2),
            "tags": chance.sample(["new", "sale", "bulk", "fragile", "heavy"], 2),
            "in_stock": chance.random() < 0.5,
        }
        used += len(json.dumps(record, separators=(",", ":"))) + 1
        if used > size:
            return records
        records.append(record)
