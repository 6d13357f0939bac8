"""Streams whose readers and writers are tasks of ours.

A call of gRPC's dies with whoever is cancelled inside its `read` or `write`, so callers never stand
there: tasks do, which end with the stream alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

import grpc

from interlace.errors import ClientClosed, InterlaceError, error_from_rpc, is_own_cancel

__all__ = ["Duplex", "DuplexPort", "Link", "LinkOwner", "ReadStream", "end_tasks"]

ResponseT = TypeVar("ResponseT")
RequestT = TypeVar("RequestT")


class ReadStream(Generic[ResponseT]):
    """A server stream that outlives a cancelled read: the next one goes on where it was."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._reading: asyncio.Task[ResponseT | None] | None = None

    async def read(self, *, within: float | None = None) -> ResponseT | None:
        """Returns the next message, or None at the end. Raises InterlaceError when the stream
        failed, and TimeoutError when nothing came for `within` seconds."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._pull())
            self._reading.add_done_callback(_look)
        done, _ = await asyncio.wait({self._reading}, timeout=within)
        if not done:
            raise TimeoutError("the stream is silent")
        reading, self._reading = self._reading, None
        if reading.cancelled():
            raise ClientClosed
        return reading.result()

    async def close(self) -> None:
        """Cancels the call; nothing of it is left when this returns."""
        self._call.cancel()
        if self._reading is not None:
            await end_tasks(self._reading)
            self._reading = None

    async def _pull(self) -> ResponseT | None:
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        return None if message is grpc.aio.EOF else message


_OutT_co = TypeVar("_OutT_co", covariant=True)
_InT_contra = TypeVar("_InT_contra", contravariant=True)


class DuplexPort(Protocol[_OutT_co, _InT_contra]):
    """What a bidirectional stream asks of its owner. None of these waits."""

    def take(self) -> _OutT_co | None:
        """Returns the next message to send, or None while there is nothing."""

    def receive(self, message: _InT_contra, /) -> None:
        """Takes what came."""

    def ended(self, error: InterlaceError | None, /) -> None:
        """Is told, once, that nothing will come any more, and why."""


class Duplex(Generic[RequestT, ResponseT]):
    """A bidirectional stream: one task reads, one writes whatever `take` gives them.

    What came together leaves together: `wake` may be called many times before the writer runs.
    """

    def __init__(self, call: Any, port: DuplexPort[RequestT, ResponseT]) -> None:
        self._call = call
        self._port = port
        self._news = asyncio.Event()
        self._is_finishing = False
        self._reader = asyncio.ensure_future(self._read())
        self._writer = asyncio.ensure_future(self._write())
        self._reader.add_done_callback(_look)
        self._writer.add_done_callback(_look)

    def wake(self) -> None:
        """Says that `take` has something."""
        self._news.set()

    async def finish(self) -> None:
        """Sends what is left, half-closes, and waits until the service has ended the stream."""
        self._is_finishing = True
        self._news.set()
        await asyncio.wait({self._reader})
        await self.close()

    async def close(self) -> None:
        """Cancels the call; nothing of it is left when this returns."""
        self._call.cancel()
        await end_tasks(self._writer, self._reader)

    async def _read(self) -> None:
        error: InterlaceError | None = None
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                self._port.receive(message)
        except grpc.aio.AioRpcError as failed:
            error = error_from_rpc(failed)
            error.__cause__ = failed
        except asyncio.CancelledError as cancelled:
            error = ClientClosed()
            if is_own_cancel():
                raise
            error.__cause__ = cancelled
        finally:
            self._port.ended(error)
            self._writer.cancel()

    async def _write(self) -> None:
        while True:
            while (message := self._port.take()) is not None:
                if not await self._send(self._call.write(message)):
                    return
            if self._is_finishing:
                await self._send(self._call.done_writing())
                return
            self._news.clear()
            await self._news.wait()

    async def _send(self, sending: Awaitable[None]) -> bool:
        """Returns whether it went out; why not is what the reader gets to know."""
        try:
            await sending
        except (grpc.aio.BaseError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return False
        except asyncio.CancelledError:
            if is_own_cancel():
                raise
            return False
        return True


class Link(Protocol):
    """One stream and what is under way on it."""

    is_over: bool
    """Whether nothing will come any more."""

    @property
    def duplex(self) -> Duplex[Any, Any]:
        """The stream itself."""
        ...


LinkT = TypeVar("LinkT", bound=Link)


class LinkOwner(Generic[LinkT]):
    """Has one link at a time, and none that outlives the block it is used in: a clean exit waits
    until the service has ended the stream, any other cuts it."""

    def __init__(self) -> None:
        self._link: LinkT | None = None
        self._is_over = False

    async def close(self) -> None:
        """Ends the stream at once; nothing of it is left when this returns."""
        self._is_over = True
        if self._link is not None:
            await self._link.duplex.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        try:
            if kind is None and self._link is not None and not self._link.is_over:
                await self._link.duplex.finish()
        finally:
            await self.close()


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks and waits until they have ended, however they did."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _look(task: asyncio.Task[Any]) -> None:
    """Looks at how a task ended, so that one that nobody asks does not complain."""
    if not task.cancelled():
        task.exception()
