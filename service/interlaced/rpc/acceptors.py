"""Takes on many RPCs at a time, where grpc.aio takes one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final

import grpc
import grpc.aio

from interlaced.core.tasks import outlast
from interlaced.telemetry.log import log

__all__ = ["ACCEPTORS", "Acceptors"]

cygrpc: Any = import_module("grpc._cython.cygrpc")  # compiled; no type checker knows what is in it

ACCEPTORS: Final = 16
"""How many RPCs may be taken on in one go, beside the one that grpc.aio itself waits for. From
eight on more brought nothing; one costs as much memory as the begin of an RPC."""

_SHAPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "_handle_rpc": (
            *("generic_handlers", "interceptors", "rpc_state", "loop"),
            "concurrency_exceeded",
        ),
        "_schedule_rpc_coro": ("rpc_coro", "rpc_state", "loop"),
    }
)
"""What is used of grpc.aio's inside, and with which parameters."""


class Acceptors:
    """Further acceptors of a server of grpc.aio, each of which does what the server's own does.

    A gRPC server hands an RPC to whoever has asked for one. grpc.aio asks for the next one only
    when it has been handed the last, by way of its poller's thread and the loop: under load each
    RPC waits for a whole turn of both, and is the only one in it. Here so many are asked for
    beforehand that one turn begins all that have come. Nothing else about an RPC changes. With
    another version of grpcio, whose inside is not the one that is known, this does nothing.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        handlers: Sequence[grpc.GenericRpcHandler],
        count: int = ACCEPTORS,
    ) -> None:
        """`handlers` are all that the server has, in their order."""
        self._server: Any = getattr(server, "_server", None) if _is_known() else None
        self._handlers = list(handlers)
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self._rpcs: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are at work."""
        return sum(not task.done() for task in self._tasks)

    def start(self) -> None:
        """Begins, on a server that has started."""
        if self._server is not None:
            self._tasks = [asyncio.create_task(self._accept()) for _ in range(self._count)]

    async def stopped(self) -> None:
        """Returns once all have ended, which they do as soon as the server is told to stop."""
        await outlast(self._tasks)

    async def _accept(self) -> None:
        server, loop, rpcs = self._server, asyncio.get_running_loop(), self._rpcs
        # All of it is grpc.aio's inside; see `_is_known`.
        handle, schedule = cygrpc._handle_rpc, cygrpc._schedule_rpc_coro  # noqa: SLF001  # as said
        request, lost = server._request_call, cygrpc._RequestCallError  # noqa: SLF001  # as said
        try:
            while server.is_running():
                try:
                    state = await request()
                except lost:
                    continue  # it stops, or a connection was lost at this very moment
                rpc = handle(self._handlers, (), state, loop, False)
                task = loop.create_task(schedule(rpc, state, loop))
                rpcs.add(task)  # the loop alone would not keep it alive
                task.add_done_callback(rpcs.discard)
        except Exception as error:  # noqa: BLE001  # the server goes on without this one
            log.error("rpc.bug", method="_ACCEPT", exc_info=error)


def _is_known() -> bool:
    """Whether grpc.aio's inside is the one that this was written for."""
    return hasattr(cygrpc, "_RequestCallError") and all(
        _parameters(getattr(cygrpc, name, None))[: len(shape)] == shape
        for name, shape in _SHAPES.items()
    )


def _parameters(function: Any) -> tuple[str, ...]:
    code = getattr(function, "__code__", None)
    return () if code is None else tuple(code.co_varnames[: code.co_argcount])
