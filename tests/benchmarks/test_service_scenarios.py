"""Every scenario of the suite runs: once, for a moment, without an error, with all its figures.

What a moment measures is worth nothing; that it could be measured at all is what counts. Those that
ask the same of both sides are lent one pair of servers, since starting them is what takes the time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.harness.results import Case
from benchmarks.load.tools import find
from benchmarks.service import added, calls, feeds, payloads, rates, tools
from benchmarks.service.broker import find_nats
from benchmarks.service.measure import Pace
from benchmarks.service.plan import Plan
from benchmarks.service.rig import Rig, Served, rig, start_baseline, start_interlace
from benchmarks.service.scenarios import ALL

MOMENT = Pace(seconds=0.12, rounds=1, ramp=0.03, warm=0.08)
SECONDS = Pace(seconds=2.0, rounds=1, ramp=0.5, warm=1.0)
CASES = {"fanout": 2, "session": 2, "payload": 8, "tls": 2, "rates": 2, "raw_unary": 2}
"""How many cases a quick plan has of each scenario that has more than one."""
SIDES = {"added_latency": 3}
"""How many sides a scenario has, where it is not two."""
IN_ORDER = ("idle_subscriber", *(name for name in ALL if name != "idle_subscriber"))
"""Memory first: it wants servers that have served nobody yet."""


@pytest.fixture(scope="module")
def servers() -> Iterator[Rig]:
    with rig() as place, start_interlace(place), start_baseline(place):
        yield place


@pytest.fixture
def lent(servers: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Makes the scenarios that need nothing else use the servers that run already."""

    @contextlib.contextmanager
    def a_rig(*arguments: Any, **options: Any) -> Iterator[Rig]:
        if any(options.values()) and options.get("upstream") != "benchmarks.load.upstream":
            with rig(*arguments, **options) as own:
                yield own
        else:
            yield servers

    def lending(side: str, start: Any) -> Any:
        @contextlib.contextmanager
        def lend(place: Rig, **options: Any) -> Iterator[Served]:
            if place is servers:
                yield servers.sides[side]
            else:
                with start(place, **options) as own:
                    yield own

        return lend

    for module in (added, calls, feeds, payloads, rates, tools):
        monkeypatch.setattr(module, "rig", a_rig)
        monkeypatch.setattr(module, "start_interlace", lending("interlace", start_interlace))
        monkeypatch.setattr(module, "start_baseline", lending("baseline", start_baseline))
    return servers


@pytest.mark.usefixtures("lent")
@pytest.mark.parametrize("name", IN_ORDER)
async def test_a_scenario_is_measured_on_both_sides_without_an_error(name: str) -> None:
    found = await measured(name)
    assert len(found) == CASES.get(name, 1)
    for case in found:
        assert not any(note.startswith("failed:") for note in case.notes), case.notes
        if is_possible(case):
            assert_measured(case)


async def measured(name: str) -> list[Case]:
    """Measures for a moment; where a busy machine answered nothing in it, for seconds."""
    found = await ALL[name](Plan(MOMENT, is_quick=True))
    if any("no call came back" in note for case in found for note in case.notes):
        found = await ALL[name](Plan(SECONDS, is_quick=True))
    return found


def is_possible(case: Case) -> bool:
    """Whether this machine has what the case needs; one that cannot be measured says why."""
    if case.scenario == "raw_unary" and find(str(case.variant["tool"])) is None:
        assert "not on the PATH" in case.notes[0]
        return False
    if case.scenario == "nats":
        assert find_nats() is not None, "the tests have a server under build/"
    return True


def assert_measured(case: Case) -> None:
    """Every side has a window with answers in it, and, but for an overload, none but answers."""
    assert len(case.samples) == len(sides(case)) == SIDES.get(case.scenario, 2)
    for sample in case.samples:
        assert sample.values["calls"] > 0
        assert sample.values[case.unit] > 0
    if case.scenario == "overload":
        assert all("goodput_share" in sample.values for sample in case.samples)
        return
    if case.scenario == "recovery":
        assert all(sample.values["failed"] > 0 for sample in case.samples)
        return
    assert (case.ratio is not None) == (len(sides(case)) == 2)
    assert all(sample.values["errors"] == 0 for sample in case.samples)


def sides(case: Case) -> list[str]:
    return list(dict.fromkeys(sample.side for sample in case.samples))
