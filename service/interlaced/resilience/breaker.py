"""The circuit breaker: leaves an upstream alone that does not answer, and asks carefully later."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from interlaced.core.failure import Failure, Kind, Reached, Reason
from interlaced.core.model import Request
from interlaced.core.ports import Clock, ConnectorObserver
from interlaced.resilience.window import Window

__all__ = ["Breaker", "BreakerRules", "BreakerState", "Verdict", "judge", "judge_cancel"]

_COUNTED = frozenset({Kind.UNAVAILABLE, Kind.TIMEOUT, Kind.PROTOCOL})
_OURS = frozenset({Reason.DEADLINE_SPENT, Reason.BREAKER_OPEN, Reason.DRAINING})
_IMPATIENT = 0.1
"""A deadline that ran out sooner than this many seconds says more about the caller."""
_PROBE_TAKES = 1.0
"""When a caller that finds a probe under way is told to come back, in seconds, at the latest."""


class BreakerState(enum.StrEnum):
    """What the breaker does with calls."""

    CLOSED = "closed"
    """Lets them through."""
    OPEN = "open"
    """Refuses them at once."""
    HALF_OPEN = "half_open"
    """Lets only its probes through."""


class Verdict(enum.Enum):
    """What an attempt says about the health of the upstream."""

    GOOD = "good"
    BAD = "bad"
    NOTHING = "nothing"


# Python 3.11 takes 76 ns to find an enum's member: these are asked for with every call.
_CLOSED: Final = BreakerState.CLOSED
_HALF_OPEN: Final = BreakerState.HALF_OPEN
_GOOD: Final = Verdict.GOOD


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When it opens: `share` of at least `calls` failed within `window` seconds, or `consecutive`
    in a row. How it closes: after `open` seconds, when `probes` probes went well."""

    window: float
    share: float
    calls: int
    consecutive: int
    open: float
    probes: int


def judge(failure: Failure) -> Verdict:
    """Tells what a failure says about the upstream: BAD if it was not able to answer properly,
    GOOD if it answered, even with a no, NOTHING if the cause is on our side."""
    if failure.kind in _COUNTED and failure.reason not in _OURS:
        return Verdict.BAD
    return Verdict.GOOD if failure.reached is Reached.REPLIED else Verdict.NOTHING


class Breaker:
    """The state shared by all callers of one upstream. It keeps no task and no timer."""

    __slots__ = (
        "_clock",
        "_good_probes",
        "_in_a_row",
        "_observer",
        "_probe_at",
        "_probing",
        "_rules",
        "_window",
        "era",
        "state",
        "state_text",
    )

    def __init__(self, rules: BreakerRules, clock: Clock, observer: ConnectorObserver) -> None:
        self._rules = rules
        self._clock = clock
        self._observer = observer
        self._window = Window(rules.window)
        self.state = BreakerState.CLOSED
        self.state_text = BreakerState.CLOSED.value
        self.era = 0
        self._in_a_row = self._probing = self._good_probes = 0
        self._probe_at = 0.0

    def enter(self) -> int:
        """Lets an attempt through and returns its ticket, which `leave` wants back; raises
        BREAKER_OPEN, with the time to the next probe as `retry_after`."""
        if self.state is _CLOSED:
            return self.era  # as a flight does, which asks for nothing else
        if self.state is BreakerState.OPEN:
            if self._clock.now() < self._probe_at:
                raise self._failure(self._probe_at - self._clock.now())
            self._become(BreakerState.HALF_OPEN, "time for a probe")
        if self._probing + self._good_probes >= self._rules.probes:
            raise self._failure(min(_PROBE_TAKES, self._rules.open))
        self._probing += 1
        return self.era

    def leave(self, ticket: int, verdict: Verdict) -> None:
        """Takes what an attempt showed. One that began before the state changed last says nothing
        about now and is ignored."""
        if ticket != self.era:
            return
        if self.state is _HALF_OPEN:
            self._leave_probe(verdict)
        elif verdict is _GOOD:
            self._in_a_row = 0
            self._window.count(self._clock.now())
        elif verdict is Verdict.BAD:
            self._count_bad(self._clock.now())

    def _leave_probe(self, verdict: Verdict) -> None:
        self._probing -= 1
        if verdict is Verdict.BAD:
            self._trip("a probe failed")
        elif verdict is Verdict.GOOD:
            self._good_probes += 1
            if self._good_probes >= self._rules.probes:
                self._become(BreakerState.CLOSED, "the probes went well")

    def _count_bad(self, now: float) -> None:
        window, rules = self._window, self._rules
        window.count(now)
        window.mark(now)
        window.advance(now)
        self._in_a_row += 1
        if self._in_a_row >= rules.consecutive:
            self._trip(f"{self._in_a_row} failures in a row")
        elif window.total >= rules.calls and window.marked >= rules.share * window.total:
            self._trip(f"{window.marked} of {window.total} calls failed")

    def _trip(self, cause: str) -> None:
        self._probe_at = self._clock.now() + self._rules.open
        self._become(BreakerState.OPEN, cause)

    def _become(self, state: BreakerState, cause: str) -> None:
        self.state = state
        self.state_text = state.value  # looking an enum's value up takes longer than the rest
        self.era += 1
        self._in_a_row = self._probing = self._good_probes = 0
        self._window.clear()
        self._observer.breaker_changed(state.value, cause)

    def _failure(self, retry_after: float) -> Failure:
        return Failure(
            Reason.BREAKER_OPEN,
            "the upstream has failed too often and is left alone for now",
            retry_after=retry_after,
        )


def judge_cancel(request: Request, since: float, clock: Clock) -> Verdict:
    """Tells the deadline's cancel from a caller's: the first one is a timeout of the upstream,
    unless it came so soon that no upstream could have answered."""
    now = clock.now()
    has_timed_out = request.effort.is_attempting and now >= request.deadline
    return Verdict.BAD if has_timed_out and now - since >= _IMPATIENT else Verdict.NOTHING
