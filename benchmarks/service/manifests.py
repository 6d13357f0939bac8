"""The manifests that Interlace is measured with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.load.bodies import MEDIA_TYPES

__all__ = [
    "ALL_OFF",
    "DEFAULTS",
    "ONE_ON",
    "POSTS",
    "ROUTES",
    "SIZES",
    "WIDE",
    "write_feeds",
    "write_many",
    "write_nats",
    "write_rest",
]

SIZES = {"1": 1_000, "10": 10_000, "100": 100_000, "1000": 1_000_000}
ROUTES: Mapping[str, str] = {
    "Get": "/json/500",
    "Slow": "/slow/500",
    **{
        f"{kind.capitalize()}{name}": f"/{kind}/{size}"
        for kind in ("json", "msgpack", "protobuf")
        for name, size in SIZES.items()
    },
}
"""Each operation and its path."""
POSTS: Mapping[str, tuple[str, str]] = {
    f"Post{kind.capitalize()}{name}": (f"/{kind}/{size}", media_type)
    for kind, media_type in (*MEDIA_TYPES.items(), ("packed", MEDIA_TYPES["msgpack"]))
    for name, size in SIZES.items()
}
"""Each operation that sends a body: its path, and the media type that goes there and back."""
_PRODUCES = {"Msgpack": "application/msgpack", "Protobuf": "application/x-protobuf"}

WIDE = {"in_flight": 512, "queue": 1024}
"""A bulkhead that lets 256 calls in flight, and 32 branches of each of many, through to one
upstream. The default of 64 would refuse them: it bounds, it does not slow. It stays on."""
DEFAULTS: Mapping[str, Any] = {"bulkhead": WIDE}
"""Every policy that is on by default, with room."""
ALL_OFF: Mapping[str, Any] = {
    "deadline": "300s",
    "attempt_timeout": None,
    "retry": {"attempts": 1, "budget": "0%"},
    "breaker": None,
    "bulkhead": None,
}
"""As little as can be configured; a deadline there always is."""
_LIMIT = {"rate": "1000000/s", "burst": 1_000_000}
ONE_ON: Mapping[str, Mapping[str, Any]] = {
    "attempt_timeout": {**ALL_OFF, "attempt_timeout": "10s"},
    "retry": {**ALL_OFF, "retry": {"attempts": 3}},
    "breaker": {**ALL_OFF, "breaker": {}},
    "bulkhead": {**ALL_OFF, "bulkhead": WIDE},
    "limit": {**ALL_OFF, "limit": _LIMIT},
    "all": {**DEFAULTS, "limit": _LIMIT},
}
"""Each policy alone, and all of them with a rate limit that never refuses."""


def write_rest(
    folder: Path,
    upstream: str,
    *,
    policy: Mapping[str, Any] = DEFAULTS,
    ca: Path | None = None,
    routes: Mapping[str, str] = ROUTES,
) -> None:
    """Write the connector `api`: every route is an operation that passes its answer on, and every
    post one that passes its payload on as well."""
    operations = {}
    for name, path in routes.items():
        operation: dict[str, Any] = {"get": path}
        for prefix, media_type in _PRODUCES.items():
            if name.startswith(prefix):
                operation["produces"] = media_type
        operations[name] = operation
    for name, (path, media_type) in POSTS.items():
        both = {"consumes": media_type, "produces": media_type}
        operations[name] = {"post": path, "body": "$payload", **both}
    where: dict[str, Any] = {"rest": upstream, "allow_private": ["127.0.0.1/32"]}
    if ca:
        where["tls"] = {"ca": str(ca)}
    _write(folder / "api.yaml", "api", upstream=where, policy=policy, operations=operations)


def write_feeds(folder: Path) -> None:
    """Write the connector `ticks`: a topic of the embedded broker with a sink and a feed."""
    _write(
        folder / "ticks.yaml",
        "ticks",
        upstream={"memory": "main"},
        policy=DEFAULTS,
        feeds={"Ticks": {}},
        sinks={"Ticks": {}},
    )


def write_nats(folder: Path, url: str) -> None:
    """Write the connector `orders` on NATS with JetStream."""
    _write(
        folder / "orders.yaml",
        "orders",
        upstream={"nats": url},
        policy=DEFAULTS,
        streams={"ORDERS": {"subjects": ["orders.>"]}},
        feeds={"Orders": {"stream": "ORDERS", "subject": "orders.>"}},
        sinks={"Orders": {"subject": "orders.new", "stream": "ORDERS"}},
    )


def write_many(folder: Path, upstream: str, count: int) -> None:
    """Write `count` connectors of the kinds rest and memory, as a team's folder would have them."""
    for number in range(count):
        if number % 5 == 4:
            _write(
                folder / f"topic{number}.yaml",
                f"topic{number}",
                upstream={"memory": f"broker{number}"},
                feeds={"Events": {}},
                sinks={"Events": {}},
            )
            continue
        _write(
            folder / f"api{number}.yaml",
            f"api{number}",
            upstream={"rest": upstream, "allow_private": ["127.0.0.1/32"]},
            operations={
                "Get": {"get": "/items/{id}", "query": {"expand": "$req.expand"}},
                "List": {"get": "/items", "reply": {"items": "$.items"}},
                "Create": {"post": "/items", "body": "$payload"},
            },
        )


def _write(path: Path, name: str, **sections: Any) -> None:
    """JSON is YAML; what is written is what a person would write, in other clothes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"interlace": 1, "connector": name, **sections}), encoding="utf-8")
