from __future__ import annotations

import pytest
from rpc_bench import a_guard, a_scope

from interlace.v1 import catalog_service_pb2 as pb
from interlaced.core import ports
from interlaced.core.catalog import (
    CatalogSnapshot,
    ConnectorEntry,
    FeedEntry,
    OperationEntry,
    SinkEntry,
)
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effect
from interlaced.rpc.catalog import (
    DURABILITIES,
    EFFECTS,
    ORDERS,
    Catalog,
    ConnectorState,
    FeedInfo,
)

CAPABILITY = ports.Capability(
    durability=ports.Durability.REPLICATED_LAZY, order=ports.Order.TOTAL, ack=True, replay=True
)


def an_entry(name: str) -> ConnectorEntry:
    operation = OperationEntry(
        name="Get",
        description="Gets.",
        effect=Effect.SAFE,
        parameters=(ports.Parameter("id", ports.ParameterType.INTEGER, is_required=True),),
        policy=("deadline 10s",),
        worst_case_seconds=10.5,
        worst_case_attempts=3,
    )
    feed = FeedEntry(name="Orders", description="", capability=CAPABILITY, dead_letters="x.dead")
    sink = SinkEntry(name="Orders", description="", capability=CAPABILITY)
    return ConnectorEntry(
        name=name,
        kind="rest",
        description="",
        operations=(operation,),
        feeds=(feed,),
        sinks=(sink,),
    )


def a_catalog(count: int = 3) -> Catalog:
    names = [f"c{number:04}" for number in reversed(range(count))]
    snapshot = CatalogSnapshot(
        connectors={name: an_entry(name) for name in names}, config_hash="abc", load_time=1.5
    )
    return Catalog(
        guard=a_guard(),
        snapshot=lambda: snapshot,
        connector_state=lambda name: ConnectorState(name != "c0001", "the breaker is open"),
        feed_info=lambda name: FeedInfo(7, "live") if name == "c0000.Orders" else FeedInfo(),
    )


async def page(catalog: Catalog, size: int = 0, token: str = "") -> pb.ListConnectorsResponse:
    scope, _ = a_scope()
    request = pb.ListConnectorsRequest(page_size=size, page_token=token)
    return pb.ListConnectorsResponse.FromString(await catalog.list_connectors(request, scope))


@pytest.mark.parametrize(
    ("table", "enum", "proto"),
    [
        (EFFECTS, Effect, pb.Effect),
        (DURABILITIES, ports.Durability, pb.Durability),
        (ORDERS, ports.Order, pb.DeliveryOrder),
    ],
)
def test_enums_are_complete_in_both_directions(table: dict, enum: type, proto: object) -> None:  # type: ignore[type-arg]  # one test for three types
    assert set(table) == set(enum)  # type: ignore[call-overload]  # an enum iterates
    assert sorted([0, *table.values()]) == sorted(proto.values())  # type: ignore[attr-defined]  # made by protobuf
    for member, value in table.items():
        assert proto.Name(value).endswith(f"_{member.name}")  # type: ignore[attr-defined]  # as above


async def test_pages_are_in_order_and_complete() -> None:
    catalog = a_catalog(7)
    first = await page(catalog, 3)
    second = await page(catalog, 3, first.next_page_token)
    third = await page(catalog, 3, second.next_page_token)
    names = [info.name for part in (first, second, third) for info in part.connectors]
    assert names == [f"c{number:04}" for number in range(7)]
    assert third.next_page_token == ""
    assert (first.config_hash, first.load_time.ToMilliseconds()) == ("abc", 1500)


async def test_the_usual_page_and_the_largest() -> None:
    catalog = a_catalog(1100)
    assert len((await page(catalog)).connectors) == 100
    assert len((await page(catalog, 5000)).connectors) == 1000
    with pytest.raises(Failure) as caught:
        await page(catalog, -1)
    assert caught.value.fields[0].field == "page_size"


async def test_a_connector_is_described_with_its_state_of_the_moment() -> None:
    scope, _ = a_scope()
    request = pb.GetConnectorRequest(name="c0000")
    data = await a_catalog().get_connector(request, scope)
    info = pb.GetConnectorResponse.FromString(data).connector
    assert info.state == pb.CONNECTOR_STATE_OK
    (operation,), (feed,), (sink,) = info.operations, info.feeds, info.sinks
    assert (operation.effect, operation.worst_case_attempts) == (pb.EFFECT_SAFE, 3)
    assert operation.worst_case_time.ToMilliseconds() == 10_500
    assert (operation.parameters[0].type, operation.parameters[0].required) == ("integer", True)
    assert list(operation.policy) == ["deadline 10s"]
    assert (feed.subscribers, feed.state, feed.dead_letters) == (7, "live", "x.dead")
    assert sink.capability.durability == pb.DURABILITY_REPLICATED_LAZY
    assert (sink.capability.order, sink.capability.ack) == (pb.DELIVERY_ORDER_TOTAL, True)
    request.name = "c0001"
    data = await a_catalog().get_connector(request, scope)
    degraded = pb.GetConnectorResponse.FromString(data).connector
    assert (degraded.state, degraded.state_reason) == (
        pb.CONNECTOR_STATE_DEGRADED,
        "the breaker is open",
    )


async def test_an_unknown_connector_is_not_found() -> None:
    scope, _ = a_scope()
    with pytest.raises(Failure) as caught:
        await a_catalog().get_connector(pb.GetConnectorRequest(name="x"), scope)
    assert caught.value.reason is Reason.UNKNOWN_CONNECTOR
