"""The narrator logs what an operator reads, and passes everything on."""

from __future__ import annotations

from structlog.testing import capture_logs

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import GapWhy
from interlaced.telemetry.metrics import Metrics
from interlaced.telemetry.narrator import Narrator

FAILURE = Failure(Reason.UPSTREAM_CONNECT, "cannot be reached")


def test_it_tells_of_retries_breakers_and_feeds_and_still_counts() -> None:
    metrics = Metrics()
    narrator = Narrator(metrics)
    with capture_logs() as records:
        operation = narrator.operation("shop", "Get")
        operation.retry_scheduled(0.25, FAILURE)
        operation.rejected("bulkhead", FAILURE)
        narrator.connector("shop").breaker_changed("open", "5 failures in a row")
        feed = narrator.feed("ticks", "Ticks")
        feed.connected()
        feed.disconnected(FAILURE, 1.5)
        feed.disconnected(None, 0.0)
        feed.gap(GapWhy.RECONNECTED)
        feed.dropped("conflate", 2)
    assert [record["event"] for record in records] == [
        "retry.scheduled",
        "policy.rejected",
        "breaker.changed",
        "feed.connected",
        "feed.disconnected",
        "feed.closed",
        "feed.gap",
        "feed.dropped",
    ]
    assert records[0]["reason"] == "UPSTREAM_CONNECT"
    text = metrics.render().decode()
    assert 'interlace_feed_gaps_total{connector="ticks",feed="Ticks",why="reconnected"} 1.0' in text
    assert 'interlace_feed_reconnects_total{connector="ticks",feed="Ticks"} 1.0' in text
