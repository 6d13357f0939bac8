"""The nats kind's connector without a server; `tests/live` has one."""

from __future__ import annotations

from typing import Any, cast

import pytest
from nats.aio.msg import Msg

from interlaced.connectors.nats import connector as nats_connector
from interlaced.connectors.nats.config import Config
from interlaced.connectors.nats.connector import NatsFeed, build
from interlaced.core.failure import Failure, NotConnected, Reached, Reason
from interlaced.core.model import Delivery, Effort, Publication
from interlaced.core.ports import Start
from interlaced.testing.fakes import make_tools
from interlaced.testing.source_suite import make_events

DOCUMENT = {
    # Port 1 refuses.
    "upstream": {"nats": "nats://127.0.0.1:1", "connect_timeout": "1s"},
    "feeds": {
        "Orders": {"stream": "ORDERS", "subject": "orders.>", "description": "New ones."},
        "Prices": {"core": True, "subject": "prices"},
    },
    "sinks": {"Orders": {"subject": "orders.new"}, "Prices": {"subject": "prices", "core": True}},
}


def test_each_feed_of_a_stream_has_its_dead_letters() -> None:
    connector = build("orders", Config.model_validate(DOCUMENT), make_tools())
    assert sorted(connector.feeds) == ["Orders", "Orders.dead", "Prices"]
    assert {name: feed.name for name, feed in connector.feeds.items()} == {
        name: name for name in connector.feeds
    }
    assert connector.feeds["Orders"].description == "New ones."
    assert connector.feeds["Orders.dead"].description == "The dead letters of Orders."
    assert connector.operations == {}


async def test_it_opens_while_its_broker_is_away() -> None:
    connector = build("orders", Config.model_validate(DOCUMENT), make_tools())
    await connector.open()
    for feed in connector.feeds.values():
        with pytest.raises(NotConnected) as away:
            await feed.open(Start())
        assert away.value.failure.reason is Reason.UPSTREAM_CONNECT
    with pytest.raises(NotConnected):
        await connector.feeds["Orders"].join("group")
    clock = make_tools().clock
    for sink in connector.sinks.values():
        publication = Publication(
            deadline=clock.now() + 2, effort=Effort(0), sink="Orders", events=make_events(1)
        )
        with pytest.raises(Failure) as refused:
            await sink.publish(publication)
        assert refused.value.reached is publication.effort.reached is Reached.NOT_SENT
    await connector.close()
    await connector.close()


async def test_core_nats_has_no_groups() -> None:
    connector = build("orders", Config.model_validate(DOCUMENT), make_tools())
    with pytest.raises(Failure) as refused:
        await connector.feeds["Prices"].join("group")
    assert refused.value.reason is Reason.NOT_ACKABLE


def test_a_missing_tls_file_is_told_at_the_build() -> None:
    document = {**DOCUMENT, "upstream": {"nats": "tls://a", "tls": {"ca": "/no/such/file"}}}
    with pytest.raises(OSError, match="No such file"):
        build("orders", Config.model_validate(document), make_tools())


class _StandingLink:
    """A connection that stands and is never used."""

    max_payload = 1024

    def new_inbox(self) -> str:
        return "inbox"


def _message(number: int, attempt: int) -> Msg:
    reply = f"$JS.ACK.ORDERS.work.{attempt}.{number}.{number}.1700000000000000000.0"
    return Msg(_client=cast("Any", None), subject="orders.new", reply=reply, data=b"{}")


async def test_what_is_exhausted_and_comes_during_a_burial_is_buried_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A delivery whose attempts are spent reaches no member, however it meets the others."""
    feeds = build("orders", Config.model_validate(DOCUMENT), make_tools()).feeds
    feed = cast("NatsFeed", feeds["Orders"])
    most = feed.max_deliver or 0
    buried: list[str] = []
    reader = nats_connector._GroupReader(feed, cast("Any", _StandingLink()), group="work", epoch=1)

    async def bury(message: Msg, *_: object, **__: object) -> None:
        buried.append(message.reply)
        if len(buried) == 1:
            reader._took(_message(2, most + 1))
            reader._took(_message(3, 1))

    monkeypatch.setattr(reader, "_bury", bury)
    reader._took(_message(1, most + 1))
    items = [item for item in await reader.read() if isinstance(item, Delivery)]
    assert [int.from_bytes(item.event.position, "big") for item in items] == [3]
    assert len(buried) == 2
