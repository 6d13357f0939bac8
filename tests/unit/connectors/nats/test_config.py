"""What a nats manifest may say."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from interlaced.connectors.nats.config import Config, covers

FEED = {"stream": "ORDERS", "subject": "orders.>"}


def config(upstream: Any = "nats://127.0.0.1:4222", **parts: Any) -> Config:
    return Config.model_validate({"upstream": {"nats": upstream}, **parts})


def test_one_address_or_several() -> None:
    assert config().upstream.servers == ("nats://127.0.0.1:4222",)
    assert config(["nats://a", "tls://b:4443"]).upstream.servers == ("nats://a", "tls://b:4443")


def test_everything_else_has_a_default() -> None:
    made = config(feeds={"Orders": FEED}, sinks={"Orders": {"subject": "orders.new"}})
    assert made.feeds["Orders"].ack.max_deliver == 5
    assert not made.sinks["Orders"].core


@pytest.mark.parametrize(
    ("pattern", "subject", "does"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.b", "a", False),
        ("a", "a.b", False),
        ("a.*", "a.b", True),
        ("a.*", "a.*", True),
        ("a.*", "a.>", False),
        ("a.*", "a.b.c", False),
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        (">", "a", True),
        ("*.b", "a.b", True),
    ],
)
def test_subjects_cover_each_other(pattern: str, subject: str, *, does: bool) -> None:
    assert covers(pattern, subject) is does


@pytest.mark.parametrize(
    "address",
    ["http://a", "nats://", "127.0.0.1:4222", "nats://user:secret@a", "nats://token@a", []],
)
def test_an_address_that_is_none_or_has_credentials_is_refused(address: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        config(address)
    assert "secret" not in str(refused.value.errors(include_input=False, include_context=False))


@pytest.mark.parametrize(
    "auth", [{}, {"user": "a"}, {"password": "b"}, {"user": "a", "password": "b", "token": "c"}]
)
def test_credentials_are_of_one_sort(auth: dict[str, str]) -> None:
    document = {"upstream": {"nats": "nats://a", "auth": auth}}
    with pytest.raises(ValidationError):
        Config.model_validate(document)


@pytest.mark.parametrize("auth", [{"user": "a", "password": "b"}, {"token": "b"}])
def test_credentials_cannot_be_printed(auth: dict[str, str]) -> None:
    made = Config.model_validate({"upstream": {"nats": "nats://a", "auth": auth}})
    assert "'b'" not in repr(made)


@pytest.mark.parametrize(
    "feed",
    [
        {"subject": "orders.>"},
        {"subject": "orders.>", "stream": "ORDERS", "core": True},
        {"subject": ">", "stream": "ORDERS"},
        {"subject": "orders.>.x", "stream": "ORDERS"},
        {"subject": "orders..x", "stream": "ORDERS"},
        {"subject": "a b", "stream": "ORDERS"},
        {"subject": "a", "stream": "OR.DERS"},
        {"subject": "a.>", "stream": "A", "dead_letters": {"subject": "a.dead"}},
        {"subject": "a.>", "stream": "A", "ack": {"wait": "1ms"}},
    ],
)
def test_a_feed_that_makes_no_sense_is_refused(feed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(feeds={"Orders": feed})


def test_a_sink_has_no_wildcards() -> None:
    with pytest.raises(ValidationError):
        config(sinks={"Orders": {"subject": "orders.*"}})


def test_a_stream_has_subjects() -> None:
    with pytest.raises(ValidationError):
        config(streams={"ORDERS": {"subjects": []}})
