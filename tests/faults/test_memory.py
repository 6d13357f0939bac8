"""Columns A, B and C for the memory kind: the same policies stand around it, so that the same
faults have the same outcomes, whatever the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_rig import POLICY, Usage, write_manifest
from served import served

from interlace import Branch, Call, Client, InterlaceError, Payload, Policy

SLOW = {"delay": "5s"}
HELD = "UPSTREAM_RATE_LIMITED"
UNKNOWN = "OUTCOME_UNKNOWN"


def fail(reason: str, reached: str, **more: object) -> Mapping[str, object]:
    return {"fail": {"reason": reason, "reached": reached, **more}}


@dataclass(frozen=True)
class Row:
    """A fault, what the operation plays, and per column the outcome and the attempts."""

    fault: str
    plays: Mapping[str, object]
    read: tuple[str, int]
    keyed: tuple[str, int]
    plain: tuple[str, int]

    def __str__(self) -> str:
        return self.fault


GONE = fail("UPSTREAM_UNAVAILABLE", "maybe")
GONE_ONCE = fail("UPSTREAM_UNAVAILABLE", "maybe", times=1)
REFUSED = fail("UPSTREAM_CONNECT", "not_sent")
REFUSED_ONCE = fail("UPSTREAM_CONNECT", "not_sent", times=1)
SHORT = fail("UPSTREAM_TRUNCATED", "maybe")
LIMITED = fail(HELD, "replied")
LIMITED_ONCE = fail(HELD, "replied", times=1)
FOR_AN_HOUR = fail(HELD, "replied", retry_after="1h")
BROKEN = fail("UPSTREAM_FAILED", "replied")
NONSENSE = fail("UPSTREAM_MALFORMED", "maybe")

# fault, what is played, (outcome, attempts) of a read, of a write with a key, and without one
TABLE = [
    Row("F1 slow", SLOW, ("UPSTREAM_TIMEOUT", 3), ("UPSTREAM_TIMEOUT", 3), (UNKNOWN, 1)),
    Row("F4 lost once", GONE_ONCE, ("ok", 2), ("ok", 2), (UNKNOWN, 1)),
    Row("F4 lost", GONE, ("UPSTREAM_UNAVAILABLE", 3), ("UPSTREAM_UNAVAILABLE", 3), (UNKNOWN, 1)),
    Row("F5 cut off", SHORT, ("UPSTREAM_TRUNCATED", 3), ("UPSTREAM_TRUNCATED", 3), (UNKNOWN, 1)),
    Row("F7 refused once", REFUSED_ONCE, ("ok", 2), ("ok", 2), ("ok", 2)),
    Row("F7 refused", REFUSED, *[("UPSTREAM_CONNECT", 3)] * 3),
    Row("F8 429 once", LIMITED_ONCE, ("ok", 2), ("ok", 2), ("ok", 2)),
    Row("F8 429", LIMITED, *[(HELD, 3)] * 3),
    Row("F8 429 for an hour", FOR_AN_HOUR, *[(HELD, 1)] * 3),
    Row("F10 500", BROKEN, *[("UPSTREAM_FAILED", 1)] * 3),
    Row("F12 nonsense", NONSENSE, *[("UPSTREAM_MALFORMED", 1)] * 2, (UNKNOWN, 1)),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
async def test_a_b_and_c(row: Row, tmp_path: Path) -> None:
    """L1, L2, L3, L8."""
    unsafe = {"effect": "unsafe", **row.plays}
    operations = {
        "Read": {"reply": 1, **row.plays},
        "Keyed": {"reply": 1, "takes_key": True, **unsafe},
        "Plain": {"reply": 1, **unsafe},
        "Branch": {"reply": 1, **row.plays},
        "Well": {"reply": 1},
    }
    # Each operation has an upstream of its own here: a pause would hold the next one as well.
    for name, operation in operations.items():
        document = {
            "upstream": {"memory": "faults"},
            "policy": POLICY,
            "operations": {name: operation},
        }
        write_manifest(tmp_path, "canned" if name == "Well" else name.lower(), document)
    async with served(tmp_path) as service, Client(service.address) as client:
        await client.call("canned", "Well")
        base = Usage.now()

        async def ask(operation: str, key: str = "") -> tuple[str, int]:
            body = Payload("application/json", b"1")
            call = client.call(operation.lower(), operation, payload=body, idempotency_key=key)
            try:
                return "ok", (await call).effort.attempts
            except InterlaceError as error:
                return error.reason, int(error.metadata["attempts"])

        found = await asyncio.gather(ask("Read"), ask("Keyed", "k"), ask("Plain"))
        assert found == [row.read, row.keyed, row.plain]
        branches = [
            Branch("sick", Call("branch", "Branch")),
            Branch("well", Call("canned", "Well")),
        ]
        sick, well = await client.fan_out(branches, policy=Policy.best_effort())
        assert well.is_ok
        assert (sick.error.reason if sick.error else "ok", sick.effort.attempts) == row.read
        await base.returns()
