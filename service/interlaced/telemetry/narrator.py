"""The Observer that logs what an operator wants to read, and passes everything on to the next."""

from __future__ import annotations

from interlaced.core.failure import Failure
from interlaced.core.model import GapWhy
from interlaced.core.ports import ConnectorObserver, FeedObserver, Observer, OperationObserver
from interlaced.telemetry.log import log

__all__ = ["Narrator"]


class _OperationNarrator:
    """Logs one operation's retries and refusals."""

    def __init__(self, inner: OperationObserver, connector: str, operation: str) -> None:
        self._inner = inner
        self._fields = {"connector": connector, "operation": operation}
        self.attempted = inner.attempted
        self.waited = inner.waited

    def retry_scheduled(self, wait: float, failure: Failure) -> None:
        self._inner.retry_scheduled(wait, failure)
        log.info(
            "retry.scheduled", wait=round(wait, 3), reason=failure.reason.value, **self._fields
        )

    def rejected(self, policy: str, failure: Failure) -> None:
        self._inner.rejected(policy, failure)
        log.debug("policy.rejected", policy=policy, reason=failure.reason.value, **self._fields)


class _ConnectorNarrator:
    """Logs one connector's breaker."""

    def __init__(self, inner: ConnectorObserver, connector: str) -> None:
        self._inner = inner
        self._connector = connector
        self.watch_bulkhead = inner.watch_bulkhead
        self.budget_changed = inner.budget_changed

    def breaker_changed(self, state: str, cause: str) -> None:
        self._inner.breaker_changed(state, cause)
        log.warning("breaker.changed", connector=self._connector, state=state, cause=cause)


class _FeedNarrator:
    """Logs one feed's connection and gaps."""

    def __init__(self, inner: FeedObserver, connector: str, feed: str) -> None:
        self._inner = inner
        self._fields = {"connector": connector, "feed": feed}
        self.received = inner.received
        self.subscribers_changed = inner.subscribers_changed
        self.settled = inner.settled

    def connected(self) -> None:
        self._inner.connected()
        log.info("feed.connected", **self._fields)

    def disconnected(self, failure: Failure | None, retry_in: float) -> None:
        self._inner.disconnected(failure, retry_in)
        if failure is None:
            log.info("feed.closed", **self._fields)
            return
        reason = failure.reason.value
        log.warning("feed.disconnected", reason=reason, retry_in=round(retry_in, 3), **self._fields)

    def gap(self, why: GapWhy) -> None:
        self._inner.gap(why)
        log.warning("feed.gap", why=why.value, **self._fields)

    def dropped(self, policy: str, events: int) -> None:
        self._inner.dropped(policy, events)
        log.debug("feed.dropped", policy=policy, events=events, **self._fields)


class Narrator:
    """An Observer that logs and passes on to `inner`."""

    def __init__(self, inner: Observer) -> None:
        self._inner = inner

    def operation(self, connector: str, operation: str) -> OperationObserver:
        """Returns the observer of one operation."""
        inner = self._inner.operation(connector, operation)
        return _OperationNarrator(inner, connector, operation)

    def connector(self, connector: str) -> ConnectorObserver:
        """Returns the observer of one connector."""
        return _ConnectorNarrator(self._inner.connector(connector), connector)

    def feed(self, connector: str, feed: str) -> FeedObserver:
        """Returns the observer of one feed."""
        return _FeedNarrator(self._inner.feed(connector, feed), connector, feed)
