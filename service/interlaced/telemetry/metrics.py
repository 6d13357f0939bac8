"""The Prometheus observer: every instrument is bound to its labels once, not per call."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, generate_latest

from interlaced.core.failure import Failure
from interlaced.core.model import GapWhy
from interlaced.telemetry import names
from interlaced.telemetry.instruments import Instruments, Number, Spread

__all__ = ["Metrics"]

_STATES = ("closed", "open", "half_open")


class _OperationMetrics:
    """The bound instruments of one operation."""

    def __init__(self, instruments: Instruments, connector: str, operation: str) -> None:
        self._instruments = instruments
        self._labels = (connector, operation)
        self._duration = instruments.spread(names.ATTEMPT_DURATION, *self._labels).observe
        self._retry_wait = instruments.spread(names.RETRY_WAIT, *self._labels).observe
        self._attempts: dict[str, Number] = {}

    def attempted(self, seconds: float, failure: Failure | None) -> None:
        outcome = "ok" if failure is None else failure.reason.value
        count = self._attempts.get(outcome)
        if count is None:
            count = self._instruments.number(names.ATTEMPTS, *self._labels, outcome)
            self._attempts[outcome] = count
        count.value += 1
        self._duration(seconds)

    def retry_scheduled(self, wait: float, failure: Failure) -> None:
        self._retry_wait(wait)

    def waited(self, policy: str, seconds: float) -> None:
        self._instruments.spread(names.POLICY_WAIT, *self._labels, policy).observe(seconds)

    def rejected(self, policy: str, failure: Failure) -> None:
        self._instruments.number(names.POLICY_REJECTIONS, *self._labels, policy).add(1)


class _ConnectorMetrics:
    """The bound instruments of one connector."""

    def __init__(self, instruments: Instruments, connector: str) -> None:
        self._states = {
            state: instruments.number(names.BREAKER_STATE, connector, state).set
            for state in _STATES
        }
        self._transitions = {
            state: instruments.number(names.BREAKER_TRANSITIONS, connector, state).add
            for state in _STATES
        }
        self._in_flight = instruments.number(names.BULKHEAD_IN_FLIGHT, connector)
        self._queue = instruments.number(names.BULKHEAD_QUEUE, connector)
        self._budget = instruments.number(names.RETRY_BUDGET, connector).set
        self._show("closed")

    def _show(self, current: str) -> None:
        for state, gauge in self._states.items():
            gauge(1 if state == current else 0)

    def breaker_changed(self, state: str, cause: str) -> None:
        self._show(state)
        self._transitions[state](1)

    def watch_bulkhead(self, in_flight: Callable[[], int], queued: Callable[[], int]) -> None:
        self._in_flight.read = in_flight
        self._queue.read = queued

    def budget_changed(self, tokens: float) -> None:
        self._budget(tokens)


class _FeedMetrics:
    """The bound instruments of one feed."""

    def __init__(self, instruments: Instruments, connector: str, feed: str) -> None:
        labels = (connector, feed)
        self._instruments = instruments
        self._labels = labels
        self._connected = instruments.number(names.FEED_CONNECTED, *labels).set
        self._reconnects = instruments.number(names.FEED_RECONNECTS, *labels).add
        self._events = instruments.number(names.FEED_EVENTS, *labels).add
        self._last_event = instruments.number(names.FEED_LAST_EVENT, *labels).set
        self._subscribers = instruments.number(names.SUBSCRIBERS, *labels).set

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
        self._instruments.number(names.FEED_GAPS, *self._labels, why.value).add(1)

    def subscribers_changed(self, subscribers: int) -> None:
        self._subscribers(subscribers)

    def dropped(self, policy: str, events: int) -> None:
        self._instruments.number(names.SUBSCRIBER_DROPPED, *self._labels, policy).add(events)

    def settled(self, verdict: str) -> None:
        self._instruments.number(names.SETTLED, *self._labels, verdict).add(1)


class _RpcMetrics:
    """The instruments of the gRPC face."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._active: dict[str, Number] = {}
        self._durations: dict[tuple[str, str, str], Spread] = {}

    def started(self, method: str) -> None:
        active = self._active.get(method)
        if active is None:
            active = self._instruments.number(names.RPC_ACTIVE, method)
            self._active[method] = active
        active.value += 1

    def finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        self._active[method].value -= 1
        key = (method, code, reason)
        spread = self._durations.get(key)
        if spread is None:
            spread = self._durations[key] = self._instruments.spread(names.RPC_DURATION, *key)
        spread.observe(seconds)


class Metrics:
    """The Observer that counts, on a registry of its own: one per process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._instruments = Instruments(self._registry, names.OF_PROCESS)
        self.rpc = _RpcMetrics(self._instruments)
        self._connectors: frozenset[str] = frozenset()
        self.loop_lag = self._instruments.number(names.LOOP_LAG).set
        self._tasks = self._instruments.number(names.LOOP_TASKS)

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
        self._instruments.number(names.BUILD_INFO, version, config_hash).set(1)

    def watch_tasks(self, count: Callable[[], int]) -> None:
        """Shows how many tasks the event loop has, counted at the scrape."""
        self._tasks.read = count

    def reloaded(self, result: str) -> None:
        """Counts a reload: `ok`, `unchanged`, `refused`, or `failed` by a bug."""
        self._instruments.number(names.RELOADS, result).add(1)

    def render(self) -> bytes:
        """Returns everything in the Prometheus text format."""
        return generate_latest(self._registry)
