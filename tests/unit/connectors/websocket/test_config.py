from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlaced.connectors.websocket.config import Config
from interlaced.connectors.websocket.recipe import compile_plan


def parsed(feed: dict[str, Any] | None = None, **upstream: Any) -> Config:
    return Config.model_validate(
        {
            "upstream": {"websocket": "wss://example.com/feed", **upstream},
            "feeds": {"F": feed or {}},
        }
    )


def test_an_address_and_a_feed_are_enough() -> None:
    config = parsed()
    assert config.upstream.heartbeat.limit == 40.0
    assert config.upstream.max_frame == 4 * 1024 * 1024
    assert config.feeds["F"].retain == 60.0


@pytest.mark.parametrize(
    "address", ["http://x/", "ws:///x", "x", "ws://user:pw@x/", "ws://x/#part", ""]
)
def test_an_address_is_a_websocket_without_credentials(address: str) -> None:
    with pytest.raises(ValidationError):
        parsed(websocket=address)


@pytest.mark.parametrize(
    "upstream",
    [
        {"heartbeat": {"ping": "2s", "dead_after": "2s"}},
        {"heartbeat": {"ping": "0s"}},
        {"on_open": {"since": "$resume.never"}},
        {"on_open": [{"deep": [{"since": "$seq"}]}]},
        {"ack": {"match": {}}},
        {"ack": {"match": {"op": "ok"}}},
        {"auth": {}},
        {"auth": {"bearer": "a", "basic": {"username": "u", "password": "p"}}},
        {"headers": {"Sec-WebSocket-Key": "x"}},
        {"headers": {"Host": "x"}},
        {"headers": {"X-Key": "a\r\nEvil: 1"}},
        {"headers": {"Bad name": "x"}},
        {"allow_private": ["10.0.0.0/99"]},
        {"unreadable": "ignore"},
        {"max_frame": "1B"},
        {"surprise": 1},
    ],
)
def test_nonsense_about_the_upstream_is_refused(upstream: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(**upstream)


@pytest.mark.parametrize(
    "feed",
    [
        {"key": "symbol"},
        {"key": "$req.symbol"},
        {"type": "$.a["},
        {"match": {"$.op": {"deep": 1}}},
        {"sequence_per": "day"},
        {"data_as": "xml"},
        {"attributes": {"Bad-Name": "$.x"}},
        {"attributes": {"tenant": "x"}},
        {"source": "$.a["},
        {"retain": "-1s"},
        {"ring": {"events": 0}},
    ],
)
def test_nonsense_about_a_feed_is_refused(feed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parsed(feed)


def test_a_connector_has_a_feed() -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"upstream": {"websocket": "ws://x/"}, "feeds": {}})


def test_one_subscribe_frame_needs_no_list() -> None:
    assert parsed(on_open={"op": "go"}).upstream.on_open == ({"op": "go"},)
    assert len(parsed(on_open=[{"op": "a"}, {"op": "b"}]).upstream.on_open) == 2


def test_every_setting_is_documented() -> None:
    schema = Config.model_json_schema()
    for name, model in schema["$defs"].items():
        for key, field in model.get("properties", {}).items():
            assert field.get("description"), f"{name}.{key}"


def test_secrets_are_not_shown() -> None:
    config = parsed(auth={"bearer": "s3cret"}, headers={"X-Key": "s3cret"})
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(config.model_dump())
    spoken = parsed(on_open={"token": "s3cret"}, heartbeat={"frame": {"token": "s3cret"}})
    assert "s3cret" not in repr(spoken)
    assert "s3cret" not in repr(compile_plan("c", spoken, "n"))
