"""The Prometheus observer and the names of its metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import GapWhy
from interlaced.telemetry import names
from interlaced.telemetry.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_rpc_histogram_has_the_conventions_name_labels_and_buckets() -> None:
    metrics = Metrics()
    metrics.rpc.started("interlace.v1.GatewayService/Call")
    metrics.rpc.finished("interlace.v1.GatewayService/Call", "OK", "", 0.02)
    labels = (
        ("error_type", ""),
        ("rpc_method", "interlace.v1.GatewayService/Call"),
        ("rpc_response_status_code", "OK"),
    )
    assert samples(metrics)[("rpc_server_call_duration_seconds_count", labels)] == 1
    bucket = tuple(sorted((*labels, ("le", "0.025"))))
    assert samples(metrics)[("rpc_server_call_duration_seconds_bucket", bucket)] == 1


def test_the_breaker_has_one_series_per_state_and_one_of_them_is_1() -> None:
    metrics = Metrics()
    observer = metrics.connector("shop")
    observer.breaker_changed("open", "5 failures in a row")
    found = {
        labels[1][1]: value
        for (name, labels), value in samples(metrics).items()
        if name == "interlace_breaker_state"
    }
    assert found == {"closed": 0, "open": 1, "half_open": 0}


def test_attempts_are_counted_by_outcome() -> None:
    metrics = Metrics()
    observer = metrics.operation("shop", "Get")
    observer.attempted(0.1, None)
    observer.attempted(0.1, Failure(Reason.UPSTREAM_TIMEOUT, "no answer in time"))
    key = (("connector", "shop"), ("operation", "Get"), ("outcome", "UPSTREAM_TIMEOUT"))
    assert samples(metrics)[("interlace_upstream_attempts_total", key)] == 1


def test_every_observer_method_ends_in_a_series() -> None:
    metrics = Metrics()
    failure = Failure(Reason.RATE_LIMITED, "too fast")
    operation, connector, feed = (
        metrics.operation("c", "o"),
        metrics.connector("c"),
        metrics.feed("c", "f"),
    )
    operation.retry_scheduled(0.5, failure)
    operation.waited("limiter", 0.5)
    operation.rejected("limiter", failure)
    connector.watch_bulkhead(lambda: 1, lambda: 2)
    connector.budget_changed(3)
    feed.connected()
    feed.disconnected(failure, 1.0)
    feed.received(2)
    feed.gap(GapWhy.RECONNECTED)
    feed.subscribers_changed(1)
    feed.dropped("drop_oldest", 3)
    feed.settled("ack")
    metrics.serving("0.1.0", "abc")
    metrics.reloaded("ok")
    metrics.loop_lag(0.001)
    metrics.watch_tasks(lambda: 3)
    metrics.rpc.started("_OTHER")
    written = {name for name, _ in samples(metrics)}
    spelled = {metric.prometheus for metric in names.OF_PROCESS}
    silent = {name for name in spelled if not any(sample.startswith(name) for sample in written)}
    assert silent == {
        names.RPC_DURATION.prometheus,
        names.ATTEMPTS.prometheus,
    }


def test_labels_are_few_and_hold_no_ids() -> None:
    for metric in names.ALL:
        assert len(metric.labels) <= 3
        assert not set(metric.labels) & {"id", "url", "tenant", "cursor", "subscriber"}
