"""Names to handlers: the one table that a reload swaps whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias

from interlaced.core.failure import Failure, Reason
from interlaced.core.flights import Begin, Flight, Land
from interlaced.core.model import Call, Confirmation, Handler, Publication, Reply, RequestT, ResultT

__all__ = ["Counted", "Dispatch", "Route", "Tally"]

_Parts: TypeAlias = "tuple[Handler[Call, Reply], Begin | None, Tally]"


class Tally:
    """Counts what is under way on one connector, so that it is closed only when nothing is."""

    __slots__ = ("_idle", "count")

    def __init__(self) -> None:
        self.count = 0
        self._idle: asyncio.Event | None = None

    def end(self) -> None:
        """Counts one less; whoever has added one to `count` calls it."""
        self.count -= 1
        if self.count == 0 and self._idle is not None:
            self._idle.set()

    async def wait_idle(self) -> None:
        """Waits until nothing is under way."""
        while self.count:
            self._idle = asyncio.Event()
            await self._idle.wait()


@dataclass(frozen=True, slots=True)
class Route:
    """A handler of calls, and the short way to its answer where there is one."""

    handler: Handler[Call, Reply]
    begin: Begin | None = None

    def __call__(self, call: Call) -> Awaitable[Reply]:
        """Hands the call on."""
        return self.handler(call)


@dataclass(frozen=True, slots=True)
class Counted(Generic[RequestT, ResultT]):
    """A handler whose work is counted. Call it like any other; Dispatch counts calls itself, which
    saves each of them a coroutine."""

    handler: Handler[RequestT, ResultT]
    tally: Tally

    async def __call__(self, request: RequestT) -> ResultT:
        """Hands the request on."""
        self.tally.count += 1
        try:
            return await self.handler(request)
        finally:
            self.tally.end()


class Dispatch:
    """Finds the handler of a call or a publication and adds the operation's name to failures.

    It starts empty. `swap` replaces everything at once: what is under way ends on the handler on
    which it began.
    """

    __slots__ = ("_connectors", "_routes", "_sinks")

    def __init__(self) -> None:
        self._routes: Mapping[tuple[str, str], _Parts] = {}
        self._sinks: Mapping[str, Handler[Publication, Sequence[Confirmation]]] = {}
        self._connectors: frozenset[str] = frozenset()

    def swap(
        self,
        routes: Mapping[tuple[str, str], Handler[Call, Reply]],
        sinks: Mapping[str, Handler[Publication, Sequence[Confirmation]]],
        connectors: Collection[str] = (),
    ) -> None:
        """Serves these routes, by (connector, operation), and sinks, by `CONNECTOR.SINK`.

        `connectors` names those that exist although they have neither.
        """
        self._routes = {name: _parted(handler) for name, handler in routes.items()}
        self._sinks = dict(sinks)
        names = {*connectors, *(connector for connector, _ in routes)}
        self._connectors = frozenset(names | {sink.partition(".")[0] for sink in sinks})

    async def call(self, call: Call) -> Reply:
        """Performs the call; raises Failure with the operation and the attempts made."""
        route = self._routes.get((call.connector, call.operation))
        if route is None:
            name = f"{call.connector}.{call.operation}"
            raise self._unknown_route(call).but(operation=name, attempts="0")
        handler, begin, tally = route
        tally.count += 1
        try:
            if begin is not None and call.tried is None:
                reply = await _landed(begin, call)
                if reply is not None:
                    return reply
            return await handler(call)
        except Failure as failure:
            # Not bound to a name: whoever keeps the first failure would keep this frame, and by it
            # the second one with the whole RPC.
            raise failure.but(
                operation=f"{call.connector}.{call.operation}", attempts=str(call.effort.attempts)
            ) from failure.__cause__
        finally:
            tally.end()

    def begin(self, call: Call, land: Land) -> Flight | None:
        """Begins the call if nothing on its way waits (see `Begin`). One whose attempt failed goes
        on with `call`, and where a reload came between, on the new handler."""
        route = self._routes.get((call.connector, call.operation))
        if route is None:
            return None
        _, begin, tally = route
        flight = None if begin is None else begin(call, land)
        if flight is not None:
            tally.count += 1
            flight.tally = tally
        return flight

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        """Publishes; raises Failure only when none of the events can have been stored."""
        handler = self._sinks.get(publication.sink)
        if handler is None:
            unknown = Failure(Reason.UNKNOWN_FEED, "there is no sink of this name")
            raise unknown.but(operation=publication.sink, attempts="0")
        try:
            return await handler(publication)
        except Failure as failure:
            raise failure.but(
                operation=publication.sink, attempts=str(publication.effort.attempts)
            ) from failure.__cause__

    def _unknown_route(self, call: Call) -> Failure:
        """Says which of the two names is unknown."""
        if call.connector in self._connectors:
            return Failure(Reason.UNKNOWN_OPERATION, "the connector has no operation of this name")
        return Failure(Reason.UNKNOWN_CONNECTOR, "there is no connector of this name")


async def _landed(begin: Begin, call: Call) -> Reply | None:
    """Waits for a call in flight; None if it did not begin, or has to go on in a coroutine."""
    waiter: asyncio.Future[Reply | None] = asyncio.get_running_loop().create_future()

    def land(_: Flight, result: Any) -> None:
        if not waiter.done():
            waiter.set_result(result)

    flight = begin(call, land)
    if flight is None:
        return None
    timer = flight.watch()
    try:
        return await waiter
    except asyncio.CancelledError:
        flight.cancel()
        raise
    finally:
        timer.cancel()


def _parted(handler: Handler[Call, Reply]) -> _Parts:
    """Takes a counted handler and a route apart; what is not counted is counted for nobody."""
    if isinstance(handler, Counted):
        inner, begin, _ = _parted(handler.handler)
        return inner, begin, handler.tally
    if isinstance(handler, Route):
        return handler.handler, handler.begin, Tally()
    return handler, None, Tally()
