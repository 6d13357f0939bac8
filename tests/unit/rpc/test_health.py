"""Health alone; tests/rpc/test_health.py proves it over the wire."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2 as pb
from rpc_bench import a_guard, a_scope

from interlaced.core.failure import Failure
from interlaced.rpc.health import Health


async def check(health: Health, name: str) -> int:
    scope, _ = a_scope()
    data = await health.check(pb.HealthCheckRequest(service=name), scope)
    return int(pb.HealthCheckResponse.FromString(data).status)


async def test_a_sick_connector_does_not_make_the_whole_sick() -> None:
    health = Health(guard=a_guard(), services=["s"])
    health.set_connectors({"shop": False})
    assert await check(health, "connector/shop") == 2
    assert (await check(health, ""), await check(health, "s")) == (1, 1)


async def test_connectors_that_are_gone_are_forgotten() -> None:
    health = Health(guard=a_guard(), services=[])
    health.set_connectors({"shop": True})
    health.set_connectors({"other": True})
    with pytest.raises(Failure):
        await check(health, "connector/shop")


async def test_shutdown_is_for_good() -> None:
    health = Health(guard=a_guard(), services=["s"])
    health.enter_graceful_shutdown()
    health.set_connectors({"late": True})
    assert await check(health, "s") == 2
