"""Interlace without one of its levers: it answers as ever, and what was taken away is away."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from benchmarks.levers.__main__ import OF_LEVER, SHAPES, measure, start_without
from benchmarks.levers.without import LEVERS
from benchmarks.service import requests
from benchmarks.service.measure import Pace
from benchmarks.service.rig import rig

ROOT = Path(__file__).resolve().parents[2]

AWAY = {
    "nothing": "True",
    "lean_transport": "rest.Upstream(rest='http://h').transport == 'aiohttp'",
    "uvloop": "uvloop.new_event_loop.__module__.startswith('asyncio')",
    "flights": "stack.beginning.__name__ == '_begins_nothing'",
    "plain_heads": "http_wire.read_plain.__name__ == '_finds_nothing_plain'",
    "acceptors": "acceptors._is_known.__name__ == '_knows_nothing'",
    "patient_threads": "server.patient_threads.__name__ == 'nullcontext'",
    "finished_batches": "server.finish_batches.__name__ == 'leave_batches'",
    "settled_memory": "process.settled_memory.__name__ == 'as_python_does'",
    "own_instruments": "hasattr(bound, '_bound') and bound._bound._value.get() == 2",
    "feed_batches": "feed_settings.HubSettings().frame_bytes == 1",
    "session_batches": "session.Session._take.__name__ == 'take'",
}
PROBE = """
import json, sys, uvloop
from benchmarks.levers.without import LEVERS
LEVERS[sys.argv[1]]()
from interlaced import process
from interlaced.connectors.rest import config as rest
from interlaced.core import feed_settings
from interlaced.resilience import stack
from interlaced.rpc import acceptors, server, session
from interlaced.telemetry import instruments
from interlaced.transport import http_wire
bound = instruments.Number()
bound.value += 1
bound.add(1)
print(json.dumps([name for name, told in json.loads(sys.argv[2]).items() if eval(told)]))
"""


@pytest.fixture(scope="module")
def away() -> dict[str, set[str]]:
    """What is away without each lever; each in a process of its own, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(LEVERS, pool.map(probe, LEVERS), strict=True))


def probe(lever: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, lever, json.dumps(AWAY)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("lever", LEVERS)
def test_what_is_taken_away_is_away_and_nothing_else(lever: str, away: dict[str, set[str]]) -> None:
    assert away[lever] == {"nothing", lever}


async def test_without_a_lever_the_answers_are_the_same() -> None:
    with rig() as place, ExitStack() as stack:
        kept, *others = [
            stack.enter_context(start_without(place, lever, side=lever)) for lever in LEVERS
        ]
        for each in others:
            await requests.assert_equal(requests.call(), kept, each)


async def test_a_lever_is_measured_in_the_shapes_that_tell_of_it() -> None:
    pace = Pace(seconds=0.1, rounds=1, ramp=0.02, warm=0.05)
    for lever in ("feed_batches", "session_batches"):
        cases = await measure(lever, pace)
        assert [case.variant["shape"] for case in cases] == list(OF_LEVER[lever])
        assert all(case.ratio for case in cases), cases
    assert {shape for shapes in OF_LEVER.values() for shape in shapes} < set(SHAPES)
