"""What one RPC knows: its deadline, its metadata, its caller, and its stream."""

from __future__ import annotations

import asyncio
import math
from random import Random
from typing import Any, Generic, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.tasks import outlast
from interlaced.core.units import format_size

__all__ = ["Context", "Scope", "check_size", "parse"]

RequestT = TypeVar("RequestT", bound=Message)

Context: TypeAlias = Any
"""grpc.aio's servicer context over bytes; its stubs know no identity serializers."""

_LONGEST_ID = 128
_bits = Random().getrandbits  # noqa: S311  # to tell requests apart, not to keep a secret


class Scope(Generic[RequestT]):
    """What one RPC knows: its deadline, its metadata, its caller, and its stream.

    `deadline` is a time of the Clock, already a margin before the caller's own; it is infinite for
    endless streams without one. `metadata` holds the text entries, lower-case. `wants_ledger` says
    whether the caller asked for attempt records. `trailers` may be added to until the RPC ends.
    `task` is the RPC's own, the running one unless it is given.
    """

    __slots__ = (
        "_has_head",
        "_limit",
        "_task",
        "caller",
        "context",
        "correlation_id",
        "deadline",
        "has_left",
        "is_ended",
        "is_endless",
        "is_onlooker",
        "metadata",
        "request_class",
        "started",
        "trailers",
        "wants_ledger",
    )

    def __init__(
        self, context: Context, started: float, limit: int, task: asyncio.Task[Any] | None = None
    ) -> None:
        metadata: dict[str, str] = {}
        for key, value in context.invocation_metadata() or ():
            if type(value) is str:  # a comprehension costs half as much again here
                metadata[key] = value  # noqa: PERF403  # as above
        given = metadata.get("x-request-id")
        own = given if given and _is_fit(given) else _bits(64).to_bytes(8, "big").hex()
        self.context = context
        self._has_head = False
        self._limit = limit
        self.request_class: type[RequestT] | None = None
        self.started = started
        self.has_left = False
        self.is_endless = False
        self.is_onlooker = False
        self.is_ended = False
        self._task = task or asyncio.current_task()
        self.deadline = math.inf
        self.metadata = metadata
        self.correlation_id = own
        self.wants_ledger = metadata.get("interlace-ledger") == "1"
        self.caller = ""
        self.trailers: list[tuple[str, str | bytes]] = [("x-request-id", own)]

    def end(self) -> None:
        """Ends this RPC from our side; its caller is told to come back."""
        if not self.is_ended and self._task is not None:
            self.is_ended = True
            self._task.cancel()

    def has_been_cancelled(self) -> bool:
        """Whether the RPC is dead: the caller left, its deadline passed, or gRPC was stopped.

        A CancelledError without that came from inside, where somebody's own task died.
        """
        if self.has_left or self._task is None:
            return self.has_left
        return self._task.cancelling() > self.is_ended

    def forget_task(self) -> None:
        """Lets go of the task, once nothing is left to end: one that was cancelled keeps what it
        raised, and by that this scope and gRPC's stream."""
        self._task = None

    async def write(self, message: bytes) -> None:
        """Sends one encoded message and waits while the peer's window is full.

        Raises Failure TOO_LARGE for one over the limit, and CancelledError when the caller left.
        """
        check_size(len(message), self._limit, "the response", reached=Reached.REPLIED)
        try:
            if not self._has_head:
                await self._send_head()
            await self.context.write(message)
        except grpc.aio.BaseError as error:
            # A write that was blocked when the caller left fails before the task is cancelled.
            self.has_left = True
            raise asyncio.CancelledError from error

    async def _send_head(self) -> None:
        """Sends the head before the first message, to the end even if the RPC is cancelled.

        gRPC notes that a head has gone out only behind the write that carried it. If that is
        cancelled, it sends the head again with the status, and refuses its own status.
        """
        self._has_head = True
        sending = asyncio.ensure_future(self.context.send_initial_metadata(()))
        try:
            await outlast([sending])
        except asyncio.CancelledError:
            if not sending.cancelled():
                sending.exception()  # to a caller that has left it may have failed: nobody cares
            raise
        sending.result()

    async def read(self) -> RequestT | None:
        """Returns the next request of a bidirectional stream, or None at its half-close.

        Raises Failure INVALID_REQUEST or TOO_LARGE.
        """
        try:
            raw = await self.context.read()
        except grpc.aio.BaseError as error:
            self.has_left = True
            raise asyncio.CancelledError from error
        if raw is grpc.aio.EOF or self.request_class is None:
            return None
        return parse(self.request_class, raw, self._limit)


def parse(request_class: type[RequestT], raw: bytes, limit: int) -> RequestT:
    """Decodes a request; raises Failure TOO_LARGE or INVALID_REQUEST."""
    if len(raw) > limit:
        check_size(len(raw), limit, "the request")
    try:
        return request_class.FromString(raw)
    except DecodeError as error:
        violation = FieldViolation("", "not a message of the method's request type")
        raise Failure(
            Reason.INVALID_REQUEST, "the request cannot be decoded", fields=(violation,)
        ) from error


def check_size(size: int, limit: int, what: str, *, reached: Reached = Reached.NOT_SENT) -> None:
    """Raises Failure TOO_LARGE, with both numbers, for more than `limit` bytes. Say how far its
    cause got: for an answer, whoever reads it must not think that nothing was done."""
    if size > limit:
        raise Failure(
            Reason.TOO_LARGE,
            f"{what} has {size} bytes; the limit is {limit} bytes ({format_size(limit)})",
            reached=reached,
            size=str(size),
            limit=str(limit),
        )


def _is_fit(own: str) -> bool:
    """Whether a caller's own id may be logged and sent back."""
    return len(own) <= _LONGEST_ID and own.isascii() and own.isprintable()
