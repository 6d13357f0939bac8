"""The GatewayService of the fake server, where tests rely on what it plays."""

from __future__ import annotations

import asyncio

import pytest

from interlace import (
    ArgumentFrom,
    Branch,
    Call,
    Client,
    Ledger,
    Policy,
    PolicyNotMet,
    SessionLost,
)
from interlace.testing import Failed, FakeServer


@pytest.fixture
def scripted(server: FakeServer) -> FakeServer:
    server.on("shop", "Get", {"customer": {"ids": ["x/y", "b"]}})
    server.on("shop", "Echo", lambda call: dict(call.parameters))
    server.on("shop", "Bad", Failed("UPSTREAM_FAILED"))
    server.on("shop", "Slow", lambda call: asyncio.sleep(30))
    return server


GET, BAD, SLOW = Call("shop", "Get"), Call("shop", "Bad"), Call("shop", "Slow")


@pytest.mark.parametrize(
    ("policy", "calls", "is_met"),
    [
        (Policy.all(), [GET, GET], True),
        (Policy.all(), [GET, BAD], False),
        (Policy.all(), [SLOW, BAD], False),
        (Policy.quorum(2), [GET, GET, SLOW], True),
        (Policy.quorum(2), [GET, BAD, BAD], False),
        (Policy.first_ok(), [BAD, GET, SLOW], True),
        (Policy.first_ok(), [BAD, BAD], False),
        (Policy.best_effort(), [BAD, BAD], True),
    ],
)
async def test_each_policy_is_decided_as_soon_as_it_can_be(
    scripted: FakeServer, client: Client, policy: Policy, calls: list[Call], is_met: bool
) -> None:
    branches = [Branch(str(number), call) for number, call in enumerate(calls)]
    if is_met:
        outcomes = await client.fan_out(branches, policy=policy, timeout=5)
        assert [outcome.branch for outcome in outcomes] == [branch.name for branch in branches]
    else:
        with pytest.raises(PolicyNotMet) as raised:
            await client.fan_out(branches, policy=policy, timeout=5)
        assert raised.value.ledger is not None
        assert len(raised.value.ledger.entries) == len(branches)


async def test_a_required_branch_must_succeed(scripted: FakeServer, client: Client) -> None:
    branches = [Branch("a", GET), Branch("b", BAD, required=True)]
    with pytest.raises(PolicyNotMet):
        await client.fan_out(branches, policy=Policy.best_effort())


async def test_arguments_come_from_other_branches(scripted: FakeServer, client: Client) -> None:
    taken = ArgumentFrom("a", "/customer/ids/0", "id")
    branches = [Branch("a", GET), Branch("b", Call("shop", "Echo"), arguments_from=[taken])]
    outcomes = await client.fan_out(branches)
    assert outcomes[1].unwrap().json() == {"id": "x/y"}
    branches[0] = Branch("a", BAD)
    outcomes = await client.fan_out(branches, policy=Policy.best_effort())
    assert outcomes[1].error is not None
    assert outcomes[1].error.reason == "DEPENDENCY_FAILED"


async def test_a_stream_ends_with_its_ledger(scripted: FakeServer, client: Client) -> None:
    items = [item async for item in client.stream_fan_out([Branch("a", GET)])]
    assert isinstance(items[-1], Ledger)
    assert items[-1].policy_met


async def test_sessions_end_on_request(scripted: FakeServer, client: Client) -> None:
    async with client.session(reconnect=None) as session:
        caller = asyncio.create_task(session.call("shop", "Slow"))
        while not scripted.calls:
            await asyncio.sleep(0.002)
        scripted.end_sessions()
        with pytest.raises(SessionLost):
            await caller
