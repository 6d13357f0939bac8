"""Gates: passed in order, left in reverse, and waited for only where they do not open at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from policy_rig import make_wiring

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effort, Handler, Request
from interlaced.resilience.attempt import Before, Reading, Timing, attempt
from interlaced.resilience.breaker import Verdict
from interlaced.resilience.gates import Gate
from interlaced.testing.clock import VirtualClock


@dataclass
class Door:
    """A gate that says what happens to it."""

    name: str
    told: list[str]
    is_open: bool = True
    refuses: bool = False
    opens: asyncio.Event = field(default_factory=asyncio.Event)

    def try_enter(self) -> bool:
        if self.is_open:
            self.told.append(f"in {self.name}")
        return self.is_open

    async def enter(self, request: Request) -> None:
        self.told.append(f"wait {self.name}")
        if self.refuses:
            raise Failure(Reason.RATE_LIMITED, "no room")
        await self.opens.wait()
        self.told.append(f"in {self.name}")

    def leave(self) -> None:
        self.told.append(f"out {self.name}")


def pass_gates(follow: Handler[Request, str], gates: Sequence[Gate]) -> Handler[Request, str]:
    reading: Reading[str] = Reading(lambda _: "", len, lambda _: Verdict.GOOD)
    return attempt(
        follow,
        make_wiring(VirtualClock()),
        before=Before(None, gates),
        timing=Timing(None, lambda _: None),
        reading=reading,
    )


def request() -> Request:
    return Request(deadline=1.0, effort=Effort(0.0))


async def test_gates_are_passed_in_order_and_left_in_reverse() -> None:
    told: list[str] = []

    async def follow(_: Request) -> str:
        told.append("work")
        return "done"

    handler = pass_gates(follow, [Door("a", told), Door("b", told)])
    assert await handler(request()) == "done"
    assert told == ["in a", "in b", "work", "out b", "out a"]


async def test_what_fails_behind_a_gate_leaves_it() -> None:
    told: list[str] = []

    async def follow(_: Request) -> str:
        raise Failure(Reason.UPSTREAM_FAILED, "no")

    with pytest.raises(Failure):
        await pass_gates(follow, [Door("a", told)])(request())
    assert told == ["in a", "out a"]


async def test_a_gate_that_refuses_is_not_left_and_those_before_it_are() -> None:
    told: list[str] = []

    async def follow(_: Request) -> str:
        raise AssertionError("nobody gets here")

    gates = [Door("a", told), Door("b", told, is_open=False, refuses=True), Door("c", told)]
    with pytest.raises(Failure):
        await pass_gates(follow, gates)(request())
    assert told == ["in a", "wait b", "out a"]


async def test_a_cancel_at_a_gate_leaves_those_before_it() -> None:
    told: list[str] = []

    async def follow(_: Request) -> str:
        raise AssertionError("nobody gets here")

    handler = pass_gates(follow, [Door("a", told), Door("b", told, is_open=False)])
    task = asyncio.ensure_future(handler(request()))  # type: ignore[arg-type]  # a coroutine
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == ["in a", "wait b", "out a"]
