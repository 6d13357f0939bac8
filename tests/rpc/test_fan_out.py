"""P2: five branches, two of which fail, under every policy, over the wire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from rpc_rig import Rig, a_call, detail_of, info_of, serving, status_of

from interlace.v1 import gateway_service_pb2 as pb

ANSWERS = ("Echo", "Fail", "Echo", "Fail", "Echo")


def branches(*required: int) -> list[pb.Branch]:
    return [
        pb.Branch(
            name=f"b{place}",
            call=a_call(operation, reason="UPSTREAM_UNAVAILABLE"),
            required=place in required,
        )
        for place, operation in enumerate(ANSWERS)
    ]


def policy(rule: str, count: int = 0) -> pb.CompletionPolicy:
    made = pb.CompletionPolicy()
    getattr(made, rule).SetInParent()
    if count:
        made.quorum.count = count
    return made


async def fan_out(
    rig: Rig, legs: Sequence[pb.Branch], rule: pb.CompletionPolicy, **options: Any
) -> Any:
    return await rig.stub.FanOut(pb.FanOutRequest(branches=legs, policy=rule), **options)


async def refused(awaitable: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await awaitable
    return caught.value


async def assert_nothing_is_left(rig: Rig, before: set[Any]) -> None:
    """No task of the fan-out and no upstream request outlives the reply."""
    assert rig.upstream.open == 0
    left = {task for task in asyncio.all_tasks() - before if "_perform" in repr(task)}
    assert left == set()


@pytest.mark.parametrize(
    ("rule", "count", "required", "code"),
    [
        ("all", 0, (), "ABORTED"),
        ("quorum", 3, (), "OK"),
        ("quorum", 4, (), "ABORTED"),
        ("quorum", 2, (1,), "ABORTED"),
        ("first_ok", 0, (), "OK"),
        ("first_ok", 0, (3,), "ABORTED"),
        ("best_effort", 0, (), "OK"),
        ("best_effort", 0, (1,), "ABORTED"),
        ("best_effort", 0, (0, 2), "OK"),
    ],
)
async def test_five_branches_two_fail(
    rule: str, count: int, required: tuple[int, ...], code: str
) -> None:
    """P2: the documented code, an outcome per branch, and no task alive after the reply."""
    async with serving() as rig:
        before = asyncio.all_tasks()
        call = fan_out(rig, branches(*required), policy(rule, count))
        if code == "OK":
            response = await call
            assert [outcome.branch for outcome in response.outcomes] == [
                f"b{place}" for place in range(5)
            ]
            assert all(outcome.WhichOneof("result") for outcome in response.outcomes)
        else:
            error = await refused(call)
            assert error.code().name == code
            status = status_of(error)
            assert info_of(status).reason == "POLICY_NOT_MET"
            ledger = detail_of(status, pb.FanOutLedger)
            assert len(ledger.entries) == 5
            assert not ledger.policy_met
        await assert_nothing_is_left(rig, before)


async def test_losers_are_cancelled_and_say_so() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="fast", call=a_call("Echo")),
            pb.Branch(name="slow", call=a_call("Sleep", seconds=30.0)),
        ]
        response = await fan_out(rig, legs, policy("first_ok"))
        assert rig.upstream.open == 0
        assert response.outcomes[0].WhichOneof("result") == "payload"
        info = info_of(response.outcomes[1].status)
        assert (info.reason, info.metadata["decided"]) == ("CALLER_CANCELLED", "policy")


async def test_it_fails_as_soon_as_it_cannot_be_met() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="bad", call=a_call("Fail", reason="UPSTREAM_FAILED")),
            pb.Branch(name="slow", call=a_call("Sleep", seconds=30.0)),
        ]
        started = time.monotonic()
        await refused(fan_out(rig, legs, policy("all")))
        assert time.monotonic() - started < 5
        assert rig.upstream.open == 0


async def test_best_effort_answers_before_the_callers_deadline() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="fast", call=a_call("Echo")),
            pb.Branch(name="slow", call=a_call("Sleep", seconds=30.0)),
        ]
        response = await fan_out(rig, legs, policy("best_effort"), timeout=0.5)
        assert response.outcomes[0].WhichOneof("result") == "payload"
        assert info_of(response.outcomes[1].status).reason == "UPSTREAM_TIMEOUT"


async def test_time_decides_as_deadline_exceeded_with_the_ledger() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="fast", call=a_call("Echo")),
            pb.Branch(name="slow", call=a_call("Sleep", seconds=30.0)),
        ]
        error = await refused(fan_out(rig, legs, policy("all"), timeout=0.5))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert info_of(status_of(error)).reason == "POLICY_NOT_MET"
        assert len(detail_of(status_of(error), pb.FanOutLedger).entries) == 2


async def test_arguments_travel_from_one_branch_to_another() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="first", call=a_call("Value", id="42")),
            pb.Branch(
                name="second",
                call=a_call("Value"),
                arguments_from=[pb.BranchArgument(branch="first", pointer="/id", parameter="of")],
            ),
        ]
        response = await fan_out(rig, legs, policy("all"))
        assert response.outcomes[1].payload.data == b'{"of":"42"}'


async def test_dependants_of_a_failed_branch_make_no_attempt() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="bad", call=a_call("Fail", reason="UPSTREAM_NOT_FOUND")),
            pb.Branch(
                name="child",
                call=a_call("Echo"),
                arguments_from=[pb.BranchArgument(branch="bad", pointer="/id", parameter="id")],
            ),
            pb.Branch(
                name="grandchild",
                call=a_call("Echo"),
                arguments_from=[pb.BranchArgument(branch="child", pointer="/id", parameter="id")],
            ),
        ]
        response = await fan_out(rig, legs, policy("best_effort"))
        for outcome in response.outcomes[1:]:
            assert info_of(outcome.status).reason == "DEPENDENCY_FAILED"
            assert outcome.effort.attempts == 0
        assert [call.operation for call in rig.upstream.calls] == ["Fail"]


async def test_257_branches_are_refused() -> None:
    """T30: one call cannot become thousands."""
    async with serving() as rig:
        legs = [pb.Branch(name=f"b{place}", call=a_call("Echo")) for place in range(257)]
        error = await refused(fan_out(rig, legs, policy("all")))
        request = detail_of(status_of(error), error_details_pb2.BadRequest)
        assert request.field_violations[0].field == "branches"
        assert rig.upstream.calls == []


async def test_the_ledger_of_256_branches_fits_into_the_trailers() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name=f"{place:064}", call=a_call("Fail", reason="UPSTREAM_UNAVAILABLE"))
            for place in range(256)
        ]
        error = await refused(fan_out(rig, legs, policy("quorum", 1)))
        assert error.code() is grpc.StatusCode.ABORTED
        ledger = detail_of(status_of(error), pb.FanOutLedger)
        assert ledger.ByteSize() <= 4096
        assert len(ledger.entries) + ledger.entries_omitted == 256
        assert ledger.entries_omitted > 0


async def test_a_stream_yields_outcomes_as_they_land_then_the_ledger() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="slow", call=a_call("Sleep", seconds=0.2)),
            pb.Branch(name="fast", call=a_call("Echo")),
            pb.Branch(name="bad", call=a_call("Fail", reason="UPSTREAM_FAILED")),
        ]
        request = pb.StreamFanOutRequest(branches=legs, policy=policy("quorum", 2))
        frames = [frame async for frame in rig.stub.StreamFanOut(request)]
        landed = [frame.outcome.branch for frame in frames[:-1]]
        assert landed[-1] == "slow"
        assert sorted(landed) == ["bad", "fast", "slow"]
        assert frames[-1].ledger.policy_met
        assert [entry.branch for entry in frames[-1].ledger.entries] == ["slow", "fast", "bad"]


async def test_a_stream_whose_policy_was_not_met_ends_with_that_behind_the_ledger() -> None:
    async with serving() as rig:
        request = pb.StreamFanOutRequest(branches=branches(), policy=policy("all"))
        stream = rig.stub.StreamFanOut(request)
        frames = [await stream.read() for _ in range(6)]
        error = await refused(stream.read())
        assert error.code() is grpc.StatusCode.ABORTED
        assert frames[-1].WhichOneof("frame") == "ledger"
        assert not frames[-1].ledger.policy_met


async def test_a_bug_in_a_branch_is_a_fixed_text() -> None:
    """P26: exception text does not leave through an outcome either."""
    async with serving() as rig:
        legs = [pb.Branch(name="bug", call=a_call("Bug"))]
        response = await fan_out(rig, legs, policy("best_effort"))
        assert info_of(response.outcomes[0].status).reason == "INTERNAL_ERROR"
        assert "secret" not in str(response)


async def test_an_oversized_outcome_fails_its_branch_alone() -> None:
    async with serving() as rig:
        legs = [
            pb.Branch(name="big", call=a_call("Body", size="5000000")),
            pb.Branch(name="small", call=a_call("Echo")),
        ]
        request = pb.StreamFanOutRequest(branches=legs, policy=policy("best_effort"))
        frames = [frame async for frame in rig.stub.StreamFanOut(request)]
        big = next(frame.outcome for frame in frames if frame.outcome.branch == "big")
        assert info_of(big.status).reason == "TOO_LARGE"
        entries = {entry.branch: entry.reason for entry in frames[-1].ledger.entries}
        assert entries == {"big": "TOO_LARGE", "small": ""}  # the ledger tells the same
        answer = await rig.stub.FanOut(pb.FanOutRequest(branches=legs, policy=policy("first_ok")))
        assert [each.WhichOneof("result") for each in answer.outcomes] == ["status", "payload"]
