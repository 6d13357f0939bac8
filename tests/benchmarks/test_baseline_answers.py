"""The baseline does the same work: its answers are Interlace's, byte for byte."""

from __future__ import annotations

import asyncio
import json

import msgpack
import pytest
from benchmarks.load.bodies import body
from benchmarks.load.session import SessionLoad
from benchmarks.load.subscribe import FeedLoad, FeedShape
from benchmarks.load.unary import Request
from benchmarks.service import requests
from benchmarks.service.payloads import both_ways
from benchmarks.service.requests import UnequalAnswersError, assert_equal
from benchmarks.service.rig import rig, start_baseline, start_interlace

from interlace.v1 import gateway_service_pb2 as pb

CONVERTED = msgpack.packb(json.loads(body("json", 10_000)))
REQUESTS = [
    requests.call(),
    requests.fan_out(["Get"] * 8),
    requests.fan_out(["Get", "Slow"]),
    requests.call("Json1000", expected=body("json", 1_000_000)),
    requests.call("Msgpack10", expected=body("msgpack", 10_000)),
    requests.call("Protobuf10", expected=body("protobuf", 10_000)),
    requests.call("Json10", expected=CONVERTED, accept=("application/msgpack",)),
]


async def test_both_sides_answer_alike_and_leave_nothing_behind() -> None:
    with rig() as place, start_interlace(place) as ours, start_baseline(place) as theirs:
        for request in REQUESTS:
            await assert_equal(request, ours, theirs)
        wrong = requests.call("Json1", expected=body("json", 1_000))
        other = Request(wrong.path, requests.call("Json10").message, wrong.is_right)
        with pytest.raises(UnequalAnswersError, match="not the expected answer"):
            await assert_equal(other, ours, theirs)
        missing = Request(requests.CALL, b"", lambda _message: True)
        with pytest.raises(UnequalAnswersError, match="interlace: grpc-status 3"):
            await assert_equal(missing, ours, theirs)
        before = place.upstream_count()
        for served in (ours, theirs):
            [one] = await served.connect(1)
            encoded = requests.one_call().SerializeToString()
            session = SessionLoad(one, encoded, body("json", 500), in_flight=8, is_batched=False)
            await session.start()
            await session.stop()
            session.close()
            assert (session.tally.done, session.tally.told) == (8, [])
        assert place.upstream_count() - before == 16
        folder, children = place.folder, (ours.child, theirs.child)
    assert all(child.has_ended for child in children)
    assert not folder.exists()


async def test_both_sides_send_what_they_are_given_and_answer_alike() -> None:
    """The upstream refuses whatever is not the whole body, as it takes it, under its media type."""
    with (
        rig(upstream="benchmarks.load.mirror") as place,
        start_interlace(place) as ours,
        start_baseline(place) as theirs,
    ):
        for kind in ("json", "msgpack", "protobuf", "json_through_msgpack"):
            for size in ("1", "1000"):
                await assert_equal(both_ways(kind, size).request, ours, theirs)
        assert place.upstream_count() == 16
        right = both_ways("json", "10").request
        short = pb.CallRequest.FromString(right.message)
        short.call.payload.data = short.call.payload.data[:-2] + b" }"
        wrong = Request(right.path, short.SerializeToString(), lambda _message: True)
        for served in (ours, theirs):
            with pytest.raises(UnequalAnswersError, match=served.side):
                await assert_equal(wrong, served)


async def test_both_sides_deliver_every_event_with_a_stalled_subscriber_among_them() -> None:
    with rig() as place, start_interlace(place) as ours, start_baseline(place) as theirs:
        for served in (ours, theirs):
            listening, publishing = await served.connect(2)
            stalled = await served.connect_stalled()
            shape = FeedShape("ticks.Ticks", "ticks.Ticks", 3, stalled=1)
            load = FeedLoad([listening], publishing, shape, stalled=stalled)
            await load.start()
            async with asyncio.timeout(60):
                # More than a stalled connection takes, many times over.
                while load.tally.done < 3 * 3_000 and not load.tally.errors:
                    await asyncio.sleep(0.01)
            await load.stop()
            load.close()
            assert load.tally.told == []
            for connection in (listening, publishing, stalled):
                connection.close()
