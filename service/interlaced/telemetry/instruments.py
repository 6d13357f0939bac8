"""Counters, gauges and histograms that cost what an addition costs.

A client library's instruments take a lock and check their labels each time, which was a fifth of
what a call took. These are plain numbers that one event loop writes; prometheus_client reads them
when it is asked for a page, and writes its format.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from interlaced.telemetry.names import DURATION_BUCKETS, Instrument, Metric

__all__ = ["Instruments", "Number", "Spread"]

_Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_Bounds = (*map(floatToGoString, DURATION_BUCKETS), "+Inf")


class Number:
    """A counter or a gauge under one set of labels. `read`, if there is one, is asked instead."""

    __slots__ = ("read", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.read: Callable[[], float] | None = None

    def add(self, amount: float) -> None:
        """Counts on, or back."""
        self.value += amount

    def set(self, value: float) -> None:
        """Shows this from now on."""
        self.value = value

    def shown(self) -> float:
        """Returns what a page shows."""
        return self.value if self.read is None else self.read()


class Spread:
    """A histogram of seconds under one set of labels, in the buckets of DURATION_BUCKETS."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(DURATION_BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Counts one duration."""
        self.counts[bisect_left(DURATION_BUCKETS, seconds)] += 1
        self.total += seconds

    def shown(self) -> list[tuple[str, float]]:
        """Returns the buckets as a page shows them: each holds what is in those before it."""
        return list(zip(_Bounds, map(float, accumulate(self.counts)), strict=True))


class Instruments(Collector):
    """The instruments of some metrics, on one registry, each bound once to its labels."""

    def __init__(self, registry: CollectorRegistry, metrics: Iterable[Metric]) -> None:
        self._numbers: dict[Metric, dict[tuple[str, ...], Number]] = {}
        self._spreads: dict[Metric, dict[tuple[str, ...], Spread]] = {}
        for metric in metrics:
            if metric.instrument == Instrument.HISTOGRAM:
                self._spreads[metric] = {}
            else:
                self._numbers[metric] = {}
        registry.register(self)

    def number(self, metric: Metric, *labels: str) -> Number:
        """Returns the counter or gauge under these labels, the same for the same ones."""
        return self._numbers[metric].setdefault(_checked(metric, labels), Number())

    def spread(self, metric: Metric, *labels: str) -> Spread:
        """Returns the histogram under these labels, the same for the same ones."""
        return self._spreads[metric].setdefault(_checked(metric, labels), Spread())

    def clear(self, metric: Metric) -> None:
        """Forgets a metric's series."""
        self._numbers[metric].clear()

    def forget(self, connector: str) -> None:
        """Forgets every series of a connector."""
        for series in (self._numbers, self._spreads):
            for metric, bound in series.items():
                if "connector" in metric.labels:
                    place = metric.labels.index("connector")
                    for labels in [each for each in bound if each[place] == connector]:
                        del bound[labels]

    def describe(self) -> Iterable[_Family]:
        """Tells the registry nothing ahead, so that it does not read everything to learn names."""
        return ()

    def collect(self) -> Iterable[_Family]:
        """Returns every series as it is now."""
        for metric, numbers in self._numbers.items():
            is_counter = metric.instrument == Instrument.COUNTER
            kind = CounterMetricFamily if is_counter else GaugeMetricFamily
            family = kind(metric.prometheus, metric.help, labels=metric.labels)
            for labels, number in numbers.items():
                family.add_metric(labels, number.shown())
            yield family
        for metric, spreads in self._spreads.items():
            histogram = HistogramMetricFamily(metric.prometheus, metric.help, labels=metric.labels)
            for labels, spread in spreads.items():
                histogram.add_metric(labels, spread.shown(), spread.total)
            yield histogram


def _checked(metric: Metric, labels: Sequence[str]) -> tuple[str, ...]:
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has {len(metric.labels)} labels")
    return tuple(labels)
