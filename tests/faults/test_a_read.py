"""Column A: reads through the whole service, under every fault that can meet them.

L1: answered in time. L2: never more requests than `explain` prints. L8: nothing is left over.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fault_answers import (
    BAD_CHUNK,
    BOMB,
    BYTE_ORDER_MARK,
    CUT_REQUEST,
    EMPTY,
    ENDLESS_HEAD,
    GIBIBYTE,
    LATIN,
    LOGIN_PAGE,
    MANY_CHUNKS,
    RESET,
    SHORT,
    SLOW,
    busy,
    half_open,
    status,
)
from fault_rig import (
    GOOD,
    Case,
    Usage,
    always,
    bench,
    eventually,
    first,
    first_wire,
    outcome_of,
    wire,
)
from raw_http import Answer

from interlace import DeadlineExceeded, Reached, ResourceExhausted, ServerError, Unavailable
from interlaced.testing.fault_proxy import Faults

DEADLINE = 3.0
ATTEMPTS = 3

DOWN = status("503 Down")
PAST = "Mon, 01 Jan 2001 00:00:00 GMT"
AHEAD = "Fri, 01 Jan 2100 00:00:00 GMT"
HELD = "UPSTREAM_RATE_LIMITED"

# fault, its injection, what the caller gets, whole requests that the upstream saw
TABLE = [
    Case("F1 slow once", first(SLOW), "ok", 2),
    Case("F1 slow for ever", always(SLOW), "UPSTREAM_TIMEOUT", 3),
    Case("F2 trickles twenty bytes a second", wire(Faults(bandwidth=20)), "UPSTREAM_TIMEOUT", 3),
    Case("F3 reset within the request", first_wire(CUT_REQUEST), "ok", 1),
    Case("F3 reset within every request", wire(CUT_REQUEST), "UPSTREAM_UNAVAILABLE", 0),
    Case("F4 reset after the request", first(RESET), "ok", 2),
    Case("F4 reset after every request", always(RESET), "UPSTREAM_UNAVAILABLE", 3),
    Case("F5 body cut off", first(SHORT), "ok", 2),
    Case("F5 every body cut off", always(SHORT), "UPSTREAM_TRUNCATED", 3),
    Case("F5 cut off on the wire", first_wire(Faults(limit_data=60)), "ok", 2),
    Case("F5 chunk of nonsense", always(BAD_CHUNK), "UPSTREAM_MALFORMED", 1),
    Case("F6 half-open", half_open, "ok", 1, pooled=True),
    Case("F6 nothing passes", wire(Faults(blackhole=True)), "UPSTREAM_TIMEOUT", 0),
    Case("F7 refused", wire(Faults(refuse=True)), "UPSTREAM_CONNECT", 0),
    Case("F8 429 with a wait that fits", first(busy("1")), "ok", 2),
    Case("F8 429 with a wait that does not", always(busy("3600")), HELD, 1, after=HELD),
    Case("F8 429 with a date that is past", first(busy(PAST)), "ok", 2),
    Case("F8 429 with a date far ahead", always(busy(AHEAD)), HELD, 1, after=HELD),
    Case("F8 429 with garbage", first(busy("soon")), "ok", 2),
    Case("F8 429 for ever", always(busy()), "UPSTREAM_RATE_LIMITED", 3),
    Case("F10 503 once", first(DOWN), "ok", 2),
    Case("F10 503 for ever", always(DOWN), "UPSTREAM_UNAVAILABLE", 3),
    Case("F10 500 is not temporary", always(status("500 Broken")), "UPSTREAM_FAILED", 1),
    Case("F10 404 is tried once", always(status("404 No")), "UPSTREAM_NOT_FOUND", 1),
    Case("F12 a login page", always(LOGIN_PAGE), "UPSTREAM_MALFORMED", 1),
    Case("F12 nothing at all", always(EMPTY), "UPSTREAM_MALFORMED", 1),
    Case("F12 a byte order mark", always(BYTE_ORDER_MARK), "UPSTREAM_MALFORMED", 1),
    Case("F12 another charset", always(LATIN), "UPSTREAM_MALFORMED", 1),
    Case("F12 a redirect is not followed", always(status("302 Found")), "UPSTREAM_MALFORMED", 1),
    Case("F14 a gibibyte is announced", always(GIBIBYTE), "TOO_LARGE", 1),
    Case("F14 chunks over the limit", always(MANY_CHUNKS), "TOO_LARGE", 1),
    Case("F14 a deflate bomb", always(BOMB), "TOO_LARGE", 1),
    Case("F14 headers without end", always(ENDLESS_HEAD), "TOO_LARGE", 1),
]


@pytest.mark.parametrize("case", TABLE, ids=str)
async def test_a_read(case: Case, tmp_path: Path) -> None:
    """L1, L2 and L8 for one fault; and the next read after it has gone is well."""
    upstream = {"idle": "5s"} if case.pooled else None
    async with bench(tmp_path, upstream=upstream) as it:
        assert await outcome_of(it.read()) == "ok"
        base, before = Usage.now(), it.upstream.hits
        if not case.pooled:
            await it.empty_pool()
        case.inject(it)
        began = time.monotonic()
        assert await outcome_of(it.read()) == case.expect
        assert time.monotonic() - began < DEADLINE + 2
        assert it.upstream.hits - before == case.hits
        assert case.hits <= ATTEMPTS
        it.heal()
        assert await outcome_of(it.read()) == case.after
        if case.after != "ok":
            assert it.upstream.hits - before == case.hits, "all callers of the upstream are held"
        await base.returns()


async def test_what_goes_wrong_is_told_whole(tmp_path: Path) -> None:
    """Every failure says how often it was tried, how far it got and when to be back; no text of
    the upstream's is among it."""
    async with bench(tmp_path) as it:
        it.always(LOGIN_PAGE)
        with pytest.raises(ServerError) as malformed:
            await it.read()
        assert "canary" not in str(malformed.value.facts)
        assert malformed.value.metadata["operation"] == "Read"

        it.always(DOWN)
        with pytest.raises(Unavailable) as down:
            await it.read()
        assert down.value.metadata["attempts"] == "3"
        assert (down.value.pushback or 0) < 0, "we have spent the retries ourselves"

        it.always(busy("3600"))
        with pytest.raises(ResourceExhausted) as limited:
            await it.read()
        assert limited.value.retry_after == pytest.approx(3600, abs=60)


async def test_a_breaker_opens_fails_fast_and_closes_after_one_probe(tmp_path: Path) -> None:
    """F10: while everything fails the upstream is soon left alone, and one probe finds it healed;
    F7 counts, a 404 does not."""
    breaker = {"consecutive": 3, "open": "300ms", "probes": 1}
    policy = {"breaker": breaker, "retry": {"attempts": 1}}
    async with bench(tmp_path, policy=policy) as it:
        it.always(status("404 No"))
        assert {await outcome_of(it.read()) for _ in range(5)} == {"UPSTREAM_NOT_FOUND"}
        it.always(DOWN)
        assert [await outcome_of(it.read()) for _ in range(5)] == [
            *["UPSTREAM_UNAVAILABLE"] * 3,
            *["BREAKER_OPEN"] * 2,
        ]
        hits = it.upstream.hits
        it.heal()
        it.always(Answer(GOOD.data, before=0.1))
        await asyncio.sleep(0.35)
        outcomes = await asyncio.gather(*(outcome_of(it.read()) for _ in range(10)))
        assert outcomes.count("ok") == 1
        assert it.upstream.hits == hits + 1, "one probe, and nobody beside it"
        assert await outcome_of(it.read()) == "ok"
        await it.empty_pool()
        it.proxy.script(Faults(refuse=True))
        assert [await outcome_of(it.read()) for _ in range(4)] == [
            *["UPSTREAM_CONNECT"] * 3,
            "BREAKER_OPEN",
        ]


async def test_callers_that_wait_for_a_429_are_let_go_one_by_one(tmp_path: Path) -> None:
    """F8: twenty callers are held by one answer, and come back spread over time."""
    policy = {"deadline": "10s", "attempt_timeout": "5s"}
    async with bench(tmp_path, policy=policy) as it:
        it.answer(busy("1"))
        assert await outcome_of(it.read(timeout=0.5)) == "UPSTREAM_RATE_LIMITED"
        arrived: list[float] = []
        it.upstream.default = GOOD
        hits = it.upstream.hits

        async def read() -> None:
            await it.read(timeout=9.0)
            arrived.append(time.monotonic())

        async with asyncio.timeout(15):
            await asyncio.gather(*(read() for _ in range(20)))
        assert it.upstream.hits == hits + 20
        assert max(arrived) - min(arrived) > 0.1, "no stampede"


async def test_a_deadline_travels_and_closes_the_upstream_connection(tmp_path: Path) -> None:
    """P5: 300 ms to spend, an upstream that sleeps: DEADLINE_EXCEEDED, no attempt after it, and the
    connection is closed."""
    async with bench(tmp_path, policy={"attempt_timeout": "2s"}) as it:
        it.always(Answer(then="hang"))
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            await it.read(timeout=0.3)
        assert time.monotonic() - began < 0.3 + 2
        await eventually(lambda: it.upstream.open == 0)
        await asyncio.sleep(0.3)
        assert it.upstream.hits == 1


async def test_a_server_that_closes_idle_connections_costs_reads_nothing(tmp_path: Path) -> None:
    """P18: the server's idle limit lies below ours, so that some requests meet a connection that
    is just closing: every read is answered all the same."""
    async with bench(tmp_path, upstream={"idle": "5s"}, policy={"retry": {"budget": "100%"}}) as it:
        it.upstream.idle = 0.02
        for number in range(90):
            assert await outcome_of(it.read(number)) == "ok"
            await asyncio.sleep(0.02 if number % 3 else 0.005)
        assert it.upstream.connections > 10, "connections did close in between"


async def test_an_upstream_at_its_limit_that_times_out_gives_all_room_back(tmp_path: Path) -> None:
    """P19: more calls than places, all of them timed out or refused; then the upstream heals and
    as many calls as there are places go through at once."""
    policy = {
        "deadline": "1s",
        "bulkhead": {"in_flight": 8, "queue": 8},
        "retry": {"attempts": 1},
    }
    async with bench(tmp_path, policy=policy) as it:
        assert await outcome_of(it.read()) == "ok"
        base = Usage.now()
        it.always(Answer(then="hang"))
        for _ in range(3):
            outcomes = await asyncio.gather(*(outcome_of(it.read()) for _ in range(40)))
            assert set(outcomes) <= {"UPSTREAM_TIMEOUT", "BULKHEAD_FULL", "DEADLINE_SPENT"}
            assert outcomes.count("BULKHEAD_FULL") == 24
        it.heal()
        assert await asyncio.gather(*(outcome_of(it.read()) for _ in range(16))) == ["ok"] * 16
        await base.returns()


async def test_a_name_without_an_address_is_not_reached(tmp_path: Path) -> None:
    """F7: nothing was sent, and the caller may come back."""
    nowhere = {"rest": "http://nowhere.invalid", "connect_timeout": "300ms"}
    async with bench(tmp_path, upstream=nowhere) as it:
        with pytest.raises(Unavailable) as caught:
            await it.read()
        assert caught.value.reason == "UPSTREAM_CONNECT"
        assert caught.value.reached is Reached.NOT_SENT
