from __future__ import annotations

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.telemetry.metrics import Metrics
from interlaced.telemetry.names import ALL, OF_GROUP, OF_PROCESS, Instrument, Merge
from interlaced.workers.merge import GroupMetrics


def worker(calls: int, *, is_open: bool = False, subscribers: int = 0) -> Metrics:
    metrics = Metrics()
    metrics.serving("1.0", "hash", ("desk",))
    operation = metrics.operation("desk", "Hello")
    for _ in range(calls):
        operation.attempted(0.03, None)
    connector = metrics.connector("desk")
    if is_open:
        connector.breaker_changed("open", "test")
    feed = metrics.feed("desk", "Ticks")
    feed.subscribers_changed(subscribers)
    if subscribers:
        feed.connected()
    return metrics


def values(text: bytes) -> dict[str, float]:
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    assert len(lines) == len({line.rpartition(" ")[0] for line in lines}), "a series twice"
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def group(**workers: Metrics) -> GroupMetrics:
    merged = GroupMetrics()
    for name, metrics in workers.items():
        merged.see(name[-1], metrics.render().decode())
    return merged


CALLS = 'interlace_upstream_attempts_total{connector="desk",operation="Hello",outcome="ok"}'
BUCKET = (
    'interlace_upstream_attempt_duration_seconds_bucket{connector="desk",le="%s",operation="Hello"}'
)
BREAKER = 'interlace_breaker_state{worker="%d",connector="desk",state="%s"}'
SUBSCRIBERS = 'interlace_subscribers{connector="desk",feed="Ticks"}'
CONNECTED = 'interlace_feed_connected{connector="desk",feed="Ticks"}'


def test_counters_and_histograms_are_summed() -> None:
    found = values(group(w0=worker(3), w1=worker(4)).render(2))
    assert found[CALLS] == 7
    assert found[BUCKET % "0.025"] == 0
    assert found[BUCKET % "0.05"] == 7
    assert found[BUCKET % "+Inf"] == 7


def test_each_gauge_is_merged_as_fits_it() -> None:
    one, two = worker(1, subscribers=2), worker(1, is_open=True, subscribers=3)
    found = values(group(w0=one, w1=two).render(2))
    assert found[SUBSCRIBERS] == 5
    assert found[CONNECTED] == 1, "one upstream connection of the whole group"
    assert (found[BREAKER % (0, "open")], found[BREAKER % (1, "open")]) == (0, 1)
    assert found['interlace_build_info{config_hash="hash",version="1.0"}'] == 1
    assert found["interlace_workers_serving"] == 2


def test_the_counters_of_the_dead_are_kept_and_their_gauges_are_not() -> None:
    merged = group(w0=worker(3, subscribers=2), w1=worker(4))
    merged.lose("0")
    merged.restarted()
    found = values(merged.render(1))
    assert found[CALLS] == 7
    assert found[SUBSCRIBERS] == 0
    assert BREAKER % (0, "open") not in found
    merged.see("0", worker(1).render().decode())
    merged.lose("0")
    found = values(merged.render(1))
    assert found[CALLS] == 8, "a counter never falls"
    assert found["interlace_workers_restarts_total"] == 1


def test_who_was_never_seen_leaves_nothing() -> None:
    merged = GroupMetrics()
    merged.lose("0")
    assert CALLS not in values(merged.render(0))


def test_reloads_are_counted_once_for_the_group() -> None:
    one, two = worker(1), worker(1)
    one.reloaded("ok")
    two.reloaded("ok")
    merged = group(w0=one, w1=two)
    merged.reloaded("ok")
    assert values(merged.render(2))['interlace_config_reloads_total{result="ok"}'] == 1


def test_labels_may_hold_anything() -> None:
    metrics = Metrics()
    strange = 'a "b" {c} \\ 1 2'
    metrics.operation("desk", strange).attempted(1.0, Failure(Reason.UPSTREAM_FAILED, "x"))
    text = metrics.render().decode()
    merged = GroupMetrics()
    merged.see("0", text)
    (line,) = [each for each in text.splitlines() if "attempts_total{" in each]
    assert line in merged.render(1).decode().splitlines()


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_every_metric_says_how_it_is_merged(metric) -> None:
    assert metric.merge in {Merge.SUM, Merge.MOST, Merge.EACH, Merge.GROUP}
    if metric.instrument != Instrument.GAUGE:
        assert metric.merge in {Merge.SUM, Merge.GROUP}
    assert metric in OF_PROCESS or metric in OF_GROUP
