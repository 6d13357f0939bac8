"""grpc.health.v1: Check, Watch and List."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2 as pb

from interlaced.core.failure import Failure, Reason
from interlaced.rpc.descriptors import serving_pool
from interlaced.rpc.guard import Door, Guard, Scope

__all__ = ["Health"]

SERVICE = "grpc.health.v1.Health"

_MOST_LISTED = 100
_PROBE = Door(serves_drain=True, is_public=True)  # probes and balancers have no credentials
_LIST = Door(serves_drain=True)  # a list of all connectors is for proven callers
_PREFIX = "connector/"

_POOL = serving_pool()
_ListRequest: type[Message] = message_factory.GetMessageClass(
    _POOL.FindMessageTypeByName(f"{SERVICE}ListRequest")
)
_ListResponse: type[Any] = message_factory.GetMessageClass(
    _POOL.FindMessageTypeByName(f"{SERVICE}ListResponse")
)

_SERVING = pb.HealthCheckResponse.SERVING
_NOT_SERVING = pb.HealthCheckResponse.NOT_SERVING
_UNKNOWN = pb.HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Serves health: the whole (`""`), one entry per proto service, one per connector.

    `set_connectors` says how the connectors are; the whole and the services do not depend on them,
    since a sick upstream must not restart the process. After `enter_graceful_shutdown` everything
    is NOT_SERVING for good.
    """

    def __init__(self, *, guard: Guard, services: Iterable[str]) -> None:
        self._guard = guard
        self._statuses: dict[str, bool] = dict.fromkeys(("", *services), True)
        self._is_shutting_down = False
        self._changed = asyncio.Event()

    def service(self) -> grpc.GenericRpcHandler:
        """Returns the service's handlers; they answer during a drain as well."""
        guard = self._guard
        check, watch, list_ = f"{SERVICE}/Check", f"{SERVICE}/Watch", f"{SERVICE}/List"
        handlers = {
            "Check": guard.unary(check, pb.HealthCheckRequest, self.check, door=_PROBE),
            "Watch": guard.server_stream(
                watch, pb.HealthCheckRequest, self.watch, is_endless=True, door=_PROBE
            ),
            "List": guard.unary(list_, _ListRequest, self.list_all, door=_LIST),
        }
        return guard.service(SERVICE, handlers)

    def set_connectors(self, serving: Mapping[str, bool]) -> None:
        """Sets the status of all connectors, by name; those that are not named are forgotten."""
        if self._is_shutting_down:
            return
        others = {
            name: status for name, status in self._statuses.items() if not name.startswith(_PREFIX)
        }
        statuses = others | {f"{_PREFIX}{name}": status for name, status in serving.items()}
        if statuses != self._statuses:
            self._statuses = statuses
            self._notify()

    def enter_graceful_shutdown(self) -> None:
        """Makes everything NOT_SERVING for good; the first step of the drain."""
        self._is_shutting_down = True
        self._statuses = dict.fromkeys(self._statuses, False)
        self._notify()

    def _notify(self) -> None:
        """Wakes every watcher; each holds the event that it began to wait for."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def check(
        self, request: pb.HealthCheckRequest, _scope: Scope[pb.HealthCheckRequest]
    ) -> bytes:
        """Tells one status; raises NOT_FOUND for a name that is not known."""
        status = self._statuses.get(request.service)
        if status is None:
            raise Failure(Reason.UNKNOWN_CONNECTOR, "there is no service or connector of this name")
        data: bytes = _response(status).SerializeToString()
        return data

    async def watch(
        self, request: pb.HealthCheckRequest, scope: Scope[pb.HealthCheckRequest]
    ) -> None:
        """Tells one status whenever it changes; an unknown name may become known."""
        told: int | None = None
        while True:
            changed = self._changed
            response = _response(self._statuses.get(request.service))
            if response.status != told:
                told = response.status
                await scope.write(response.SerializeToString())
            await changed.wait()

    async def list_all(self, _request: Message, _scope: Scope[Message]) -> bytes:
        """Tells every status; raises Failure TOO_LARGE for more than 100."""
        if len(self._statuses) > _MOST_LISTED:
            raise Failure(
                Reason.TOO_LARGE,
                f"more than {_MOST_LISTED} entries cannot be listed; check or watch single ones",
                limit=str(_MOST_LISTED),
            )
        response = _ListResponse()
        for name, status in self._statuses.items():
            entry = response.statuses[name]
            entry.status = _response(status).status
        data: bytes = response.SerializeToString()
        return data


def _response(status: bool | None) -> pb.HealthCheckResponse:
    if status is None:
        return pb.HealthCheckResponse(status=_UNKNOWN)
    return pb.HealthCheckResponse(status=_SERVING if status else _NOT_SERVING)
