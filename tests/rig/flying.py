"""Calls on the short way: a scripted upstream that is asked without a task of the caller's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from interlaced.core.dispatch import Route
from interlaced.core.failure import Failure, Reason
from interlaced.core.flights import BeginFor, Flight, Land
from interlaced.core.model import Call, Handler, Reply
from interlaced.core.ports import Exchange, QuickAttempt, TimerHandle


class _Asking:
    """An upstream's attempt under way, whose end is told and not awaited."""

    def __init__(self, attempt: asyncio.Task[Reply], receive: Callable[[Any], None]) -> None:
        self.attempt = attempt
        self.receive = receive
        attempt.add_done_callback(self.end)

    def end(self, attempt: asyncio.Task[Reply]) -> None:
        """Tells what came."""
        if not attempt.cancelled():
            self.receive(attempt.exception() or attempt.result())

    def drop(self) -> None:
        """Ends it."""
        self.attempt.cancel()


def quick(attempt: Handler[Call, Reply]) -> QuickAttempt:
    """Makes the two halves of an attempt; its task is the upstream's."""

    async def answer(call: Call) -> Reply:
        return await attempt(call)

    def ask(call: Call, receive: Callable[[Any], None]) -> Exchange | None:
        return _Asking(asyncio.get_running_loop().create_task(answer(call)), receive)

    def read(answer: Any, _call: Call) -> Reply:
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Reply)
        return answer

    return QuickAttempt(ask, read)


def flying(route: Handler[Call, Reply]) -> Handler[Call, Reply]:
    """Returns what makes a call in flight first, and then on the long way."""
    assert isinstance(route, Route)
    assert route.begin is not None
    begin = route.begin

    async def run(call: Call) -> Reply:
        landed: asyncio.Future[Reply | Failure | None]
        landed = asyncio.get_running_loop().create_future()
        flight = begin(call, lambda _, result: landed.set_result(result))
        if flight is None:
            return await route(call)
        timer = flight.watch()
        try:
            reply = await landed
        except asyncio.CancelledError:
            flight.cancel()
            raise
        finally:
            timer.cancel()
        return reply if isinstance(reply, Reply) else await route(call)

    return run


class ScriptedFlight:
    """A flight whose answer comes from a coroutine."""

    def __init__(self, attempt: asyncio.Task[Reply], call: Call, land: Land) -> None:
        self.call, self.until, self.tally, self.place = call, call.deadline, None, 0
        self._attempt, self._land = attempt, land
        self._is_over = False
        attempt.add_done_callback(self._end)

    def _end(self, attempt: asyncio.Task[Reply]) -> None:
        if not self._is_over:
            self._come(attempt.exception() or attempt.result())

    def _come(self, result: Reply | BaseException) -> None:
        self._is_over = True
        if isinstance(result, Reply):
            self._land(self, result)
        else:
            assert isinstance(result, Exception)
            self.call.tried = result
            self._land(self, None)

    def watch(self) -> TimerHandle:
        """Is for those who have no timer of their own, as a fan-out has."""
        raise NotImplementedError

    def expire(self) -> None:
        """Ends it in time."""
        if not self._is_over:
            self._attempt.cancel()
            self._come(Failure(Reason.UPSTREAM_TIMEOUT, "late"))

    def cancel(self) -> None:
        """Ends it."""
        self._is_over = True
        self._attempt.cancel()


Perform: TypeAlias = Callable[[Call], Coroutine[Any, Any, Reply]]


def in_flight(perform: Perform) -> tuple[Perform, BeginFor]:
    """Returns what goes on with a call whose flight failed, and what begins calls in flight."""

    def begin_for(land: Land) -> Callable[[Call], Flight]:
        def begin(call: Call) -> Flight:
            return ScriptedFlight(asyncio.get_running_loop().create_task(perform(call)), call, land)

        return begin

    async def go_on(call: Call) -> Reply:
        tried, call.tried = call.tried, None
        assert tried is not None
        raise tried

    return go_on, begin_for
