"""The fakes record what they are told."""

from __future__ import annotations

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import GapWhy
from interlaced.core.ports import Observer, RpcObserver
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import FakeObserver, FakeRpcObserver, make_tools


def test_the_observer_remembers_by_name() -> None:
    fake = FakeObserver()
    observer: Observer = fake
    failure = Failure(Reason.UPSTREAM_TIMEOUT, "too slow")
    operation = observer.operation("shop", "Get")
    operation.attempted(0.5, failure)
    operation.retry_scheduled(0.1, failure)
    operation.waited("limiter", 0.2)
    operation.rejected("breaker", failure)
    recorded = fake.operations["shop", "Get"]
    assert recorded.attempts == [(0.5, failure)]
    assert recorded.retries == [(0.1, failure)]
    assert recorded.waits == [("limiter", 0.2)]
    assert recorded.rejections == [("breaker", failure)]
    assert observer.operation("shop", "Get") is operation


def test_connector_and_feed_observers_record() -> None:
    fake = FakeObserver()
    connector, feed = fake.connector("shop"), fake.feed("shop", "Orders")
    connector.breaker_changed("open", "5 in a row")
    connector.watch_bulkhead(lambda: 3, lambda: 1)
    connector.budget_changed(0.5)
    feed.connected()
    feed.disconnected(None, 1.0)
    feed.received(3)
    feed.gap(GapWhy.EXPIRED)
    feed.subscribers_changed(2)
    feed.dropped("drop_oldest", 4)
    feed.settled("ack")
    assert connector.breaker_changes == [("open", "5 in a row")]
    assert connector.bulkhead is not None
    assert [read() for read in connector.bulkhead] == [3, 1]
    assert connector.budget_changes == [0.5]
    assert (feed.connections, feed.disconnections, feed.batches) == (1, [(None, 1.0)], [3])
    assert (feed.gaps, feed.subscribers) == ([GapWhy.EXPIRED], [2])
    assert (feed.drops, feed.settlements) == ([("drop_oldest", 4)], ["ack"])


def test_the_rpc_observer_records() -> None:
    fake = FakeRpcObserver()
    observer: RpcObserver = fake
    observer.started("/a/B")
    observer.finished("/a/B", "OK", "", 0.1)
    assert (fake.begun, fake.ended) == (["/a/B"], [("/a/B", "OK", "", 0.1)])


def test_tools_are_seeded_and_share_nothing() -> None:
    clock = VirtualClock()
    first, second = make_tools(clock), make_tools()
    assert first.clock is clock
    assert isinstance(second.clock, LoopClock)
    assert first.random.random() == second.random.random()
    assert first.shared["brokers"] is not second.shared["brokers"]
