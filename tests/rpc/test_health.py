"""Health over the wire: Check, Watch, List, connectors and the drain."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from rpc_rig import GATEWAY, info_of, serving, status_of

from interlaced.rpc.descriptors import serving_pool

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def asking(name: str) -> Any:
    return health_pb2.HealthCheckRequest(service=name)


async def test_check_knows_the_whole_each_service_and_each_connector() -> None:
    async with serving() as rig:
        stub = health_pb2_grpc.HealthStub(rig.channel)
        rig.health.set_connectors({"shop": True, "ticker": False})
        for name, status in (
            ("", SERVING),
            (GATEWAY, SERVING),
            ("connector/shop", SERVING),
            ("connector/ticker", NOT_SERVING),
        ):
            assert (await stub.Check(asking(name))).status == status
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(asking("connector/nobody"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert info_of(status_of(caught.value)).reason == "UNKNOWN_CONNECTOR"


async def test_watch_of_an_unknown_name_stays_open_and_hears_when_it_is_known() -> None:
    async with serving() as rig:
        stub = health_pb2_grpc.HealthStub(rig.channel)
        watch = stub.Watch(asking("connector/shop"))
        assert (await watch.read()).status == UNKNOWN
        rig.health.set_connectors({"shop": True})
        assert (await watch.read()).status == SERVING
        rig.health.set_connectors({"shop": False})
        assert (await watch.read()).status == NOT_SERVING
        rig.health.set_connectors({})
        assert (await watch.read()).status == UNKNOWN
        watch.cancel()


async def test_shutdown_pins_everything_to_not_serving() -> None:
    """R8: and later sets are ignored."""
    async with serving() as rig:
        stub = health_pb2_grpc.HealthStub(rig.channel)
        rig.server.begin_drain()
        rig.health.set_connectors({"late": True})
        assert (await stub.Check(asking(""))).status == NOT_SERVING
        assert (await stub.Check(asking(GATEWAY))).status == NOT_SERVING


async def test_list_tells_everything() -> None:
    """gRFC A90, which the stock package of the pinned line lacks."""
    pool = serving_pool()
    response = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("grpc.health.v1.HealthListResponse")
    )
    async with serving() as rig:
        rig.health.set_connectors({"shop": False})
        ask = rig.channel.unary_unary("/grpc.health.v1.Health/List")
        listed: Any = response.FromString(await ask(b""))
        statuses = {name: entry.status for name, entry in listed.statuses.items()}
        assert statuses == {"": SERVING, GATEWAY: SERVING, "connector/shop": NOT_SERVING}
        rig.health.set_connectors({f"c{number}": True for number in range(100)})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"")
        assert info_of(status_of(caught.value)).reason == "TOO_LARGE"
