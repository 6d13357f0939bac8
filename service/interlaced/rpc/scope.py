"""What one RPC knows: its deadline, its metadata, its caller, and its stream."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from random import Random
from typing import Any, Generic, TypeAlias, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from interlaced.core.failure import Failure, FieldViolation, Reached, Reason
from interlaced.core.units import format_size

__all__ = ["Context", "Scope", "check_size", "parse"]

RequestT = TypeVar("RequestT", bound=Message)

Context: TypeAlias = Any
"""grpc.aio's servicer context over bytes; its stubs know no identity serializers."""

_LONGEST_ID = 128
_ids = Random()  # noqa: S311  # to tell requests apart, not to keep a secret


class Scope(Generic[RequestT]):
    """What one RPC knows: its deadline, its metadata, its caller, and its stream.

    `deadline` is a time of the Clock, already a margin before the caller's own; it is infinite for
    endless streams without one. `metadata` holds the text entries, lower-case. `trailers` may be
    added to until the RPC ends.
    """

    __slots__ = (
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
    )

    def __init__(self, context: Context, started: float, limit: int) -> None:
        self.context = context
        self._limit = limit
        self.request_class: type[RequestT] | None = None
        self.started = started
        self.has_left = False
        self.is_endless = False
        self.is_onlooker = False
        self.is_ended = False
        self._task = asyncio.current_task()
        self.deadline = math.inf
        self.metadata = _text_metadata(context)
        self.correlation_id = _correlation_id(self.metadata)
        self.caller = ""
        self.trailers: list[tuple[str, str | bytes]] = [("x-request-id", self.correlation_id)]

    def end(self) -> None:
        """Ends this RPC from our side; its caller is told to come back."""
        if not self.is_ended and self._task is not None:
            self.is_ended = True
            self._task.cancel()

    def has_been_cancelled(self) -> bool:
        """Whether the RPC is dead: the caller left, its deadline passed, or gRPC was stopped.

        A CancelledError without that came from inside, where somebody's own task died.
        """
        cancels = self._task.cancelling() if self._task is not None else 0
        return self.has_left or cancels > int(self.is_ended)

    @property
    def wants_ledger(self) -> bool:
        """Whether the caller asked for attempt records."""
        return self.metadata.get("interlace-ledger") == "1"

    async def write(self, message: bytes) -> None:
        """Sends one encoded message and waits while the peer's window is full.

        Raises Failure TOO_LARGE for one over the limit, and CancelledError when the caller left.
        """
        check_size(len(message), self._limit, "the response", reached=Reached.REPLIED)
        try:
            await self.context.write(message)
        except grpc.aio.BaseError as error:
            # A write that was blocked when the caller left fails before the task is cancelled.
            self.has_left = True
            raise asyncio.CancelledError from error

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


def _text_metadata(context: Context) -> dict[str, str]:
    return {key: value for key, value in context.invocation_metadata() or () if type(value) is str}


def _correlation_id(metadata: Mapping[str, str]) -> str:
    """The caller's own id if it is fit to be logged and sent back, else a new one."""
    given = metadata.get("x-request-id", "")
    if given and len(given) <= _LONGEST_ID and given.isascii() and given.isprintable():
        return given
    return f"{_ids.getrandbits(64):016x}"
