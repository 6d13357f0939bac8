"""A gRPC server on loopback over an upstream that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

from interlace.v1 import call_pb2, gateway_service_pb2_grpc
from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.clock import LoopClock, TimeLimit
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import Failure, Reached, Reason
from interlaced.core.model import Call, Payload, Reply
from interlaced.rpc.gateway import Gateway
from interlaced.rpc.guard import Authenticate, Guard
from interlaced.rpc.health import Health
from interlaced.rpc.reflection import Reflection
from interlaced.rpc.server import RpcServer, TlsFiles
from interlaced.rpc.settings import RpcSettings
from interlaced.testing.fakes import FakeRpcObserver

GATEWAY = "interlace.v1.GatewayService"


class ScriptedUpstream:
    """Answers each call as its operation says, and counts what is open."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.open = 0
        self.most_open = 0
        self.calls: list[Call] = []
        self.failures: dict[str, Failure] = {}

    def routes(self) -> dict[tuple[str, str], Any]:
        names = ("Echo", "Sleep", "Fail", "Bug", "CancelInside", "Body", "Value")
        return {("up", name): self.answer for name in names}

    async def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        call.effort.attempts += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await getattr(self, call.operation.lower())(call)
        finally:
            self.open -= 1

    async def echo(self, call: Call) -> Reply:
        return Reply(call.payload or Payload("application/json", b"{}"))

    async def value(self, call: Call) -> Reply:
        text = ",".join(f'"{name}":"{value}"' for name, value in call.parameters.items())
        return Reply(Payload("application/json", f"{{{text}}}".encode()))

    async def body(self, call: Call) -> Reply:
        return Reply(Payload("application/octet-stream", bytes(int(str(call.parameters["size"])))))

    async def sleep(self, call: Call) -> Reply:
        """Takes its time, and ends at its deadline as the deadline policy does."""
        call.effort.reached, call.effort.is_attempting = Reached.MAYBE, True
        try:
            with TimeLimit(self.clock, call.deadline):
                await asyncio.sleep(float(str(call.parameters["seconds"])))
        except TimeoutError as error:
            message = "the upstream used the time up"
            raise Failure(Reason.UPSTREAM_TIMEOUT, message, reached=Reached.MAYBE) from error
        return Reply(Payload("text/plain", b"slept"))

    async def fail(self, call: Call) -> Reply:
        name = str(call.parameters["reason"])
        raise self.failures.get(name) or Failure(Reason[name], "a fixed text")

    async def bug(self, call: Call) -> Reply:
        raise ValueError("secret")

    async def cancelinside(self, call: Call) -> Reply:
        raise asyncio.CancelledError


def a_call(operation: str, connector: str = "up", **parameters: str | float) -> call_pb2.Call:
    """A call whose parameters are texts and numbers."""
    call = call_pb2.Call(connector=connector, operation=operation)
    for name, value in parameters.items():
        if isinstance(value, str):
            call.parameters.add(name=name, string_value=value)
        else:
            call.parameters.add(name=name, double_value=value)
    return call


async def until(condition: Callable[[], bool]) -> None:
    """Waits until something is so, at most 5 s."""
    async with asyncio.timeout(5):
        while not condition():  # what is waited for has no event of its own
            await asyncio.sleep(0.002)


@dataclass
class Rig:
    """What a test needs of a running server."""

    upstream: ScriptedUpstream
    dispatch: Dispatch
    guard: Guard
    observer: FakeRpcObserver
    gateway: Gateway
    health: Health
    server: RpcServer
    port: int = 0
    channel: grpc.aio.Channel = field(init=False)

    @property
    def stub(self) -> Any:
        return gateway_service_pb2_grpc.GatewayServiceStub(self.channel)

    async def call(self, call: call_pb2.Call, **options: Any) -> pb.CallResponse:
        return await self.stub.Call(pb.CallRequest(call=call), **options)

    async def until_idle(self) -> None:
        """Waits until no RPC and no upstream request is open."""
        await until(lambda: not self.guard.open_rpcs and not self.upstream.open)

    async def until_open(self, count: int = 1) -> None:
        """Waits until so many upstream requests are open."""
        await until(lambda: self.upstream.open >= count)


@asynccontextmanager
async def serving(
    settings: RpcSettings | None = None,
    *,
    authenticate: Authenticate | None = None,
    tls: TlsFiles | None = None,
    channel_options: Sequence[tuple[str, Any]] = (),
) -> AsyncIterator[Rig]:
    """Serves the gateway, health and reflection over a scripted upstream."""
    clock, observer, upstream, dispatch = (
        LoopClock(),
        FakeRpcObserver(),
        ScriptedUpstream(),
        Dispatch(),
    )
    guard = Guard(
        clock=clock,
        observer=observer,
        settings=settings or RpcSettings(),
        authenticate=authenticate,
    )
    gateway = Gateway(guard=guard, dispatch=dispatch, clock=clock)
    health = Health(guard=guard, services=[GATEWAY])
    reflection = Reflection(guard=guard, services=[GATEWAY, "grpc.health.v1.Health"])
    dispatch.swap(upstream.routes(), {})
    server = RpcServer(
        guard=guard,
        services=(gateway.service(), health.service(), *reflection.services()),
        tls=tls,
        on_drain=(health.enter_graceful_shutdown, gateway.sessions.drain),
    )
    rig = Rig(upstream, dispatch, guard, observer, gateway, health, server)
    rig.port = await server.start()
    options = [("grpc.use_local_subchannel_pool", 1), *channel_options]
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{rig.port}", options=options) as channel:
            rig.channel = channel
            yield rig
    finally:
        await server.stop(0.2)


def trailers_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """The trailing metadata of an error."""
    return dict(tuple(error.trailing_metadata() or ()))


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """The rich status in an error's trailers."""
    trailers = trailers_of(error)
    assert "grpc-status-details-bin" in trailers, error
    return status_pb2.Status.FromString(trailers["grpc-status-details-bin"])


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """The one ErrorInfo of a status."""
    found = [
        detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)
    ]
    assert len(found) == 1, "exactly one ErrorInfo"
    info = error_details_pb2.ErrorInfo()
    found[0].Unpack(info)
    return info


def detail_of(status: status_pb2.Status, kind: type[Any]) -> Any:
    """The detail of this type, or None."""
    for detail in status.details:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            return message
    return None
