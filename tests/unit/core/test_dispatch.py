from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

import pytest

from interlaced.core.dispatch import Counted, Dispatch, Route, Tally
from interlaced.core.failure import Failure, Reason
from interlaced.core.flights import Flight, Land
from interlaced.core.model import Call, Confirmation, Effort, Payload, Publication, Reply
from interlaced.core.ports import TimerHandle
from interlaced.testing.clock import VirtualClock


def a_call(connector: str, operation: str) -> Call:
    return Call(deadline=1e9, effort=Effort(0.0), connector=connector, operation=operation)


async def echo(_call: Call) -> Reply:
    return Reply(Payload("text/plain", b"hello"))


async def fail(call: Call) -> Reply:
    call.effort.attempts = 3
    raise Failure(Reason.UPSTREAM_FAILED, "broken") from ValueError("why")


async def store(publication: Publication) -> Sequence[Confirmation]:
    return [Confirmation() for _ in publication.events]


async def refuse(_publication: Publication) -> Sequence[Confirmation]:
    raise Failure(Reason.STORE_FULL, "full")


async def reason_of(dispatch: Dispatch, connector: str, operation: str) -> Reason:
    with pytest.raises(Failure) as caught:
        await dispatch.call(a_call(connector, operation))
    return caught.value.reason


async def test_it_tells_an_unknown_connector_from_an_unknown_operation() -> None:
    dispatch = Dispatch()
    assert await reason_of(dispatch, "shop", "Get") is Reason.UNKNOWN_CONNECTOR
    dispatch.swap({("shop", "Get"): echo}, {"bus.Orders": store})
    assert await reason_of(dispatch, "shop", "Put") is Reason.UNKNOWN_OPERATION
    assert await reason_of(dispatch, "bus", "Put") is Reason.UNKNOWN_OPERATION
    assert await reason_of(dispatch, "nobody", "Get") is Reason.UNKNOWN_CONNECTOR
    assert (await dispatch.call(a_call("shop", "Get"))).payload.data == b"hello"
    dispatch.swap({}, {}, ["ticker"])
    assert await reason_of(dispatch, "ticker", "Get") is Reason.UNKNOWN_OPERATION


async def test_what_is_unknown_is_named_as_it_was_asked_for() -> None:
    with pytest.raises(Failure) as caught:
        await Dispatch().call(a_call("shop", "Get"))
    assert caught.value.operation == "shop.Get"
    assert caught.value.context["attempts"] == "0"


async def test_failures_learn_the_operation_and_the_attempts_and_keep_their_cause() -> None:
    dispatch = Dispatch()
    dispatch.swap({("shop", "Get"): fail}, {})
    with pytest.raises(Failure) as caught:
        await dispatch.call(a_call("shop", "Get"))
    assert caught.value.operation == "shop.Get"
    assert caught.value.context["attempts"] == "3"
    assert isinstance(caught.value.__cause__, ValueError)


async def test_sinks_are_found_by_their_full_name() -> None:
    dispatch = Dispatch()
    dispatch.swap({}, {"bus.Orders": store, "bus.Full": refuse})
    publication = Publication(deadline=1e9, effort=Effort(0.0), sink="bus.Orders", events=())
    assert await dispatch.publish(publication) == []
    publication.sink = "bus.Full"
    with pytest.raises(Failure) as caught:
        await dispatch.publish(publication)
    assert (caught.value.operation, caught.value.reason) == ("bus.Full", Reason.STORE_FULL)
    publication.sink = "bus.Nothing"
    with pytest.raises(Failure) as caught:
        await dispatch.publish(publication)
    assert caught.value.reason is Reason.UNKNOWN_FEED


async def test_a_swap_leaves_what_is_under_way_on_its_handler() -> None:
    dispatch = Dispatch()
    routes = {("shop", "Get"): echo}
    dispatch.swap(routes, {})
    routes.clear()
    under_way = dispatch.call(a_call("shop", "Get"))
    assert (await under_way).payload.data == b"hello"


async def test_a_failure_that_an_observer_keeps_does_not_lead_to_the_one_that_went_out() -> None:
    kept: list[Failure] = []

    async def refuse_and_keep(_call: Call) -> Reply:
        kept.append(Failure(Reason.OVERLOADED, "busy"))
        raise kept[0]

    dispatch = Dispatch()
    dispatch.swap({("shop", "Get"): refuse_and_keep}, {})
    assert await reason_of(dispatch, "shop", "Get") is Reason.OVERLOADED
    frames = [frame for frame, _ in traceback.walk_tb(kept[0].__traceback__)]
    assert frames
    held = [value for frame in frames for value in frame.f_locals.values()]
    assert not any(isinstance(value, Failure) for value in held)


@pytest.mark.parametrize("is_dispatched", [True, False])
def test_a_tally_counts_failures_as_ends(is_dispatched: bool) -> None:
    clock, tally, dispatch = VirtualClock(), Tally(), Dispatch()

    async def fail_later(_call: Call) -> Reply:
        await clock.sleep(1)
        raise Failure(Reason.UPSTREAM_CONNECT, "cannot be reached")

    counted = Counted(fail_later, tally)
    dispatch.swap({("shop", "Get"): counted}, {})

    async def run() -> Reply:
        call = a_call("shop", "Get")
        return await (dispatch.call(call) if is_dispatched else counted(call))

    async def main() -> None:
        task = asyncio.create_task(run())
        await asyncio.sleep(0)
        assert tally.count == 1
        await tally.wait_idle()
        assert tally.count == 0
        with pytest.raises(Failure):
            await task

    clock.run(main())


def test_a_call_is_counted_where_it_began_whatever_is_served_since() -> None:
    clock, before, since, dispatch = VirtualClock(), Tally(), Tally(), Dispatch()

    async def slow(_call: Call) -> Reply:
        await clock.sleep(1)
        return Reply(Payload("text/plain", b""))

    async def main() -> None:
        dispatch.swap({("shop", "Get"): Counted(slow, before)}, {})
        task = asyncio.create_task(dispatch.call(a_call("shop", "Get")))
        await asyncio.sleep(0)
        dispatch.swap({("shop", "Get"): Counted(slow, since)}, {})
        assert (before.count, since.count) == (1, 0)
        await task
        assert (before.count, since.count) == (0, 0)

    clock.run(main())


class Plane:
    """A flight that lands when it is told to, and writes down how it ended."""

    def __init__(self, clock: VirtualClock, call: Call, land: Land) -> None:
        self.tally: Tally | None = None
        self.call, self.place = call, 0
        self.until = clock.now() + 2.0
        self.clock, self.to_land, self.ends = clock, land, list[str]()

    def land(self, result: Reply | None) -> None:
        self.to_land(self, result)

    def watch(self) -> TimerHandle:
        return self.clock.call_at(self.until, self.expire)

    def expire(self) -> None:
        self.ends.append("expired")
        self.land(None)

    def cancel(self) -> None:
        self.ends.append("cancelled")


class Runway:
    """A dispatch of one operation whose calls fly; `handled` are those that went on."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.clock, self.tally = VirtualClock(), Tally()
        self.planes: list[Plane] = []
        self.handled: list[Call] = []
        self.is_open = is_open
        self.dispatch = Dispatch()
        self.dispatch.swap(
            {("shop", "Get"): Counted(Route(self.handle, self.begin), self.tally)}, {}
        )

    async def handle(self, call: Call) -> Reply:
        self.handled.append(call)
        return Reply(Payload("text/plain", b"handled"))

    def begin(self, call: Call, land: Land) -> Flight | None:
        if self.is_open:
            self.planes.append(Plane(self.clock, call, land))
        return self.planes[-1] if self.is_open else None

    async def ask(self) -> bytes:
        return (await self.dispatch.call(a_call("shop", "Get"))).payload.data


def test_a_call_that_flies_is_not_handled_and_is_counted() -> None:
    runway = Runway()

    async def main() -> bytes:
        asking = asyncio.create_task(runway.ask())
        await runway.clock.sleep(1.0)
        assert runway.tally.count == 1
        runway.planes[0].land(Reply(Payload("text/plain", b"flown")))
        data = await asking
        await runway.clock.sleep(5.0)
        return data

    assert runway.clock.run(main()) == b"flown"
    assert (runway.handled, runway.planes[0].ends, runway.tally.count) == ([], [], 0)


def test_a_call_that_cannot_fly_or_comes_too_late_is_handled() -> None:
    grounded, late = Runway(is_open=False), Runway()
    assert grounded.clock.run(grounded.ask()) == late.clock.run(late.ask()) == b"handled"
    assert late.planes[0].ends == ["expired"]
    assert (late.clock.now() - late.planes[0].until, late.tally.count) == (0.0, 0)


def test_a_caller_who_leaves_ends_the_flight() -> None:
    runway = Runway()

    async def main() -> None:
        asking = asyncio.create_task(runway.ask())
        await runway.clock.sleep(1.0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        runway.planes[0].land(None)  # it had come at the same time
        await runway.clock.sleep(5.0)

    runway.clock.run(main())
    assert (runway.planes[0].ends, runway.handled, runway.tally.count) == (["cancelled"], [], 0)


def test_a_call_that_was_tried_in_flight_does_not_fly_again() -> None:
    runway, call = Runway(), a_call("shop", "Get")
    call.tried = Failure(Reason.UPSTREAM_CONNECT, "cannot be reached")
    runway.clock.run(runway.dispatch.call(call))
    assert (runway.planes, len(runway.handled)) == ([], 1)


def test_a_branch_in_flight_is_counted_by_its_tally() -> None:
    runway = Runway()
    flight = runway.dispatch.begin(a_call("shop", "Get"), lambda *_: None)
    assert (runway.tally.count, runway.planes[0].tally) == (1, runway.tally)
    assert flight is runway.planes[0]
    assert runway.dispatch.begin(a_call("shop", "Nobody"), lambda *_: None) is None
