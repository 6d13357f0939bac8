"""Streams whose readers and writers are tasks of their own."""

from __future__ import annotations

import asyncio
from collections import deque

import grpc
import pytest

from interlace.errors import ClientClosed, InterlaceError, Unavailable
from interlace.streams import Duplex, LinkOwner, ReadStream, end_tasks


class ScriptedCall:
    """A call of gRPC's: `answers` are read, what is written is kept."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[object] = asyncio.Queue()
        self.written: list[object] = []
        self.is_half_closed = False
        self.is_cancelled = False

    async def read(self) -> object:
        answer = await self.answers.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def write(self, message: object) -> None:
        await asyncio.sleep(0)
        if message == "breaks":
            raise asyncio.InvalidStateError
        self.written.append(message)

    async def done_writing(self) -> None:
        self.is_half_closed = True

    def cancel(self) -> None:
        self.is_cancelled = True
        self.answers.put_nowait(asyncio.CancelledError())


class Port:
    """An owner that keeps what it is told."""

    def __init__(self) -> None:
        self.out: deque[object] = deque()
        self.received: list[object] = []
        self.endings: list[InterlaceError | None] = []

    def take(self) -> object | None:
        return self.out.popleft() if self.out else None

    def receive(self, message: object) -> None:
        self.received.append(message)

    def ended(self, error: InterlaceError | None) -> None:
        self.endings.append(error)


def lost() -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, empty, empty, details="lost")


async def test_a_read_that_was_cancelled_is_gone_on_with() -> None:
    call = ScriptedCall()
    stream: ReadStream[str] = ReadStream(call)
    reader = asyncio.create_task(stream.read())
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.gather(reader, return_exceptions=True)
    call.answers.put_nowait("first")
    assert await stream.read() == "first"
    assert not call.is_cancelled


async def test_silence_is_a_timeout_and_no_end() -> None:
    call = ScriptedCall()
    stream: ReadStream[str] = ReadStream(call)
    with pytest.raises(TimeoutError):
        await stream.read(within=0.01)
    call.answers.put_nowait("late")
    assert await stream.read(within=1) == "late"


async def test_ends_errors_and_cancels_are_told_apart() -> None:
    call = ScriptedCall()
    stream: ReadStream[str] = ReadStream(call)
    call.answers.put_nowait(grpc.aio.EOF)
    assert await stream.read() is None
    call.answers.put_nowait(lost())
    with pytest.raises(Unavailable):
        await stream.read()
    call.answers.put_nowait(asyncio.CancelledError())
    with pytest.raises(ClientClosed):
        await stream.read()


async def test_a_closed_stream_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    stream: ReadStream[str] = ReadStream(ScriptedCall())
    with pytest.raises(TimeoutError):
        await stream.read(within=0)
    await stream.close()
    assert asyncio.all_tasks() == before


async def test_what_waits_leaves_and_what_comes_is_received() -> None:
    call, port = ScriptedCall(), Port()
    duplex: Duplex[object, object] = Duplex(call, port)
    port.out.extend(["a", "b"])
    duplex.wake()
    call.answers.put_nowait("x")
    finishing = asyncio.create_task(duplex.finish())
    while not call.is_half_closed:  # the writer has no event to wait for
        await asyncio.sleep(0)
    call.answers.put_nowait("y")
    call.answers.put_nowait(grpc.aio.EOF)
    await finishing
    assert call.written == ["a", "b"]
    assert port.received == ["x", "y"]
    assert port.endings == [None]


async def test_the_end_is_told_once_with_its_cause() -> None:
    call, port = ScriptedCall(), Port()
    duplex: Duplex[object, object] = Duplex(call, port)
    call.answers.put_nowait(lost())
    await asyncio.sleep(0.01)
    assert len(port.endings) == 1
    assert isinstance(port.endings[0], Unavailable)
    await duplex.close()
    assert len(port.endings) == 1


async def test_a_failed_write_is_the_readers_to_explain() -> None:
    call, port = ScriptedCall(), Port()
    duplex: Duplex[object, object] = Duplex(call, port)
    port.out.append("breaks")
    duplex.wake()
    await asyncio.sleep(0.01)
    assert port.endings == []
    call.answers.put_nowait(lost())
    await asyncio.sleep(0.01)
    assert isinstance(port.endings[0], Unavailable)
    await duplex.close()


async def test_close_ends_both_tasks_and_says_so() -> None:
    before = asyncio.all_tasks()
    call, port = ScriptedCall(), Port()
    duplex: Duplex[object, object] = Duplex(call, port)
    await asyncio.sleep(0)
    await duplex.close()
    assert [type(error) for error in port.endings] == [ClientClosed]
    assert asyncio.all_tasks() == before


class Standing(Port):
    """A link that stands until its stream ends."""

    def __init__(self, call: ScriptedCall) -> None:
        super().__init__()
        self.is_over = False
        self.duplex: Duplex[object, object] = Duplex(call, self)

    def ended(self, error: InterlaceError | None) -> None:
        super().ended(error)
        self.is_over = True


class Owner(LinkOwner[Standing]):
    """Has the link that it is given."""

    def __init__(self, call: ScriptedCall) -> None:
        super().__init__()
        self._link = Standing(call)


async def test_a_clean_exit_waits_for_the_service_to_end_the_stream() -> None:
    call = ScriptedCall()

    async def leave() -> None:
        async with Owner(call):
            pass

    leaving = asyncio.ensure_future(leave())
    while not call.is_half_closed:
        await asyncio.sleep(0)
    assert not leaving.done()
    call.answers.put_nowait(grpc.aio.EOF)
    await leaving


async def test_any_other_exit_cuts_the_stream() -> None:
    call = ScriptedCall()
    with pytest.raises(LookupError):
        async with Owner(call):
            raise LookupError
    assert call.is_cancelled
    assert not call.is_half_closed


async def test_ended_tasks_have_ended() -> None:
    task = asyncio.create_task(asyncio.sleep(10))
    await end_tasks(task)
    assert task.cancelled()
