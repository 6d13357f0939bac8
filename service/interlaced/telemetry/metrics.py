"""The Prometheus observer: every instrument is bound to its labels once, not per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from interlaced.core.failure import Failure
from interlaced.core.model import GapWhy
from interlaced.telemetry import names
from interlaced.telemetry.names import Instrument, Metric

__all__ = ["Metrics"]

_STATES = ("closed", "open", "half_open")


class _Instruments:
    """All instruments of one registry, by their Metric."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._counters: dict[Metric, Counter] = {}
        self._gauges: dict[Metric, Gauge] = {}
        self._histograms: dict[Metric, Histogram] = {}
        for metric in names.OF_PROCESS:
            place = (metric.prometheus, metric.help, metric.labels)
            if metric.instrument == Instrument.COUNTER:
                self._counters[metric] = Counter(*place, registry=registry)
            elif metric.instrument == Instrument.GAUGE:
                self._gauges[metric] = Gauge(*place, registry=registry)
            else:
                self._histograms[metric] = Histogram(
                    *place, registry=registry, buckets=names.DURATION_BUCKETS
                )

    def counter(self, metric: Metric, *labels: str) -> Callable[[float], None]:
        """Returns the bound `inc` of a counter."""
        counter = self._counters[metric]
        return (counter.labels(*labels) if labels else counter).inc

    def gauge(self, metric: Metric, *labels: str) -> Callable[[float], None]:
        """Returns the bound `set` of a gauge."""
        gauge = self._gauges[metric]
        return (gauge.labels(*labels) if labels else gauge).set

    def histogram(self, metric: Metric, *labels: str) -> Callable[[float], None]:
        """Returns the bound `observe` of a histogram."""
        histogram = self._histograms[metric]
        return (histogram.labels(*labels) if labels else histogram).observe

    def clear(self, metric: Metric) -> None:
        """Forgets a gauge's series."""
        self._gauges[metric].clear()

    def forget(self, connector: str) -> None:
        """Forgets every series of a connector."""
        for kind in (self._counters, self._gauges, self._histograms):
            for metric, instrument in kind.items():
                if "connector" in metric.labels:
                    instrument.remove_by_labels({"connector": connector})


class _OperationMetrics:
    """The bound instruments of one operation."""

    def __init__(self, instruments: _Instruments, connector: str, operation: str) -> None:
        self._instruments = instruments
        self._labels = (connector, operation)
        self._duration = instruments.histogram(names.ATTEMPT_DURATION, *self._labels)
        self._retry_wait = instruments.histogram(names.RETRY_WAIT, *self._labels)
        self._attempts: dict[str, Callable[[float], None]] = {}

    def attempted(self, seconds: float, failure: Failure | None) -> None:
        outcome = "ok" if failure is None else failure.reason.value
        count = self._attempts.get(outcome)
        if count is None:
            count = self._instruments.counter(names.ATTEMPTS, *self._labels, outcome)
            self._attempts[outcome] = count
        count(1)
        self._duration(seconds)

    def retry_scheduled(self, wait: float, failure: Failure) -> None:
        self._retry_wait(wait)

    def waited(self, policy: str, seconds: float) -> None:
        self._instruments.histogram(names.POLICY_WAIT, *self._labels, policy)(seconds)

    def rejected(self, policy: str, failure: Failure) -> None:
        self._instruments.counter(names.POLICY_REJECTIONS, *self._labels, policy)(1)


class _ConnectorMetrics:
    """The bound instruments of one connector."""

    def __init__(self, instruments: _Instruments, connector: str) -> None:
        self._states = {
            state: instruments.gauge(names.BREAKER_STATE, connector, state) for state in _STATES
        }
        self._transitions = {
            state: instruments.counter(names.BREAKER_TRANSITIONS, connector, state)
            for state in _STATES
        }
        self._in_flight = instruments.gauge(names.BULKHEAD_IN_FLIGHT, connector)
        self._queue = instruments.gauge(names.BULKHEAD_QUEUE, connector)
        self._budget = instruments.gauge(names.RETRY_BUDGET, connector)
        self._show("closed")

    def _show(self, current: str) -> None:
        for state, gauge in self._states.items():
            gauge(1 if state == current else 0)

    def breaker_changed(self, state: str, cause: str) -> None:
        self._show(state)
        self._transitions[state](1)

    def bulkhead_changed(self, in_flight: int, queued: int) -> None:
        self._in_flight(in_flight)
        self._queue(queued)

    def budget_changed(self, tokens: float) -> None:
        self._budget(tokens)


class _FeedMetrics:
    """The bound instruments of one feed."""

    def __init__(self, instruments: _Instruments, connector: str, feed: str) -> None:
        labels = (connector, feed)
        self._instruments = instruments
        self._labels = labels
        self._connected = instruments.gauge(names.FEED_CONNECTED, *labels)
        self._reconnects = instruments.counter(names.FEED_RECONNECTS, *labels)
        self._events = instruments.counter(names.FEED_EVENTS, *labels)
        self._last_event = instruments.gauge(names.FEED_LAST_EVENT, *labels)
        self._subscribers = instruments.gauge(names.SUBSCRIBERS, *labels)

    def connected(self) -> None:
        self._connected(1)

    def disconnected(self, failure: Failure | None, retry_in: float) -> None:
        self._connected(0)
        if failure is not None:
            self._reconnects(1)

    def received(self, events: int) -> None:
        self._events(events)
        self._last_event(time.time())

    def gap(self, why: GapWhy) -> None:
        self._instruments.counter(names.FEED_GAPS, *self._labels, why.value)(1)

    def subscribers_changed(self, subscribers: int) -> None:
        self._subscribers(subscribers)

    def dropped(self, policy: str, events: int) -> None:
        self._instruments.counter(names.SUBSCRIBER_DROPPED, *self._labels, policy)(events)

    def settled(self, verdict: str) -> None:
        self._instruments.counter(names.SETTLED, *self._labels, verdict)(1)


class _RpcMetrics:
    """The instruments of the gRPC face."""

    def __init__(self, instruments: _Instruments) -> None:
        self._instruments = instruments
        self._active: dict[str, int] = {}
        self._shown: dict[str, Callable[[float], None]] = {}
        self._durations: dict[tuple[str, str, str], Callable[[float], None]] = {}

    def started(self, method: str) -> None:
        self._count(method, 1)

    def finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        self._count(method, -1)
        key = (method, code, reason)
        observe = self._durations.get(key)
        if observe is None:
            observe = self._instruments.histogram(names.RPC_DURATION, *key)
            self._durations[key] = observe
        observe(seconds)

    def _count(self, method: str, change: int) -> None:
        active = self._active[method] = self._active.get(method, 0) + change
        show = self._shown.get(method)
        if show is None:
            show = self._shown[method] = self._instruments.gauge(names.RPC_ACTIVE, method)
        show(active)


class Metrics:
    """The Observer that counts, on a registry of its own: one per process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._instruments = _Instruments(self._registry)
        self.rpc = _RpcMetrics(self._instruments)
        self._connectors: frozenset[str] = frozenset()
        self.loop_lag = self._instruments.gauge(names.LOOP_LAG)

    def operation(self, connector: str, operation: str) -> _OperationMetrics:
        """Returns the observer of one operation."""
        return _OperationMetrics(self._instruments, connector, operation)

    def connector(self, connector: str) -> _ConnectorMetrics:
        """Returns the observer of one connector."""
        return _ConnectorMetrics(self._instruments, connector)

    def feed(self, connector: str, feed: str) -> _FeedMetrics:
        """Returns the observer of one feed."""
        return _FeedMetrics(self._instruments, connector, feed)

    def serving(self, version: str, config_hash: str, connectors: Collection[str] = ()) -> None:
        """Says which version serves which configuration; the series of connectors that are not in
        it any more end, or an alert on a breaker could never be put out."""
        for gone in self._connectors.difference(connectors):
            self._instruments.forget(gone)
        self._connectors = frozenset(connectors)
        self._instruments.clear(names.BUILD_INFO)
        self._instruments.gauge(names.BUILD_INFO, version, config_hash)(1)

    def reloaded(self, result: str) -> None:
        """Counts a reload: `ok`, `unchanged`, `refused`, or `failed` by a bug."""
        self._instruments.counter(names.RELOADS, result)(1)

    def render(self) -> bytes:
        """Returns everything in the Prometheus text format."""
        return generate_latest(self._registry)
