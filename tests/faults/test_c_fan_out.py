"""Column C: a fan-out of five through the whole service, of which one branch meets the fault.

Under every policy the four others are answered, and what became of the sick one is said: its
outcome where the policy is met, its line in the ledger where it is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fault_answers import (
    CUT_REQUEST,
    GIBIBYTE,
    LOGIN_PAGE,
    RESET,
    SHORT,
    SLOW,
    busy,
    half_open,
    status,
)
from fault_rig import Bench, Case, Usage, always, bench, eventually, first, outcome_of, wire
from raw_http import Answer

from interlace import ArgumentFrom, Branch, Call, Ledger, Outcome, Policy, PolicyNotMet
from interlaced.testing.fault_proxy import Faults

STEADY: Mapping[str, object] = {
    "upstream": {"memory": "steady"},
    "operations": {"Get": {"reply": 1}},
}
SICK = Call("shop", "Read", {"id": "1"})
NAMES = ["sick", "one", "two", "three", "four"]

# fault, its injection, what becomes of the sick branch, whole requests that its upstream saw
TABLE = [
    Case("no fault", lambda it: None, "ok", 1),
    Case("F1 slow", always(SLOW), "UPSTREAM_TIMEOUT", 3),
    Case("F2 trickles", wire(Faults(bandwidth=20)), "UPSTREAM_TIMEOUT", 3),
    Case("F3 reset within the request", wire(CUT_REQUEST), "UPSTREAM_UNAVAILABLE", 0),
    Case("F4 reset once after the request", first(RESET), "ok", 2),
    Case("F4 reset after every request", always(RESET), "UPSTREAM_UNAVAILABLE", 3),
    Case("F5 bodies cut off", always(SHORT), "UPSTREAM_TRUNCATED", 3),
    Case("F6 half-open", half_open, "ok", 1, pooled=True),
    Case("F6 nothing passes", wire(Faults(blackhole=True)), "UPSTREAM_TIMEOUT", 0),
    Case("F7 refused", wire(Faults(refuse=True)), "UPSTREAM_CONNECT", 0),
    Case("F8 429 for an hour", always(busy("3600")), "UPSTREAM_RATE_LIMITED", 1),
    Case("F10 503", always(status("503 Down")), "UPSTREAM_UNAVAILABLE", 3),
    Case("F12 a login page", always(LOGIN_PAGE), "UPSTREAM_MALFORMED", 1),
    Case("F14 a gibibyte", always(GIBIBYTE), "TOO_LARGE", 1),
]


def branches(*, is_required: bool = False) -> list[Branch]:
    return [Branch("sick", SICK, required=is_required)] + [
        Branch(name, Call("steady", "Get")) for name in NAMES[1:]
    ]


@asynccontextmanager
async def desk(
    folder: Path, *, pooled: bool = False, settings: Mapping[str, object] | None = None
) -> AsyncIterator[Bench]:
    upstream = {"idle": "5s"} if pooled else None
    others = {"steady": STEADY}
    async with bench(folder, upstream=upstream, others=others, settings=settings) as it:
        yield it


def reasons(outcomes: list[Outcome]) -> dict[str, str]:
    return {each.branch: each.error.reason if each.error else "ok" for each in outcomes}


def ledger_of(error: PolicyNotMet) -> dict[str, str]:
    assert error.ledger is not None
    assert not error.ledger.policy_met
    return {each.branch: each.reason for each in error.ledger.entries}


@pytest.mark.parametrize("case", TABLE, ids=str)
async def test_c_fan_out(case: Case, tmp_path: Path) -> None:
    """L1, L2, L8: BEST_EFFORT says per branch what became of it; the others are unharmed."""
    async with desk(tmp_path, pooled=case.pooled) as it:
        assert await outcome_of(it.read()) == "ok"
        base, before = Usage.now(), it.upstream.hits
        if not case.pooled:
            await it.empty_pool()
        case.inject(it)
        began = time.monotonic()
        outcomes = await it.client.fan_out(branches(), policy=Policy.best_effort(), timeout=3)
        assert time.monotonic() - began < 3 + 2
        assert [each.branch for each in outcomes] == NAMES, "in the order of the branches"
        assert reasons(outcomes) == dict.fromkeys(NAMES, "ok") | {"sick": case.expect}
        assert it.upstream.hits - before == case.hits
        it.heal()
        await base.returns()


@pytest.mark.parametrize("case", [TABLE[1], TABLE[5], TABLE[9], TABLE[11]], ids=str)
async def test_c_policies(case: Case, tmp_path: Path) -> None:
    """ALL and a required branch fail with the ledger, QUORUM(4) and FIRST_OK are met without the
    sick branch, whose request is gone when the answer is there."""
    async with desk(tmp_path) as it:
        case.inject(it)
        with pytest.raises(PolicyNotMet) as all_of_them:
            await it.client.fan_out(branches(), policy=Policy.all(), timeout=3)
        assert ledger_of(all_of_them.value)["sick"] == case.expect
        with pytest.raises(PolicyNotMet) as required:
            await it.client.fan_out(
                branches(is_required=True), policy=Policy.best_effort(), timeout=3
            )
        assert ledger_of(required.value)["sick"] == case.expect
        for policy in (Policy.quorum(4), Policy.first_ok()):
            told = reasons(await it.client.fan_out(branches(), policy=policy, timeout=3))
            assert list(told.values()).count("ok") >= (4 if policy.count else 1)
            assert told["sick"] in {"CALLER_CANCELLED", case.expect}


async def test_a_stream_yields_the_well_branches_before_the_slow_one(tmp_path: Path) -> None:
    """F1: the slow branch holds nobody up, and the ledger comes last."""
    async with desk(tmp_path) as it:
        it.always(SLOW)
        landed: list[str] = []
        stream = it.client.stream_fan_out(branches(), policy=Policy.all(), timeout=3)
        with pytest.raises(PolicyNotMet):
            while item := await anext(stream):
                landed.append("ledger" if isinstance(item, Ledger) else item.branch)
        assert set(landed[:4]) == set(NAMES[1:])
        assert landed[4:] == ["sick", "ledger"]


async def test_dependants_of_a_sick_branch_are_never_asked(tmp_path: Path) -> None:
    """DEPENDENCY_FAILED, transitively, with no attempt."""
    async with desk(tmp_path) as it:
        it.always(status("503 Down"))
        chain = [
            Branch("sick", SICK),
            Branch("next", Call("shop", "Read"),
                   arguments_from=[ArgumentFrom("sick", "/data", "id")]),
            Branch("last", Call("shop", "Read"),
                   arguments_from=[ArgumentFrom("next", "/data", "id")]),
        ]  # fmt: skip
        outcomes = await it.client.fan_out(chain, policy=Policy.best_effort(), timeout=3)
        assert reasons(outcomes) == {
            "sick": "UPSTREAM_UNAVAILABLE",
            "next": "DEPENDENCY_FAILED",
            "last": "DEPENDENCY_FAILED",
        }
        assert [each.effort.attempts for each in outcomes] == [3, 0, 0]
        assert it.upstream.hits == 3


async def test_a_decided_fan_out_leaves_no_request_upstream(tmp_path: Path) -> None:
    """P2, F26: FIRST_OK is decided, or the caller leaves: the slow requests are closed."""
    async with desk(tmp_path) as it:
        slow = [Branch(f"slow{number}", SICK) for number in range(8)]
        await it.read()
        base = Usage.now()
        await it.empty_pool()
        it.always(Answer(then="hang"))
        for _ in range(5):
            quick = [*slow, Branch("quick", Call("steady", "Get"))]
            outcomes = await it.client.fan_out(quick, policy=Policy.first_ok(), timeout=3)
            assert [outcome.branch for outcome in outcomes if outcome.is_ok] == ["quick"]
            await eventually(lambda: it.upstream.open == 0, limit=1)
            hits = it.upstream.hits
            task = asyncio.ensure_future(it.client.fan_out(slow, timeout=3))
            await eventually(lambda hits=hits: it.upstream.hits == hits + 8)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await eventually(lambda: it.upstream.open == 0, limit=1)
        await base.returns()


async def test_every_branch_costs_a_place(tmp_path: Path) -> None:
    """F27: a fan-out of eight in a process of four places: four are served, the rest is told that
    it is overloaded before anything was sent."""
    async with desk(tmp_path, settings={"max_in_flight": 4}) as it:
        it.always(Answer(then="hang"))
        slow = [Branch(f"slow{number}", SICK) for number in range(8)]
        outcomes = await it.client.fan_out(slow, policy=Policy.best_effort(), timeout=2)
        told = list(reasons(outcomes).values())
        assert told.count("OVERLOADED") == 4
        assert it.upstream.hits == 12, "four branches, three attempts each"
        it.heal()
        quick = [Branch(name, Call("steady", "Get")) for name in NAMES[:4]]
        assert len(await it.client.fan_out(quick)) == 4
