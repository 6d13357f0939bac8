"""Instruments that are plain numbers, and the page that prometheus_client makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from interlaced.telemetry import names
from interlaced.telemetry.instruments import Instruments


def page(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }


@given(st.lists(st.floats(0, 100, allow_nan=False), max_size=50))
def test_a_histogram_is_the_one_of_the_library(seconds: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    spread = Instruments(ours, [names.RETRY_WAIT]).spread(names.RETRY_WAIT, "c", "o")
    metric = names.RETRY_WAIT
    histogram = Histogram(
        metric.prometheus,
        metric.help,
        metric.labels,
        registry=theirs,
        buckets=names.DURATION_BUCKETS,
    ).labels("c", "o")
    for each in [*seconds, *names.DURATION_BUCKETS]:
        spread.observe(each)
        histogram.observe(each)
    expected = {key: value for key, value in page(theirs).items() if "created" not in key[0]}
    assert page(ours) == pytest.approx(expected)


def test_a_number_counts_shows_or_is_read_when_the_page_is_made() -> None:
    registry = CollectorRegistry()
    metrics = [names.ATTEMPTS, names.LOOP_LAG, names.BULKHEAD_QUEUE]
    instruments = Instruments(registry, metrics)
    attempts = instruments.number(names.ATTEMPTS, "c", "o", "ok")
    attempts.add(1)
    attempts.add(2)
    instruments.number(names.LOOP_LAG).set(0.5)
    waiting = [1]
    instruments.number(names.BULKHEAD_QUEUE, "c").read = lambda: waiting[0]
    waiting.append(waiting.pop() + 6)
    labels = (("connector", "c"), ("operation", "o"), ("outcome", "ok"))
    assert page(registry) == {
        ("interlace_upstream_attempts_total", labels): 3,
        ("interlace_loop_lag_seconds", ()): 0.5,
        ("interlace_bulkhead_queue", (("connector", "c"),)): 7,
    }


def test_the_same_labels_are_the_same_series_and_too_few_are_refused() -> None:
    instruments = Instruments(CollectorRegistry(), names.ALL)
    first = instruments.number(names.ATTEMPTS, "c", "o", "ok")
    assert instruments.number(names.ATTEMPTS, "c", "o", "ok") is first
    assert instruments.spread(names.RETRY_WAIT, "c", "o") is not instruments.spread(
        names.RETRY_WAIT, "c", "p"
    )
    with pytest.raises(ValueError, match="3 labels"):
        instruments.number(names.ATTEMPTS, "c")


def test_the_series_of_one_connector_are_forgotten_and_no_others() -> None:
    registry = CollectorRegistry()
    instruments = Instruments(registry, names.ALL)
    for connector in ("a", "b"):
        instruments.number(names.ATTEMPTS, connector, "o", "ok").add(1)
        instruments.spread(names.RETRY_WAIT, connector, "o").observe(1.0)
    instruments.number(names.RELOADS, "ok").add(1)
    instruments.forget("a")
    left = {dict(labels).get("connector", "-") for _, labels in page(registry)}
    assert left == {"b", "-"}
    instruments.clear(names.RELOADS)
    assert "-" not in {dict(labels).get("connector", "-") for _, labels in page(registry)}
