"""The acts of the demo: each shows one promise, and raises Unexpected where it is not kept."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

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

_SESSION_CALLS = 1_000
_FEW_TICKS = 6
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
    stage.tell(f"   shop.GetProduct(id=p001) -> {result.text()[:70]}")
    stage.tell(f"   {result.effort.latency * 1000:.1f} ms, {result.effort.attempts} attempt")
    expect(result.json()["id"] == "p001", "the product that was asked for")


def _five() -> list[Branch]:
    """Five branches, one of them slow and one that fails."""
    good = [
        Branch(f"product-{number}", Call("shop", "GetProduct", {"id": f"p{number:03}"}))
        for number in (1, 2, 3)
    ]
    slow = Branch("slow", Call("shop", "SlowReport", {"seconds": 0.5}))
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
    met: dict[str, bool] = {}
    for name, policy in policies.items():
        try:
            outcomes = await stage.client.fan_out(_five(), policy=policy)
        except PolicyNotMet as error:
            met[name] = False
            entries = error.ledger.entries if error.ledger is not None else ()
            told = ", ".join(f"{entry.branch} {entry.reason or 'ok'}" for entry in entries)
        else:
            met[name] = True
            told = ", ".join(_told(outcome) for outcome in outcomes)
        stage.tell(f"   {name:<11} {'met' if met[name] else 'NOT MET'}: {told}")
    expect(met == {**dict.fromkeys(policies, True), "ALL": False}, "ALL fails, the others are met")


def _told(outcome: Outcome) -> str:
    return f"{outcome.branch} {outcome.error.reason if outcome.error else 'ok'}"


async def stream_fan_out(stage: Stage) -> None:
    """A streamed fan-out, in the order of arrival."""
    order: list[str] = []
    stream = stage.client.stream_fan_out(_five(), policy=Policy.best_effort())
    async with stream as landing:
        async for landed in landing:
            if isinstance(landed, Outcome):
                order.append(landed.branch)
                stage.tell(f"   {landed.effort.latency * 1000:7.1f} ms  {_told(landed)}")
            else:
                stage.tell(f"   ledger: policy met: {landed.policy_met}")
    expect(order[-1] == "slow" and len(order) == 5, "the slow branch lands last")


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
    stage.tell(f"   {answered} right answers in {loop.time() - started:.1f} s")
    expect(answered == _SESSION_CALLS, "every call of the session got its own answer")


async def shared_feed(stage: Stage) -> None:
    """Two subscribers on one shared feed; one disconnects and resumes without loss."""
    steady = asyncio.create_task(_ticks(stage.client, 4 * _FEW_TICKS, Start.now()))
    first, bookmark = await _ticks(stage.client, _FEW_TICKS, Start.now())
    stage.tell(f"   one subscriber leaves after {first[-1]}")
    await asyncio.sleep(0.7)
    second, _ = await _ticks(stage.client, 2 * _FEW_TICKS, bookmark)
    stage.tell(f"   and resumes with {second[0]}")
    seen, _ = await steady
    mine = [*first, *second]
    start = seen.index(mine[0]) if mine[0] in seen else 0
    common = seen[start : start + len(mine)]
    stage.tell(f"   the steady one saw the same {len(common)} events in the same order")
    expect(mine[: len(common)] == common and len(common) > len(first), "nothing lost or repeated")


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
    stage.tell(f"   every answer 503: {_counted(reasons)}")
    expect("BREAKER_OPEN" in reasons, "the breaker opens")
    await stage.chaos("shop", clear=True)
    stage.tell("   the shop has recovered")
    reasons = await _reasons_until(stage, lambda reason: reason == "ok")
    stage.tell(f"   and so has the breaker: {_counted(reasons)}")
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


ACTS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    call,
    fan_out,
    stream_fan_out,
    session,
    shared_feed,
    publish_and_consume,
    breaker,
)
"""The acts, in their order."""
