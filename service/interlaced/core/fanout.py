"""Many calls under one deadline, and nothing left behind."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeAlias

from interlaced.core.branches import Plan, Rule
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.flights import BeginFor, Flight, Flights
from interlaced.core.model import Argument, Call, Effort, Payload, Reply
from interlaced.core.path import Path
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks

__all__ = ["Decision", "Extract", "FanOut", "Outcome"]

Extract: TypeAlias = Callable[[Payload, Sequence[Path]], Sequence[Argument | None]]
"""Finds arguments in a reply's payload, None where a path leads to none; ValueError says that the
payload cannot be looked into."""

_MARGIN = 0.01
_SAME_TIME = 0.001


@dataclass(slots=True)
class Outcome:
    """What became of a branch; `ended` is a time of the Clock."""

    branch: str
    result: Reply | Failure
    effort: Effort
    ended: float

    @property
    def is_ok(self) -> bool:
        """Whether it has a reply."""
        return isinstance(self.result, Reply)


class Decision(enum.StrEnum):
    """How a fan-out ended."""

    MET = "met"
    NOT_MET = "not_met"
    OUT_OF_TIME = "out_of_time"
    """Not met, and time decided it."""


class FanOut:
    """Runs a plan, whose calls it takes over: a flight per branch, or a task where something holds
    it up, inside `async with`; after it nothing of it is alive.

    `next` yields every outcome as it lands. Once the policy is decided, what still runs is
    cancelled, and its outcome says so. `deadline` is a time of the Clock; branches end a moment
    before it, so that their own words are heard.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Clock,
        call: Callable[[Call], Coroutine[Any, Any, Reply]],
        extract: Extract,
        deadline: float,
        begin_for: BeginFor | None = None,
    ) -> None:
        """`call` performs a call in a task, `begin_for` makes what begins it in flight."""
        self._plan = plan
        self._clock = clock
        self._call = call
        self._begin = None if begin_for is None else begin_for(self._came)
        self._extract = extract
        self._deadline = deadline
        self._branch_deadline = deadline - min(_MARGIN, max(0.0, (deadline - clock.now()) / 20))
        self._outcomes: list[Outcome | None] = [None] * len(plan.branches)
        self._landed: deque[Outcome] = deque()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._flights = Flights(clock)
        self._begun: set[int] = set()
        self._started: set[int] = set()
        self._missing = len(plan.branches)
        # Counted as outcomes land; looking through all branches each time would be quadratic.
        self._alive = len(plan.counted)
        self._succeeded = 0
        self._required_left = len(plan.required)
        self._has_lost_required = False
        # While none has failed, and fewer have succeeded than decide it, nothing is decided.
        self._needed = math.inf if plan.policy.rule is Rule.BEST_EFFORT else plan.needed
        self._has_failed = False
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        # Whoever waits is woken when so few outcomes, or fewer, are missing.
        self._wakes_at = self._missing
        self.decision: Decision | None = None
        self._is_time_up = False

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """One per branch, in the order of the request, once `next` has returned None."""
        return tuple([outcome for outcome in self._outcomes if outcome is not None])

    async def __aenter__(self) -> Self:
        # Whatever goes wrong with a branch's end, the fan-out has one.
        self._timer = self._clock.call_at(self._deadline, self._run_out)
        for place, sources in enumerate(self._plan.sources):
            if not sources:
                self._start(place, {})
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.decision is None:
            # The caller left; decided first, so that nothing that lands starts another branch.
            self._close(Decision.NOT_MET)
        if self._tasks:
            await end_tasks(tuple(self._tasks.values()))

    async def next(self) -> Outcome | None:
        """Returns the next outcome in the order in which they land, None behind the last."""
        while not self._landed:
            if self._missing == 0:
                return None
            await self._wait_for(self._missing)
        return self._landed.popleft()

    async def finish(self) -> tuple[Outcome, ...]:
        """Waits for all outcomes and returns them in the order of the request."""
        while self._missing:
            await self._wait_for(0)
        self._landed.clear()
        return self.outcomes

    async def _wait_for(self, missing: int) -> None:
        """Waits until so few outcomes, or fewer, are missing, or the policy is decided."""
        self._wakes_at = missing
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        """Wakes whoever waits."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _start(self, place: int, arguments: Mapping[str, Argument]) -> None:
        now, branch = self._clock.now(), self._plan.branches[place]
        call = branch.call
        if arguments:
            call = replace(call, parameters={**call.parameters, **arguments})
        until = now + branch.timeout
        call.begin(now, until if until < self._branch_deadline else self._branch_deadline)
        self._started.add(place)
        flight = None if self._begin is None else self._begin(call)
        if flight is None:
            self._tasks[place] = self._loop.create_task(self._run(place, call))
        else:
            self._flights.add(place, flight)

    def _came(self, flight: Flight, result: Reply | Failure | None) -> None:
        """Settles a branch that was in flight, or lets a task go on with it."""
        place = flight.place
        self._flights.remove(place)
        if result is None:
            self._tasks[place] = self._loop.create_task(self._run(place, flight.call))
        else:
            self._land(place, result)

    async def _run(self, place: int, call: Call) -> None:
        """Performs a branch and settles it. One that is cancelled before it began never comes here:
        `_close` settles those."""
        self._begun.add(place)
        try:
            reply = await self._call(call)
        except Failure as failure:
            self._settle(place, failure)
        except asyncio.CancelledError:
            self._settle(place, self._cut_off(call.effort))
            raise
        except Exception as error:  # noqa: BLE001  # a bug must end its branch, not the fan-out
            self._settle(place, _bug(error))
        else:
            self._settle(place, reply)

    def _cut(self, place: int) -> None:
        """Records a branch that has no task, and gets no further."""
        self._record(place, self._cut_off(self._plan.branches[place].call.effort))

    def _settle(self, place: int, result: Reply | Failure) -> None:
        self._tasks.pop(place, None)
        self._land(place, result)

    def _cut_off(self, effort: Effort) -> Failure:
        """Why a branch did not get to its end."""
        if self._is_time_up and effort.is_attempting:
            return Failure(
                Reason.UPSTREAM_TIMEOUT, "the upstream used the time up", reached=effort.reached
            )
        if self._is_time_up:
            return Failure(Reason.DEADLINE_SPENT, "the time was up before the call was done")
        return Failure(
            Reason.CALLER_CANCELLED,
            "cancelled: the policy was decided without this branch",
            reached=effort.reached,
            decided="policy",
        )

    def _land(self, place: int, result: Reply | Failure) -> None:
        """Records an outcome and everything that follows from it."""
        if self._outcomes[place] is None and not self._plan.dependents[place]:
            self._record(place, result)
        else:
            self._land_all(place, result)
        if self._missing == 0 or self._succeeded >= self._needed or self._has_failed:
            self._decide()
        if self._missing <= self._wakes_at:
            self._wake()

    def _land_all(self, place: int, result: Reply | Failure) -> None:
        """Records an outcome, and those of branches that can never begin without it."""
        work: deque[tuple[int, Reply | Failure]] = deque(((place, result),))
        while work:
            place, result = work.popleft()
            if self._outcomes[place] is not None:
                continue
            self._record(place, result)
            if self.decision is None:
                for dependent in self._plan.dependents[place]:
                    failure = self._advance(dependent)
                    if failure is not None:
                        work.append((dependent, failure))

    def _record(self, place: int, result: Reply | Failure) -> None:
        branch = self._plan.branches[place]
        now, plan, effort = self._clock.now(), self._plan, branch.call.effort
        if isinstance(result, Failure):
            if place not in self._started:
                effort = replace(effort, started=now)
            if not result.operation:
                name = f"{branch.call.connector}.{branch.call.operation}"
                result = result.but(operation=name, attempts=str(effort.attempts))
            self._has_failed = True
            self._alive -= place in plan.counted
            self._has_lost_required |= place in plan.required
        else:
            self._succeeded += place in plan.counted
            self._required_left -= place in plan.required
        outcome = self._outcomes[place] = Outcome(branch.name, result, effort, now)
        self._landed.append(outcome)
        self._missing -= 1

    def _advance(self, place: int) -> Failure | None:
        """Starts a dependent branch if all it waits for is there; returns why it never can."""
        arguments: dict[str, Argument] = {}
        for source in sorted(self._plan.sources[place]):
            outcome = self._outcomes[source]
            if outcome is None:
                return None
            if isinstance(outcome.result, Failure):
                return _dependency_failed(
                    "a branch that this one takes arguments from failed", outcome
                )
            found = self._arguments(place, outcome, outcome.result)
            if found is None:
                return _dependency_failed("the other branch's reply lacks the argument", outcome)
            arguments |= found
        self._start(place, arguments)
        return None

    def _arguments(self, place: int, source: Outcome, reply: Reply) -> dict[str, Argument] | None:
        wanted = [
            argument
            for argument in self._plan.branches[place].arguments_from
            if argument.branch == source.branch
        ]
        try:
            found = self._extract(reply.payload, [argument.path for argument in wanted])
        except ValueError:
            return None
        arguments: dict[str, Argument] = {}
        for argument, value in zip(wanted, found, strict=True):
            if value is None:
                return None
            arguments[argument.parameter] = value
        return arguments

    def _decide(self) -> None:
        """Decides as early as the outcomes allow, and ends what is then in vain."""
        if self.decision is not None:
            return
        if self._is_unmeetable():
            # A branch that ended with the common time was beaten by time, whatever it says.
            in_time = self._clock.now() < self._branch_deadline - _SAME_TIME
            self._close(Decision.NOT_MET if in_time else Decision.OUT_OF_TIME)
        elif self._is_met():
            self._close(Decision.MET)

    def _is_unmeetable(self) -> bool:
        return self._has_lost_required or self._alive < self._plan.needed

    def _is_met(self) -> bool:
        if self._missing == 0:
            return True
        if self._plan.policy.rule is Rule.BEST_EFFORT:
            return False
        return self._succeeded >= self._plan.needed and self._required_left == 0

    def _run_out(self) -> None:
        """The time is up."""
        if self.decision is not None:
            return
        self._is_time_up = True
        is_met = self._plan.policy.rule is Rule.BEST_EFFORT and self._required_left == 0
        self._close(Decision.MET if is_met else Decision.OUT_OF_TIME)

    def _close(self, decision: Decision) -> None:
        """Cancels what runs, and lands what never began."""
        self.decision = decision
        self._begin = None  # it lands its flights here, and so it holds this very object
        self._timer.cancel()
        self._flights.cancel()
        for place in range(len(self._outcomes)) if self._missing else ():
            if self._outcomes[place] is None and place not in self._begun:
                self._cut(place)
        for task in self._tasks.values():
            task.cancel()
        if self._missing <= self._wakes_at:
            self._wake()


def _bug(error: Exception) -> Failure:
    failure = Failure(Reason.INTERNAL_ERROR, "an internal error; the log has the details")
    failure.__cause__ = error
    return failure


def _dependency_failed(message: str, source: Outcome) -> Failure:
    return Failure(
        Reason.DEPENDENCY_FAILED, message, reached=Reached.NOT_SENT, branch=source.branch
    )
