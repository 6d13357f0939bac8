"""The short way of a call: every policy, and no task, where nothing holds the call up.

Nearly always a call finds its breaker closed, a permit and a place free, and a connection idle.
Then everything on its way in is done in one function, and everything on its way out in another,
when the answer comes; a task with its layers of coroutines costs as much again. Whatever is not so
simple is left to that task (see `whole_call` and `attempt`), from the start or behind a first
attempt that failed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from interlaced.core.dispatch import Tally
from interlaced.core.failure import Failure
from interlaced.core.flights import Begin, Land
from interlaced.core.model import Call, Reply
from interlaced.core.ports import Exchange, QuickAttempt, TimerHandle
from interlaced.resilience.account import cancelled, settle_failed, tell_failed, too_slow
from interlaced.resilience.attempt import Before, Timing
from interlaced.resilience.breaker import Breaker, BreakerState, Verdict, judge, judge_cancel
from interlaced.resilience.deadline import deadline_failure
from interlaced.resilience.gates import Gate, no_op
from interlaced.resilience.whole_call import Terms
from interlaced.resilience.wiring import Wiring

__all__ = ["beginning"]

_CLOSED: Final = BreakerState.CLOSED
_GOOD: Final = Verdict.GOOD


@dataclass(frozen=True, slots=True)
class _Course:
    """What the flights of one operation share."""

    read: Callable[[Any, Call], Reply]
    now: Callable[[], float]
    attempted: Callable[[float, Failure | None], None]
    wiring: Wiring
    learn: Callable[[Failure], None]
    breaker: Breaker | None
    exits: Sequence[Callable[[], None]]
    """Gives back what the call entered, the innermost first."""


def beginning(
    quick: QuickAttempt, wiring: Wiring, *, terms: Terms, before: Before, timing: Timing
) -> Begin:
    """Returns what begins a call under the same policies as `whole_call` and `attempt`, in their
    order; it declines where one of them would wait, refuse, or note a step for the caller."""
    now, seconds, breaker, ask = wiring.clock.now, terms.seconds, before.breaker, quick.ask
    timeout = math.inf if timing.timeout is None else timing.timeout
    # Twice at the same gate in the same step of the loop finds the same.
    gates: tuple[Gate, ...] = (terms.admission, *dict.fromkeys(before.gates))
    revokes = tuple(gate.revoke for gate in gates)
    try_enter = _entering(gates, revokes)
    add_call = _uncounted if terms.plan is None else terms.plan.budget.add_call
    course = _Course(
        read=quick.read,
        now=now,
        attempted=wiring.observer.attempted,
        wiring=wiring,
        learn=timing.learn,
        breaker=breaker,
        exits=tuple(gate.leave for gate in reversed(gates) if gate.leave is not no_op),
    )

    def begin(call: Call, land: Land) -> _Flight | None:
        effort, began, deadline = call.effort, now(), call.deadline
        if began + seconds < deadline:
            deadline = call.deadline = began + seconds
        is_closed = breaker is None or breaker.state is _CLOSED
        if deadline <= began or effort.ledger is not None or not is_closed or not try_enter():
            return None
        until = began + timeout if began + timeout < deadline else deadline
        flight = _Flight(course, call, land, began, until)
        try:
            flight.exchange = ask(call, flight.receive)
        except Exception:  # noqa: BLE001  # a bug: the attempt meets it as well, and tells it
            flight.exchange = None
        if flight.exchange is None:
            for revoke in revokes:
                revoke()
            return None
        effort.attempts += 1
        effort.is_attempting = True
        add_call(began)
        return flight

    return begin


def _entering(gates: Sequence[Gate], revokes: Sequence[Callable[[], None]]) -> Callable[[], bool]:
    """Returns what lets a call in at every gate, or at none."""
    entries = tuple(gate.try_enter for gate in gates)

    def try_enter() -> bool:
        for enter in entries:
            if not enter():
                for revoke in revokes[: entries.index(enter)]:
                    revoke()
                return False
        return True

    return try_enter


def _uncounted(_: float) -> None:
    """Where nothing is tried again, calls fill no budget."""


class _Flight:
    """One call under way; see the port."""

    __slots__ = (
        "_began",
        "_course",
        "_land",
        "_ticket",
        "call",
        "exchange",
        "place",
        "tally",
        "until",
    )

    def __init__(self, course: _Course, call: Call, land: Land, began: float, until: float) -> None:
        self._course = course
        self.call = call
        self._land = land
        self._began = began
        self._ticket = 0 if course.breaker is None else course.breaker.era
        self.until = until
        self.exchange: Exchange | None = None
        """What is under way; None at its end."""
        self.tally: Tally | None = None
        self.place = 0

    def receive(self, answer: object) -> None:
        """Takes what came, and lands the call with its reply or sends it on its further way."""
        if self.exchange is None:
            return
        self.exchange = None
        course, call = self._course, self.call
        try:
            reply = course.read(answer, call)
        except Failure as failure:
            self._fail(failure)
        except Exception as error:  # noqa: BLE001  # a bug ends its call, not the connection
            self._go_on(error, Verdict.NOTHING)
        else:
            call.effort.is_attempting = False
            course.attempted(course.now() - self._began, None)
            self._leave(_GOOD)
            self._land(self, reply)

    def watch(self) -> TimerHandle:
        """Sets a timer that ends it in time."""
        return self._course.wiring.clock.call_at(self.until, self.expire)

    def expire(self) -> None:
        """Ends it: the attempt's own time is over, or the whole call's."""
        call, wiring = self.call, self._course.wiring
        if not self._drop():
            return
        if self.until < call.deadline:
            self._fail(too_slow(call))
            return
        failure = deadline_failure(call)
        tell_failed(call, wiring, self._began, failure)
        self._go_on(failure, judge_cancel(call, self._began, wiring.clock))

    def cancel(self) -> None:
        """Ends it for a caller who left; it stays `is_attempting`, which tells why."""
        call, wiring = self.call, self._course.wiring
        if not self._drop():
            return
        tell_failed(call, wiring, self._began, cancelled(call, wiring.clock.now()))
        self._leave(judge_cancel(call, self._began, wiring.clock))

    def _drop(self) -> bool:
        """Drops what is under way; False if nothing is any more."""
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return False
        exchange.drop()
        return True

    def _fail(self, failure: Failure) -> None:
        course = self._course
        settle_failed(self.call, course.wiring, self._began, failure)
        course.learn(failure)
        self._go_on(failure, judge(failure))

    def _go_on(self, tried: Exception, verdict: Verdict) -> None:
        """Leaves the rest of the way to a task."""
        self._leave(verdict)
        self.call.tried = tried
        self._land(self, None)

    def _leave(self, verdict: Verdict) -> None:
        """Gives everything back."""
        course = self._course
        if course.breaker is not None:
            course.breaker.leave(self._ticket, verdict)
        for leave in course.exits:
            leave()
        if self.tally is not None:
            self.tally.end()
