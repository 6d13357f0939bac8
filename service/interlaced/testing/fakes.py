"""Fakes that remember: an Observer that records what it is told, and Tools made of fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from interlaced.core.clock import LoopClock
from interlaced.core.failure import Failure
from interlaced.core.model import GapWhy
from interlaced.core.ports import Clock, Tools

__all__ = [
    "FakeConnectorObserver",
    "FakeFeedObserver",
    "FakeObserver",
    "FakeOperationObserver",
    "FakeRpcObserver",
    "make_tools",
]


@dataclass(slots=True)
class FakeOperationObserver:
    """Records what happened to the calls of one operation."""

    attempts: list[tuple[float, Failure | None]] = field(default_factory=list)
    retries: list[tuple[float, Failure]] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    rejections: list[tuple[str, Failure]] = field(default_factory=list)

    def attempted(self, seconds: float, failure: Failure | None) -> None:
        """Records an attempt."""
        self.attempts.append((seconds, failure))

    def retry_scheduled(self, wait: float, failure: Failure) -> None:
        """Records a retry."""
        self.retries.append((wait, failure))

    def waited(self, policy: str, seconds: float) -> None:
        """Records a wait."""
        self.waits.append((policy, seconds))

    def rejected(self, policy: str, failure: Failure) -> None:
        """Records a refusal."""
        self.rejections.append((policy, failure))


@dataclass(slots=True)
class FakeConnectorObserver:
    """Records what happened to one connector."""

    breaker_changes: list[tuple[str, str]] = field(default_factory=list)
    bulkhead: tuple[Callable[[], int], Callable[[], int]] | None = None
    budget_changes: list[float] = field(default_factory=list)

    def breaker_changed(self, state: str, cause: str) -> None:
        """Records a change of the breaker."""
        self.breaker_changes.append((state, cause))

    def watch_bulkhead(self, in_flight: Callable[[], int], queued: Callable[[], int]) -> None:
        """Keeps what tells how full the bulkhead is."""
        self.bulkhead = (in_flight, queued)

    def budget_changed(self, tokens: float) -> None:
        """Records a change of the retry budget."""
        self.budget_changes.append(tokens)


@dataclass(slots=True)
class FakeFeedObserver:
    """Records what happened to one feed."""

    connections: int = 0
    disconnections: list[tuple[Failure | None, float]] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    gaps: list[GapWhy] = field(default_factory=list)
    subscribers: list[int] = field(default_factory=list)
    drops: list[tuple[str, int]] = field(default_factory=list)
    settlements: list[str] = field(default_factory=list)

    def connected(self) -> None:
        """Counts a connection."""
        self.connections += 1

    def disconnected(self, failure: Failure | None, retry_in: float) -> None:
        """Records a lost connection."""
        self.disconnections.append((failure, retry_in))

    def received(self, events: int) -> None:
        """Records how many events came in."""
        self.batches.append(events)

    def gap(self, why: GapWhy) -> None:
        """Records a gap."""
        self.gaps.append(why)

    def subscribers_changed(self, subscribers: int) -> None:
        """Records how many listen."""
        self.subscribers.append(subscribers)

    def dropped(self, policy: str, events: int) -> None:
        """Records dropped events."""
        self.drops.append((policy, events))

    def settled(self, verdict: str) -> None:
        """Records a settlement."""
        self.settlements.append(verdict)


@dataclass(slots=True)
class FakeRpcObserver:
    """Records what happened to RPCs."""

    begun: list[str] = field(default_factory=list)
    ended: list[tuple[str, str, str, float]] = field(default_factory=list)

    def started(self, method: str) -> None:
        """Records the start of an RPC."""
        self.begun.append(method)

    def finished(self, method: str, code: str, reason: str, seconds: float) -> None:
        """Records the end of an RPC."""
        self.ended.append((method, code, reason, seconds))


class FakeObserver:
    """Hands out recording observers, the same one for the same name, and keeps them in
    `operations`, `connectors` and `feeds`."""

    def __init__(self) -> None:
        self.operations: dict[tuple[str, str], FakeOperationObserver] = {}
        self.connectors: dict[str, FakeConnectorObserver] = {}
        self.feeds: dict[tuple[str, str], FakeFeedObserver] = {}

    def operation(self, connector: str, operation: str) -> FakeOperationObserver:
        """Returns the observer of one operation or sink."""
        return self.operations.setdefault((connector, operation), FakeOperationObserver())

    def connector(self, connector: str) -> FakeConnectorObserver:
        """Returns the observer of one connector."""
        return self.connectors.setdefault(connector, FakeConnectorObserver())

    def feed(self, connector: str, feed: str) -> FakeFeedObserver:
        """Returns the observer of one feed."""
        return self.feeds.setdefault((connector, feed), FakeFeedObserver())


def make_tools(clock: Clock | None = None, seed: int = 1) -> Tools:
    """Makes Tools for a test: this clock or the loop's, seeded chance, a FakeObserver, and a
    registry of embedded brokers that no other test shares."""
    return Tools(
        clock=clock or LoopClock(),
        random=Random(seed),  # noqa: S311  # a test repeats what it draws
        observer=FakeObserver(),
        shared={"brokers": {}},
    )
