"""The acts of the demo: each shows one promise, and raises Unexpected where it is not kept."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from interlace import (
    Branch,
    Call,
    Client,
    Event,
    InterlaceError,
    Outcome,
    Policy,
    PolicyNotMet,
    Start,
)

__all__ = [
    "ACTS",
    "Act",
    "Stage",
    "Unexpected",
    "breaker",
    "call",
    "expect",
    "fan_out",
    "publish_and_consume",
    "session",
    "shared_feed",
    "stream_fan_out",
]

_SLOW = 0.5
_WORDS = {"CALLER_CANCELLED": "cancelled", "UPSTREAM_NOT_FOUND": "not found"}
_SESSION_CALLS = 1_000
_FEW_TICKS = 6
_AWAY = 0.7
_BREAKER_LIMIT = 200


class Unexpected(Exception):  # noqa: N818  # the demo's word for a promise that was not kept
    """A promise was not kept; the text says which."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What an act works with."""

    client: Client
    grpc: str
    admin: str
    tell: Callable[[str], None]

    async def chaos(self, upstream: str, **wish: object) -> None:
        """Makes a fake upstream misbehave, as `interlace chaos` does."""
        await asyncio.to_thread(self._post, {"upstream": upstream, **wish})

    def _post(self, body: dict[str, object]) -> None:
        request = urllib.request.Request(  # noqa: S310  # the demo's own server on loopback
            f"{self.admin}/chaos", data=json.dumps(body).encode(), method="POST"
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # as above
            answer.read()


def expect(is_so: bool, promise: str) -> None:
    """Raises Unexpected unless the promise is kept."""
    if not is_so:
        raise Unexpected(promise)


async def call(stage: Stage) -> None:
    """A call."""
    result = await stage.client.call("shop", "GetProduct", {"id": "p001"})
    product = result.json()
    price = product["price"]
    told = f"{product['name']}, {price['cents'] / 100:.2f} {price['currency']}"
    attempts, took = result.effort.attempts, result.effort.latency * 1000
    stage.tell(f"   shop.GetProduct(id=p001) -> {told}")
    stage.tell(f"   {attempts} attempt{'s' * (attempts != 1)}, {took:.1f} ms inside Interlace")
    expect(product["id"] == "p001", "the product that was asked for")


def _five() -> list[Branch]:
    """Five branches, one of them slow and one that fails."""
    good = [
        Branch(name, Call("shop", "GetProduct", {"id": number}))
        for name, number in (("first", "p001"), ("second", "p002"), ("third", "p003"))
    ]
    slow = Branch("slow", Call("shop", "SlowReport", {"seconds": _SLOW}))
    failing = Branch("failing", Call("shop", "GetProduct", {"id": "nothing"}))
    return [*good, slow, failing]


async def fan_out(stage: Stage) -> None:
    """A fan-out of five, one slow and one failing, under each policy."""
    policies = {
        "ALL": Policy.all(),
        "QUORUM(4)": Policy.quorum(4),
        "QUORUM(3)": Policy.quorum(3),
        "FIRST_OK": Policy.first_ok(),
        "BEST_EFFORT": Policy.best_effort(),
    }
    _tell_row(stage, "policy", "took", [branch.name for branch in _five()])
    met = {name: await _fan_out(stage, name, policy) for name, policy in policies.items()}
    expect(met == {**dict.fromkeys(policies, True), "ALL": False}, "ALL fails, the others are met")


async def _fan_out(stage: Stage, name: str, policy: Policy) -> bool:
    """Tells of one fan-out, and returns whether its policy was met."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        outcomes = await stage.client.fan_out(_five(), policy=policy)
    except PolicyNotMet as error:
        entries = error.ledger.entries if error.ledger is not None else ()
        cells, is_met = [_word(entry.reason) for entry in entries], False
    else:
        cells, is_met = [_told(outcome) for outcome in outcomes], True
    took = f"{(loop.time() - started) * 1000:.0f} ms"
    _tell_row(stage, name, took, [*cells, "policy met" if is_met else "policy NOT met"])
    return is_met


def _tell_row(stage: Stage, head: str, took: str, cells: Sequence[str]) -> None:
    stage.tell(f"   {head:<12} {took:>7}  {''.join(f'{cell:<11}' for cell in cells)}".rstrip())


def _told(outcome: Outcome) -> str:
    return _word(outcome.error.reason if outcome.error else "")


def _word(reason: str) -> str:
    """A reason in a word; those that the acts do not expect stay as they are."""
    return {"": "ok", **_WORDS}.get(reason, reason)


async def stream_fan_out(stage: Stage) -> None:
    """A streamed fan-out, in the order of arrival."""
    order: list[str] = []
    stream = stage.client.stream_fan_out(_five(), policy=Policy.best_effort())
    async with stream as landing:
        async for landed in landing:
            if isinstance(landed, Outcome):
                order.append(landed.branch)
                took = landed.effort.latency * 1000
                stage.tell(f"   {landed.branch:<8} after {took:5.0f} ms: {_told(landed)}")
            else:
                stage.tell(
                    f"   then the ledger: policy {'met' if landed.policy_met else 'NOT met'}"
                )
    expect(order[-1] == "slow" and len(order) == len(_five()), "the slow branch lands last")


async def session(stage: Stage) -> None:
    """A session of 1,000 calls over one stream."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with stage.client.session() as calls:
        results = await asyncio.gather(
            *(
                calls.call("shop", "GetProduct", {"id": f"p{number % 20 + 1:03}"})
                for number in range(_SESSION_CALLS)
            )
        )
    answered = sum(
        result.json()["id"] == f"p{number % 20 + 1:03}" for number, result in enumerate(results)
    )
    stage.tell(f"   {answered:,} right answers in {loop.time() - started:.1f} s")
    expect(answered == _SESSION_CALLS, "every call of the session got its own answer")


async def shared_feed(stage: Stage) -> None:
    """Two subscribers on one shared feed; one disconnects and resumes without loss."""
    steady = asyncio.create_task(_ticks(stage.client, 4 * _FEW_TICKS, Start.now()))
    try:
        mine = await _leave_and_resume(stage)
        seen, _ = await steady
    finally:
        steady.cancel()
    mine, seen = _from_first_common(mine, seen)
    expect(mine == seen and len(mine) > _FEW_TICKS, "nothing lost or repeated")
    stage.tell(f"   both saw the same {len(mine)} events in the same order, none twice")


def _from_first_common(one: list[str], other: list[str]) -> tuple[list[str], list[str]]:
    """Cuts off what one of two subscribers saw before the other came, or after it had left."""
    first = next((event for event in one if event in other), "")
    if not first:
        return one, other
    one, other = one[one.index(first) :], other[other.index(first) :]
    length = min(len(one), len(other))
    return one[:length], other[:length]


async def _leave_and_resume(stage: Stage) -> list[str]:
    """Subscribes, disconnects, and goes on where it was; returns all events that it got."""
    first, bookmark = await _ticks(stage.client, _FEW_TICKS, Start.now())
    stage.tell(f"   one subscriber disconnects after {first[-1]}; the other stays")
    await asyncio.sleep(_AWAY)
    second, _ = await _ticks(stage.client, 2 * _FEW_TICKS, bookmark)
    stage.tell(f"   {_AWAY * 1000:.0f} ms later it resumes with its bookmark, at {second[0]}")
    return [*first, *second]


async def _ticks(client: Client, count: int, start: Start) -> tuple[list[str], Start]:
    """Takes so many events, and says where to go on."""
    seen: list[str] = []
    async with client.subscribe("ticks.Ticks", start=start) as events:
        async for item in events:
            expect(isinstance(item, Event), "no gap and no drop")
            if isinstance(item, Event):
                seen.append(item.id)
            if len(seen) == count:
                break
        return seen, Start.after(events.bookmark)


async def publish_and_consume(stage: Stage) -> None:
    """Publish and consume, with a nack and a redelivery."""
    events = [
        Event(id=f"demo-{number}", source="demo", type="order.created", data=b'{"n": %d}' % number)
        for number in (1, 2, 3)
    ]
    outcomes = await stage.client.publish("orders.Orders", events)
    stage.tell(f"   {sum(outcome.is_ok for outcome in outcomes)} events confirmed by the broker")
    settled: list[str] = []
    async with stage.client.consume("orders.Orders", "demo", credit=10) as deliveries:
        async for delivery in deliveries:
            name, attempt = delivery.event.id, delivery.attempt
            if name == "demo-2" and attempt == 1:
                await delivery.nack(delay=0.2)
                stage.tell(f"   {name} attempt {attempt}: nack, again in 200 ms")
                continue
            await delivery.ack()
            stage.tell(f"   {name} attempt {attempt}: ack")
            settled.append(f"{name}/{attempt}")
            if len(settled) == 3:
                break
    expect(
        sorted(settled) == ["demo-1/1", "demo-2/2", "demo-3/1"],
        "the event that was refused comes again, once",
    )


async def breaker(stage: Stage) -> None:
    """A breaker that opens under chaos, and closes again."""
    await stage.chaos("shop", fail=1.0, status=503)
    reasons = await _reasons_until(stage, lambda reason: reason == "BREAKER_OPEN")
    stage.tell(f"   every answer of the shop is 503: {_counted(reasons)}")
    expect("BREAKER_OPEN" in reasons, "the breaker opens")
    await stage.chaos("shop", clear=True)
    stage.tell("   the shop is well again")
    reasons = await _reasons_until(stage, lambda reason: reason == "ok")
    stage.tell(f"   a probe finds out after a second: {_counted(reasons)}")
    expect(reasons[-1] == "ok", "the breaker closes")


async def _reasons_until(stage: Stage, is_enough: Callable[[str], bool]) -> list[str]:
    """Calls until a reason is enough, and returns all of them."""
    reasons: list[str] = []
    while len(reasons) < _BREAKER_LIMIT:
        try:
            await stage.client.call("shop", "GetProduct", {"id": "p001"})
            reasons.append("ok")
        except InterlaceError as error:
            reasons.append(error.reason)
        if is_enough(reasons[-1]):
            break
        await asyncio.sleep(0.05)
    return reasons


def _counted(reasons: Sequence[str]) -> str:
    return ", ".join(f"{reasons.count(reason)} x {reason}" for reason in dict.fromkeys(reasons))


Act: TypeAlias = Callable[[Stage], Awaitable[None]]
"""The first line of its docstring is its title."""

ACTS: tuple[Act, ...] = (
    call,
    fan_out,
    stream_fan_out,
    session,
    shared_feed,
    publish_and_consume,
    breaker,
)
"""The acts, in their order."""
