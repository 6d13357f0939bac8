"""CatalogService: what is there, from a snapshot and the state of the moment."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from interlace.v1 import catalog_service_pb2 as pb
from interlaced.core import catalog, ports
from interlaced.core.catalog import CatalogSnapshot, ConnectorEntry, FeedEntry, OperationEntry
from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effect
from interlaced.rpc.guard import Guard, Scope
from interlaced.rpc.mapping import Fields, duration_message

__all__ = ["DURABILITIES", "EFFECTS", "ORDERS", "Catalog", "ConnectorState", "FeedInfo"]

SERVICE = "interlace.v1.CatalogService"

EFFECTS: Mapping[Effect, pb.Effect.ValueType] = {
    Effect.SAFE: pb.EFFECT_SAFE,
    Effect.IDEMPOTENT: pb.EFFECT_IDEMPOTENT,
    Effect.UNSAFE: pb.EFFECT_UNSAFE,
}
"""Effects, as the API says them."""

DURABILITIES: Mapping[ports.Durability, pb.Durability.ValueType] = {
    ports.Durability.FSYNC: pb.DURABILITY_FSYNC,
    ports.Durability.REPLICATED: pb.DURABILITY_REPLICATED,
    ports.Durability.REPLICATED_LAZY: pb.DURABILITY_REPLICATED_LAZY,
    ports.Durability.MEMORY: pb.DURABILITY_MEMORY,
    ports.Durability.NONE: pb.DURABILITY_NONE,
}
"""Durabilities, as the API says them."""

ORDERS: Mapping[ports.Order, pb.DeliveryOrder.ValueType] = {
    ports.Order.NONE: pb.DELIVERY_ORDER_NONE,
    ports.Order.KEY: pb.DELIVERY_ORDER_KEY,
    ports.Order.TOTAL: pb.DELIVERY_ORDER_TOTAL,
}
"""Orders, as the API says them."""

_USUAL_PAGE = 100
_LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ConnectorState:
    """Whether a connector makes progress, and if not, why: a fixed text without addresses."""

    is_ok: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """How a feed is now: its subscribers, and `live`, `connecting` or `idle`."""

    subscribers: int = 0
    state: str = "idle"


class Catalog:
    """Serves CatalogService.

    `snapshot` gives what is configured; `connector_state` (by connector name) and `feed_info` (by
    the feed's full name) how it is now.
    """

    def __init__(
        self,
        *,
        guard: Guard,
        snapshot: Callable[[], CatalogSnapshot],
        connector_state: Callable[[str], ConnectorState] = lambda _name: ConnectorState(),
        feed_info: Callable[[str], FeedInfo] = lambda _name: FeedInfo(),
    ) -> None:
        self._guard = guard
        self._snapshot = snapshot
        self._connector_state = connector_state
        self._feed_info = feed_info

    def service(self) -> grpc.GenericRpcHandler:
        """Returns the service's handlers."""
        guard = self._guard
        handlers = {
            "ListConnectors": guard.unary(
                f"{SERVICE}/ListConnectors", pb.ListConnectorsRequest, self.list_connectors
            ),
            "GetConnector": guard.unary(
                f"{SERVICE}/GetConnector", pb.GetConnectorRequest, self.get_connector
            ),
        }
        return guard.service(SERVICE, handlers)

    async def list_connectors(
        self, request: pb.ListConnectorsRequest, _scope: Scope[pb.ListConnectorsRequest]
    ) -> bytes:
        """Lists connectors by name; a page's token is the last name on it."""
        size = _page_size(request.page_size)
        snapshot = self._snapshot()
        names = sorted(snapshot.connectors)
        start = bisect_right(names, request.page_token) if request.page_token else 0
        page = names[start : start + size]
        response = pb.ListConnectorsResponse(
            connectors=(self._connector(snapshot.connectors[name]) for name in page),
            next_page_token=page[-1] if start + size < len(names) else "",
            config_hash=snapshot.config_hash,
            load_time=_timestamp(snapshot.load_time),
        )
        return response.SerializeToString()

    async def get_connector(
        self, request: pb.GetConnectorRequest, _scope: Scope[pb.GetConnectorRequest]
    ) -> bytes:
        """Describes one connector; raises Failure UNKNOWN_CONNECTOR."""
        entry = self._snapshot().connectors.get(request.name)
        if entry is None:
            raise Failure(Reason.UNKNOWN_CONNECTOR, "there is no connector of this name")
        return pb.GetConnectorResponse(connector=self._connector(entry)).SerializeToString()

    def _connector(self, entry: ConnectorEntry) -> pb.ConnectorInfo:
        state = self._connector_state(entry.name)
        return pb.ConnectorInfo(
            name=entry.name,
            kind=entry.kind,
            description=entry.description,
            state=pb.CONNECTOR_STATE_OK if state.is_ok else pb.CONNECTOR_STATE_DEGRADED,
            state_reason=state.reason,
            operations=map(_operation, entry.operations),
            feeds=(self._feed(entry.name, feed) for feed in entry.feeds),
            sinks=map(_sink, entry.sinks),
        )

    def _feed(self, connector: str, entry: FeedEntry) -> pb.FeedInfo:
        info = self._feed_info(f"{connector}.{entry.name}")
        return pb.FeedInfo(
            name=entry.name,
            description=entry.description,
            capability=_capability(entry.capability),
            subscribers=info.subscribers,
            state=info.state,
            dead_letters=entry.dead_letters,
        )


def _page_size(size: int) -> int:
    if size < 0:
        fields = Fields()
        fields.refuse("page_size", "must not be negative")
        fields.check()
    return min(size or _USUAL_PAGE, _LARGEST_PAGE)


def _operation(entry: OperationEntry) -> pb.OperationInfo:
    return pb.OperationInfo(
        name=entry.name,
        description=entry.description,
        effect=EFFECTS[entry.effect],
        parameters=map(_parameter, entry.parameters),
        policy=entry.policy,
        worst_case_time=duration_message(entry.worst_case_seconds),
        worst_case_attempts=entry.worst_case_attempts,
    )


def _parameter(parameter: ports.Parameter) -> pb.ParameterInfo:
    return pb.ParameterInfo(
        name=parameter.name,
        type=parameter.type.value,
        required=parameter.is_required,
        description=parameter.description,
    )


def _sink(entry: catalog.SinkEntry) -> pb.SinkInfo:
    return pb.SinkInfo(
        name=entry.name,
        description=entry.description,
        capability=_capability(entry.capability),
    )


def _capability(capability: ports.Capability) -> pb.Capability:
    return pb.Capability(
        durability=DURABILITIES[capability.durability],
        ack=capability.ack,
        replay=capability.replay,
        order=ORDERS[capability.order],
        delay=capability.delay,
        request_reply=capability.request_reply,
    )


def _timestamp(seconds: float) -> Timestamp:
    nanos = round(seconds * 1e9)
    return Timestamp(seconds=nanos // 1_000_000_000, nanos=nanos % 1_000_000_000)
