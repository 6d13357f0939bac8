"""Calls on their way into the core: traced, logged, and no larger than a message."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from structlog.testing import capture_logs

from interlaced.core.failure import Failure, Reason
from interlaced.core.flights import Flight, Land
from interlaced.core.model import Call, Effort, Payload, Reply
from interlaced.rpc.perform import Performer
from interlaced.telemetry.log import bound

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def never(_call: Call, _land: Land) -> Flight | None:
    """Begins nothing."""
    return None


async def test_each_call_has_its_own() -> None:
    seen: list[str] = []

    async def perform(_call: Call) -> Reply:
        await asyncio.sleep(0)
        seen.append(bound().get("trace_id", ""))
        return Reply(Payload("text/plain", b""))

    def call(metadata: dict[str, str]) -> Call:
        effort = Effort(0.0)
        return Call(deadline=1.0, effort=effort, connector="c", operation="o", metadata=metadata)

    handler = Performer(perform, never)
    one, other = f"00-{TRACE}-{SPAN}-01", f"00-{TRACE[::-1]}-{SPAN}-01"
    await asyncio.gather(*(handler(call({"traceparent": each})) for each in (one, other)))
    await asyncio.gather(handler(call({})))
    assert seen == [TRACE, TRACE[::-1], ""]


async def test_a_branch_or_a_call_of_a_session_tells_why_it_failed() -> None:
    async def perform(call: Call) -> Reply:
        if call.operation == "Bug":
            raise ValueError("secret")
        raise Failure(Reason.UPSTREAM_FAILED, "broken").but(operation="shop.Get")

    def call(operation: str) -> Call:
        return Call(deadline=1.0, effort=Effort(0.0), connector="shop", operation=operation)

    with capture_logs() as records:
        with pytest.raises(Failure, match="broken"):
            await Performer(perform, never)(call("Get"))
        with pytest.raises(Failure, match="an internal error; the log has the details"):
            await Performer(perform, never)(call("Bug"))
    told = [(each["event"], each["reason"], each["operation"]) for each in records]
    assert told == [
        ("call.failed", "UPSTREAM_FAILED", "Get"),
        ("rpc.bug", "INTERNAL_ERROR", "Bug"),
    ]


async def test_a_branch_whose_reply_fits_no_message_is_too_large() -> None:
    async def perform(call: Call) -> Reply:
        return Reply(Payload("text/plain", bytes(int(call.operation))))

    def call(size: int) -> Call:
        return Call(deadline=1.0, effort=Effort(0.0), connector="shop", operation=str(size))

    handler = Performer(perform, never, 10_000)
    assert len((await handler(call(5000))).payload.data) == 5000
    with pytest.raises(Failure, match="the limit is 10000 bytes"):
        await handler(call(9000))


async def test_a_flight_lands_as_a_call_returns() -> None:
    """What fits no message is TOO_LARGE and told in the log; what has a trace of its own needs a
    task, whose context it is told in."""
    lands: list[Land] = []

    def begin(_call: Call, land: Land) -> Flight | None:
        lands.append(land)
        return None

    async def perform(_call: Call) -> Reply:
        raise AssertionError

    def call(metadata: dict[str, str] | None = None) -> Call:
        effort = Effort(0.0)
        return Call(
            deadline=1.0, effort=effort, connector="c", operation="o", metadata=metadata or {}
        )

    landed = list[object]()
    begin_one = Performer(perform, begin, 10_000).begin_for(lambda _, result: landed.append(result))
    assert begin_one(call({"traceparent": f"00-{TRACE}-{SPAN}-01"})) is None
    assert lands == []
    begin_one(call())
    flight = cast("Flight", SimpleNamespace(call=call()))
    fits = Reply(Payload("text/plain", bytes(5000)))
    with capture_logs() as records:
        for result in (fits, None, Reply(Payload("text/plain", bytes(9000)))):
            lands[0](flight, result)
    assert landed[:2] == [fits, None]
    assert isinstance(landed[2], Failure)
    assert landed[2].reason is Reason.TOO_LARGE
    assert [(each["event"], each["reason"]) for each in records] == [("call.failed", "TOO_LARGE")]
