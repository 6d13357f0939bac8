"""Feeds: subscribers at saturation, with and without one that reads nothing, and idle ones."""

from __future__ import annotations

import asyncio

from benchmarks.harness.results import INTERLACE, Case, Sample
from benchmarks.harness.stats import ENOUGH_PAIRS
from benchmarks.load.http2 import Connection
from benchmarks.load.subscribe import SUBSCRIBE, FeedLoad, FeedShape
from benchmarks.service.measure import Contender, case_of, versus
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Served, rig, start_baseline, start_interlace
from interlace.v1 import feed_service_pb2 as pb

__all__ = ["idle_subscriber", "subscribe"]

PER_CONNECTION = 100
FEED = SINK = "ticks.Ticks"
BATCH = 64
"""Events per Publish: enough that the feed is saturated, since only one Publish is under way."""
IDLE = 1_000
FIRST = 20
SETTLE = 0.7


async def subscribe(plan: Plan) -> list[Case]:
    """Subscribe with several numbers of subscribers; in a whole run also with one stalled among
    them, and with events that are published one by one."""
    shapes = [_shape(100)]
    if not plan.is_quick:
        shapes = [_shape(1), _shape(10), _shape(100), _shape(1_000)]
        shapes += [_shape(100, stalled=1), _shape(100, batch=1), _shape(100, batch=8)]
    return [await _subscribe(plan, shape) for shape in shapes]


def _shape(subscribers: int, *, stalled: int = 0, batch: int = BATCH) -> FeedShape:
    return FeedShape(FEED, SINK, subscribers, stalled=stalled, batch=batch)


async def _subscribe(plan: Plan, shape: FeedShape) -> Case:
    with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
        loads, contenders = [], []
        for served in (place.interlace, place.baseline):
            load, connections = await _load(served, shape)
            loads.append((load, connections))
            contenders.append(Contender(served.side, load, served.child))
        measured = await versus(contenders, plan.pace)
        for load, connections in loads:
            load.close()
            for connection in connections:
                connection.close()
    notes = (
        "a call is one event at one subscriber; publishing is charged to the server as well",
        f"published {shape.batch} at a time, at most {shape.window} ahead of the slowest",
    )
    plain = not shape.stalled and shape.batch == BATCH
    scenario = "subscribe" if plain else "subscribe_odd"
    variant: dict[str, str | int | float] = {"subscribers": shape.subscribers}
    if not plain:
        variant |= {"stalled": shape.stalled, "batch": shape.batch}
    return case_of(scenario, variant, measured, notes=notes)


async def _load(served: Served, shape: FeedShape) -> tuple[FeedLoad, list[Connection]]:
    count = max(1, -(-shape.subscribers // PER_CONNECTION))
    subscribing = await served.connect(count)
    [publishing] = await served.connect(1)
    stalled = None
    if shape.stalled:
        stalled = await served.connect_stalled()
    every = [*subscribing, publishing, *([stalled] if stalled else [])]
    return FeedLoad(subscribing, publishing, shape, stalled=stalled), every


class _Idle:
    """An idle subscription: it counts what comes, and that it has not ended."""

    def __init__(self) -> None:
        self.error = ""

    def on_message(self, message: bytes) -> None:
        """Take heartbeats."""

    def on_end(self, error: str) -> None:
        """Keep how it ended."""
        self.error = error or "ended with OK"


async def idle_subscriber(plan: Plan) -> list[Case]:
    """Memory per idle subscriber, 1,000 on one connection, beside a bare grpc.aio stream.

    Every round has fresh processes, both at once: one takes no memory of the other's. The first few
    streams are opened before the first reading, so that what a first one costs is charged to none.
    """
    samples: list[Sample] = []
    troubles: list[str] = []
    for _ in range(min(plan.pace.rounds, ENOUGH_PAIRS)):
        with rig(plan.cores) as place, start_interlace(place), start_baseline(place):
            found = await asyncio.gather(*(_idle(one) for one in place.sides.values()))
        samples += [sample for sample, _ in found]
        troubles += [trouble for _, wrong in found for trouble in wrong]
    return [
        case_of(
            "idle_subscriber",
            {"subscribers": IDLE},
            (tuple(samples), tuple(troubles)),
            main="kb_per_subscriber",
            notes=(f"resident memory at {IDLE} streams less that at {FIRST}, fresh processes",),
        )
    ]


async def _idle(served: Served) -> tuple[Sample, list[str]]:
    feed = FEED if served.side == INTERLACE else "idle"
    [connection] = await served.connect(1)
    request = pb.SubscribeRequest(feed=feed).SerializeToString()
    listeners = [_Idle() for _ in range(IDLE)]
    before = 0
    for place_of, listener in enumerate(listeners):
        if place_of == FIRST:
            await asyncio.sleep(SETTLE)
            before = served.child.rss_bytes()
        connection.open(SUBSCRIBE, listener).send(request, is_last=True)
    await asyncio.sleep(2 * SETTLE)
    after = served.child.rss_bytes()
    errors = [listener.error for listener in listeners if listener.error]
    connection.close()
    values = {
        "kb_per_subscriber": (after - before) / 1e3 / (IDLE - FIRST),
        "rss_mb": after / 1e6,
        "errors": float(len(errors)),
        "calls": float(IDLE),
    }
    return Sample(served.side, values), [f"{served.side}: {error}" for error in errors[:3]]
