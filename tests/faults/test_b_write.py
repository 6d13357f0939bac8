"""Column B: writes through the whole service, with an idempotency key (k) and without one (n),
under every fault that can meet them.

The upstream is the oracle: it writes down every whole request. L3: no write without a key is sent
twice after its first byte has left. L2: never more requests than `explain` prints.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_answers import (
    BOMB,
    CUT_REQUEST,
    EMPTY,
    GIBIBYTE,
    LOGIN_PAGE,
    RESET,
    SHORT,
    SLOW,
    busy,
    half_open,
    status,
)
from fault_rig import Bench, Usage, always, bench, first, first_wire, outcome_of, wire

from interlace import OutcomeUnknown, Payload, Reached
from interlaced.manifest.build import build
from interlaced.manifest.explain import explain
from interlaced.manifest.load import load
from interlaced.resilience.admission import Admission
from interlaced.testing.fakes import make_tools
from interlaced.testing.fault_proxy import Faults

DEADLINE = 3.0
KEY = "key-1"


@dataclass(frozen=True)
class Row:
    """A fault, and for each kind of write what the caller gets and how often it arrived whole."""

    fault: str
    inject: Callable[[Bench], None]
    keyed: tuple[str, int]
    plain: tuple[str, int]
    pooled: bool = False

    def __str__(self) -> str:
        return self.fault


UNKNOWN = "OUTCOME_UNKNOWN"
HELD = "UPSTREAM_RATE_LIMITED"
NO_WAY = "UPSTREAM_CONNECT"
DOWN = status("503 Down")
FLAKY = wire(CUT_REQUEST)
TRICKLE = wire(Faults(bandwidth=20))
VANISHED = wire(Faults(blackhole=True))
REFUSED = wire(Faults(refuse=True))

# fault, its injection, (outcome, arrivals) with a key and without
TABLE = [
    Row("F1 slow once", first(SLOW), ("ok", 2), (UNKNOWN, 1)),
    Row("F1 slow for ever", always(SLOW), ("UPSTREAM_TIMEOUT", 3), (UNKNOWN, 1)),
    Row("F2 trickles", TRICKLE, ("UPSTREAM_TIMEOUT", 3), (UNKNOWN, 1)),
    Row("F3 reset within the request", first_wire(CUT_REQUEST), ("ok", 1), (UNKNOWN, 0)),
    Row("F3 in every request", FLAKY, ("UPSTREAM_UNAVAILABLE", 0), (UNKNOWN, 0)),
    Row("F4 reset after the request", first(RESET), ("ok", 2), (UNKNOWN, 1)),
    Row("F4 after every request", always(RESET), ("UPSTREAM_UNAVAILABLE", 3), (UNKNOWN, 1)),
    Row("F5 body cut off", first(SHORT), ("ok", 2), (UNKNOWN, 1)),
    Row("F5 every body cut off", always(SHORT), ("UPSTREAM_TRUNCATED", 3), (UNKNOWN, 1)),
    Row("F6 half-open", half_open, ("ok", 1), (UNKNOWN, 0), pooled=True),
    Row("F6 nothing passes", VANISHED, ("UPSTREAM_TIMEOUT", 0), (UNKNOWN, 0)),
    Row("F7 refused", REFUSED, (NO_WAY, 0), (NO_WAY, 0)),
    Row("F8 429 once", first(busy()), ("ok", 2), ("ok", 2)),
    Row("F8 429 for ever", always(busy()), (HELD, 3), (HELD, 3)),
    Row("F10 503 once", first(DOWN), ("ok", 2), (UNKNOWN, 1)),
    Row("F10 503 for ever", always(DOWN), ("UPSTREAM_UNAVAILABLE", 3), (UNKNOWN, 1)),
    Row("F10 500", always(status("500 Broken")), ("UPSTREAM_FAILED", 1), ("UPSTREAM_FAILED", 1)),
    Row("F10 409", always(status("409 No")), ("UPSTREAM_CONFLICT", 1), ("UPSTREAM_CONFLICT", 1)),
    Row("F12 a login page", always(LOGIN_PAGE), ("UPSTREAM_MALFORMED", 1), (UNKNOWN, 1)),
    Row("F12 nothing at all, which a write may answer", always(EMPTY), ("ok", 1), ("ok", 1)),
    Row("F14 a gibibyte", always(GIBIBYTE), ("TOO_LARGE", 1), (UNKNOWN, 1)),
    Row("F14 a deflate bomb", always(BOMB), ("TOO_LARGE", 1), (UNKNOWN, 1)),
]  # fmt: skip
CASES = [(row, is_keyed) for row in TABLE for is_keyed in (True, False)]
IDS = [f"{row} {'k' if is_keyed else 'n'}" for row, is_keyed in CASES]


async def write(it: Bench, body: bytes, *, keyed: bool, timeout: float = 5.0) -> None:
    await it.client.call(
        "shop",
        "Write",
        payload=Payload("application/json", body),
        idempotency_key=KEY if keyed else "",
        timeout=timeout,
    )


@pytest.mark.parametrize(("row", "keyed"), CASES, ids=IDS)
async def test_b_write(row: Row, keyed: bool, tmp_path: Path) -> None:
    """L1, L2, L3 and L8 for one fault; and the next write after it has gone is well."""
    expect, arrivals = row.keyed if keyed else row.plain
    upstream = {"idle": "5s"} if row.pooled else None
    async with bench(tmp_path, upstream=upstream) as it:
        await write(it, b"0", keyed=True)
        base = Usage.now()
        if not row.pooled:
            await it.empty_pool()
        row.inject(it)
        accepted, began = it.proxy.accepted, time.monotonic()
        assert await outcome_of(write(it, b"1", keyed=keyed)) == expect
        assert time.monotonic() - began < DEADLINE + 2
        assert it.arrivals()[b"1"] == arrivals
        if not keyed and expect == UNKNOWN:
            assert it.proxy.accepted - accepted <= 1, "L3: one connection, and so one first byte"
        keys = {tuple(seen.headers("Idempotency-Key")) for seen in it.upstream.requests[1:]}
        assert keys <= {(KEY,) if keyed else ()}, "the key goes along, equal over attempts"
        it.heal()
        assert await outcome_of(write(it, b"2", keyed=keyed)) == "ok"
        assert it.arrivals()[b"2"] == 1
        await base.returns()


async def test_an_unknown_outcome_says_look_first(tmp_path: Path) -> None:
    """P1: a POST without a key that timed out after it was sent arrives once, and nobody is
    invited to send it again; a key on an operation that cannot carry one changes nothing."""
    async with bench(tmp_path) as it:
        it.always(SLOW)
        with pytest.raises(OutcomeUnknown) as caught:
            await write(it, b"1", keyed=False)
        error = caught.value
        assert error.reached is Reached.MAYBE
        assert not error.can_retry()
        assert not error.can_retry(is_idempotent=True)
        body = Payload("application/json", b"2")
        with pytest.raises(OutcomeUnknown):
            await it.client.call("shop", "Old", payload=body, idempotency_key=KEY)
        assert it.arrivals() == {b"1": 1, b"2": 1}


async def test_a_request_over_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """F14: 4 MiB and a little more."""
    async with bench(tmp_path) as it:
        body = b'"' + b"x" * (4 * 1024 * 1024) + b'"'
        assert await outcome_of(write(it, body, keyed=True)) == "TOO_LARGE"
        assert it.proxy.accepted == 0


async def test_a_dying_idle_connection_takes_no_write_twice(tmp_path: Path) -> None:
    """P18: the server's idle limit lies below ours; a write may find its connection closing, and
    is then unknown, but never there twice."""
    async with bench(tmp_path, upstream={"idle": "5s"}) as it:
        it.upstream.idle = 0.01
        outcomes = []
        for number in range(100):
            await asyncio.sleep(0.009 + (number % 5) / 1000)
            outcomes.append(await outcome_of(write(it, b"%d" % number, keyed=False)))
        assert set(outcomes) <= {"ok", UNKNOWN}
        assert max(it.arrivals().values()) == 1


def printed_attempts(folder: Path, name: str) -> int:
    """What `interlace explain` prints as the worst case."""
    generation = build(
        load([folder], env={}), tools=make_tools(), admission=Admission(8), previous=None
    )
    found = re.search(r"(\d+) upstream calls", explain(generation, name))
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_explain_prints_what_the_upstream_sees_at_most(attempts: int, tmp_path: Path) -> None:
    """L2, end to end: over all faults of columns A and B the most requests that one call makes are
    exactly what is printed."""
    policy = {"retry": {"attempts": attempts, "backoff": "1ms..2ms", "budget": "100%"}}
    operations = ("Read", "Write", "Old")
    seen = dict.fromkeys(operations, 0)
    async with bench(tmp_path, policy=policy) as it:
        # Calls that go well fill the budget, which is a matter of its own.
        await asyncio.gather(*(it.read(number) for number in range(80)))
        for number, fault in enumerate((RESET, DOWN, SHORT, busy(), LOGIN_PAGE, EMPTY)):
            it.always(fault)
            for operation in operations:
                before = it.upstream.hits
                await outcome_of(_ask(it, operation, number))
                seen[operation] = max(seen[operation], it.upstream.hits - before)
    printed = {name: printed_attempts(tmp_path, f"shop.{name}") for name in operations}
    assert seen == printed == dict.fromkeys(seen, attempts)


async def _ask(it: Bench, operation: str, number: int) -> None:
    if operation == "Read":
        await it.read(number)
        return
    body = Payload("application/json", b"%d" % number)
    await it.client.call("shop", operation, payload=body, idempotency_key=f"key-{number}")
