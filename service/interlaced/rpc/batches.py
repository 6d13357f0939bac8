"""Gives back the native memory of gRPC's batches that nobody waits for any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from functools import partial
from importlib import import_module
from threading import get_ident
from typing import Any, TypeAlias

__all__ = ["finish_batches"]

cygrpc: Any = import_module("grpc._cython.cygrpc")  # compiled; no type checker knows what is in it

_Execute: TypeAlias = Callable[[Any, tuple[Any, ...], Any], Awaitable[None]]


def finish_batches() -> None:
    """Lets every batch of operations of grpc.aio free itself once gRPC has completed it.

    In the pinned version only the coroutine that started a batch frees what the batch holds, after
    a wait that ended well. A caller that leaves cancels that coroutine, or its reply fails to go
    out; then 96 to 700 bytes are lost for ever, each time (grpc#43360). With many calls that are
    given up, this is the one thing that grows. It holds for the whole process; doing it twice does
    nothing. A release of grpcio without the function is left as it is.
    """
    execute: Any = getattr(cygrpc, "execute_batch", None)
    if execute is not None and not isinstance(execute, _Execution):
        cygrpc.execute_batch = _Execution(execute)


class _Execution:
    """grpc.aio's `execute_batch`, which its compiled code looks up by name for every batch."""

    __slots__ = ("_execute",)

    def __init__(self, execute: _Execute) -> None:
        self._execute = execute

    def __call__(self, call: Any, operations: tuple[Any, ...], loop: Any) -> Awaitable[None]:
        """Starts a batch, and returns what ends with it."""
        if type(operations[0]) is _CLOSE:
            return self._execute(call, operations, loop)
        batch = _Batch()
        batch.loop = loop
        batch.thread = get_ident()
        batch.ended = ended = loop.create_future()
        batch.steps = steps = self._execute(call, operations, batch).__await__()
        next(steps)
        return ended  # type: ignore[no-any-return]  # a future of the loop, which has no type here


_CLOSE: Any = getattr(cygrpc, "ReceiveCloseOnServerOperation", None)
"""Each RPC has one such batch; it never fails, and whoever waits for it is never cancelled."""


class _Batch:
    """A batch under way: gRPC takes it for the loop, and for the future that it completes.

    The coroutine that started the batch is run from here, so that it outlives whoever wanted the
    result. To gRPC the future is always a cancelled one, so that it leaves the rest to us.
    """

    __slots__ = ("ended", "loop", "steps", "thread")

    ended: Any
    loop: Any
    steps: Generator[Any, Any, None]
    thread: int

    # Both are called for every batch, and need no frame of Python's.
    cancelled = staticmethod(True.__bool__)
    __await__: Callable[..., Iterator[None]] = staticmethod(partial(iter, (None,)))

    def create_future(self) -> _Batch:
        """Is asked once by gRPC, as of the loop."""
        return self

    def call_soon_threadsafe(
        self, callback: Callable[..., None], functor: object, success: int
    ) -> None:
        """Is called by gRPC, as on a loop of another thread, once the batch is complete."""
        if get_ident() != self.thread:
            # All loops of a process share one poller; the loop that hears it need not be ours.
            self.loop.call_soon_threadsafe(self.call_soon_threadsafe, callback, functor, success)
            return
        callback(functor, success)
        failure: Exception | None = None
        try:
            for _ in self.steps:  # what is left of it: it reads the result, and frees
                pass
        except Exception as error:  # noqa: BLE001  # whoever waits shall hear it
            failure = error
        ended = self.ended
        if ended.done():
            return
        if failure is None and success:
            ended.set_result(None)
        else:
            ended.set_exception(failure or cygrpc.ExecuteBatchError('Failed "execute_batch"'))
