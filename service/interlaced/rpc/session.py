"""Many calls in flight over one stream, batched both ways."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from interlace.v1 import gateway_service_pb2 as pb
from interlaced.core.dispatch import Dispatch
from interlaced.core.failure import Failure, FieldViolation, Reason
from interlaced.core.fanout import Outcome
from interlaced.core.model import Call, Effort, Reply
from interlaced.core.ports import Clock
from interlaced.core.tasks import end_tasks
from interlaced.rpc.failure_log import bug
from interlaced.rpc.fitting import check_reply
from interlaced.rpc.guard import Guard, Scope
from interlaced.rpc.mapping import read_call
from interlaced.rpc.perform import Performer
from interlaced.rpc.wire import joined, reply

__all__ = ["Session", "Sessions"]

_ENVELOPE = 16
_MOST_WAITING = 4
"""With replies for so many full messages waiting to be read, nothing further is begun."""
_TURN = 256
"""After so many items of one message the other sessions have a turn."""


class Sessions:
    """The sessions that are open, so that shutdown can end them."""

    def __init__(self, guard: Guard, dispatch: Dispatch, clock: Clock) -> None:
        self._guard = guard
        self._dispatch = dispatch
        self._clock = clock
        self._open: set[Session] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def serve(self, scope: Scope[pb.SessionRequest]) -> None:
        """Serves one session to its end."""
        session = Session(scope, guard=self._guard, dispatch=self._dispatch, clock=self._clock)
        self._open.add(session)
        try:
            await session.run()
        finally:
            self._open.discard(session)

    def drain(self) -> None:
        """Lets every session finish what is in flight, read no further, and end with DRAINING."""
        for session in self._open:
            session.drain()


class Session:
    """One session: a reader, a task per call, and a writer that sends whatever is ready.

    A call counts as in flight until its reply is written; at the limit nothing is read, nor while
    too many bytes of replies wait to be written. The three
    parts are tasks of their own, because a caller that leaves looks like a half-close first.
    """

    def __init__(
        self, scope: Scope[pb.SessionRequest], *, guard: Guard, dispatch: Dispatch, clock: Clock
    ) -> None:
        self._scope = scope
        self._settings = guard.settings
        self._is_refusing: Callable[[], bool] = lambda: guard.is_draining
        self._perform = Performer(dispatch.call, dispatch.begin)
        self._clock = clock
        self._calls: dict[int, asyncio.Task[Reply]] = {}
        self._ready: deque[tuple[int | None, bytes]] = deque()
        self._unwritten: set[int] = set()
        self._in_flight = 0
        self._waiting_bytes = 0
        self._is_closing = False
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._drained: asyncio.Future[None] = self._loop.create_future()

    def drain(self) -> None:
        """Ends the session once what is in flight is written."""
        if not self._drained.done():
            self._drained.set_result(None)

    async def run(self) -> None:
        """Serves until the caller half-closes or leaves; raises Failure for what cannot be read,
        and DRAINING after a drain."""
        limits = pb.SessionLimits(
            in_flight=self._settings.session_in_flight, message_bytes=self._settings.max_message
        )
        await self._scope.write(pb.SessionResponse(limits=limits).SerializeToString())
        reader = asyncio.ensure_future(self._read())
        writer = asyncio.ensure_future(self._write())
        try:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait({reader, writer, self._drained}, return_when=first)
            if reader.done():
                reader.result()
            await end_tasks((reader,))
            self._is_closing = True
            self._news.set()
            await writer
            if self._drained.done():
                raise _draining(self._settings.drain_retry_after)
        finally:
            self._drained.cancel()
            await end_tasks((reader, writer, *self._calls.values()))

    async def _read(self) -> None:
        while (request := await self._scope.read()) is not None:
            for place, item in enumerate(request.items):
                if place % _TURN == _TURN - 1:
                    await asyncio.sleep(0)  # half a million cancels fit into one message
                if item.WhichOneof("action") == "cancel":
                    self._cancel(item.id)
                    continue
                while not self._has_room():
                    self._room.clear()
                    await self._room.wait()
                self._begin(item)

    def _has_room(self) -> bool:
        """Whether another call may begin. A caller that does not read is bounded in bytes as well:
        as many large replies as may be in flight would be a gigabyte."""
        settings = self._settings
        return (
            self._in_flight < settings.session_in_flight
            and self._waiting_bytes < _MOST_WAITING * settings.max_message
        )

    def _cancel(self, number: int) -> None:
        task = self._calls.get(number)
        if task is not None:
            task.cancel()

    def _begin(self, item: pb.SessionItem) -> None:
        now = self._clock.now()
        self._in_flight += 1
        try:
            call = self._read_item(item, now)
        except Failure as failure:
            self._refuse(item.id, failure, now)
            return
        task = self._loop.create_task(self._perform(call))
        self._calls[item.id] = task
        self._unwritten.add(item.id)
        task.add_done_callback(lambda done: self._land(item.id, call, done))

    def _read_item(self, item: pb.SessionItem, now: float) -> Call:
        if item.id in self._unwritten:
            raise _invalid("id", "a call in flight has this id")
        if item.WhichOneof("action") is None:
            raise _invalid("action", "exactly one action must be set")
        if self._is_refusing():
            raise _draining(self._settings.drain_retry_after)
        call = read_call(
            item.call,
            "call",
            deadline=min(self._scope.deadline, now + self._settings.max_deadline),
            now=now,
            wants_ledger=self._scope.wants_ledger,
        )
        if not item.call.HasField("timeout"):
            call.deadline = min(call.deadline, now + self._settings.default_deadline)
        return call

    def _land(self, number: int, call: Call, task: asyncio.Task[Reply]) -> None:
        """Settles a call here, not in its body: one that is cancelled early never enters that."""
        del self._calls[number]
        ended = self._clock.now()
        data = reply(number, Outcome("", _result_of(task, call), call.effort, ended))
        try:
            check_reply(len(data), self._settings.max_message - _ENVELOPE, call)
        except Failure as failure:
            data = reply(number, Outcome("", failure, call.effort, ended))
        self._tell(number, data)

    def _tell(self, number: int | None, data: bytes) -> None:
        self._ready.append((number, data))
        self._waiting_bytes += len(data)
        self._news.set()

    def _refuse(self, number: int, failure: Failure, now: float) -> None:
        """Answers an item that never became a call; an id in flight stays in flight."""
        data = reply(number, Outcome("", failure, Effort(now), now))
        self._tell(None, data)

    async def _write(self) -> None:
        """Sends whatever is ready, as often as the caller's window allows: natural batching."""
        while True:
            if not self._ready:
                if self._is_closing and not self._calls:
                    return
                self._news.clear()
                await self._news.wait()
                continue
            batch = self._take()
            await self._scope.write(joined([data for _, data in batch]))
            self._waiting_bytes -= sum(len(data) for _, data in batch)
            self._unwritten.difference_update(number for number, _ in batch if number is not None)
            self._in_flight -= len(batch)
            self._room.set()

    def _take(self) -> list[tuple[int | None, bytes]]:
        """Takes as many replies as one message may hold."""
        batch: list[tuple[int | None, bytes]] = []
        room = self._settings.max_message
        while self._ready:
            size = len(self._ready[0][1]) + _ENVELOPE
            if batch and size > room:
                break
            room -= size
            batch.append(self._ready.popleft())
        return batch


def _result_of(task: asyncio.Task[Reply], call: Call) -> Reply | Failure:
    if task.cancelled():
        name = f"{call.connector}.{call.operation}"
        failure = Failure(
            Reason.CALLER_CANCELLED, "the caller cancelled", reached=call.effort.reached
        )
        return failure.but(operation=name, attempts=str(call.effort.attempts))
    error = task.exception()
    if error is None:
        return task.result()
    return error if isinstance(error, Failure) else bug(error)


def _invalid(field: str, description: str) -> Failure:
    return Failure(
        Reason.INVALID_REQUEST,
        "the request breaks a rule of its fields",
        fields=(FieldViolation(field, description),),
    )


def _draining(retry_after: float) -> Failure:
    return Failure(
        Reason.DRAINING, "the server is shutting down; nothing was done", retry_after=retry_after
    )
