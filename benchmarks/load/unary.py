"""Unary load: a closed loop for the ceiling, an open loop for latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load.alarm import Alarm
from benchmarks.load.drained import DrainedLoad
from benchmarks.load.http2 import Connection, framed

__all__ = ["ClosedLoop", "OpenLoop", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, and how an answer is told from anything else."""

    path: bytes
    message: bytes
    is_right: Callable[[bytes], bool]
    make: Callable[[int], bytes] | None = None
    """Makes the message of the n-th call, where no two may be the same."""
    patience: float = 0.0
    """After how many seconds a caller wants no answer any more; the server is told. 0: never."""

    @property
    def timeout(self) -> bytes:
        """The patience as gRPC writes it in the head of a call."""
        return b"%dm" % round(self.patience * 1e3) if self.patience else b""


class _Rpc:
    """One unary RPC."""

    __slots__ = ("_has_answer", "_is_right", "_load", "_since")

    def __init__(self, load: _Unary, since: float) -> None:
        self._load = load
        self._since = since
        self._has_answer = False
        self._is_right = False

    def on_message(self, message: bytes) -> None:
        """Take the answer; a second one is wrong."""
        self._is_right = not self._has_answer and self._load.request.is_right(message)
        self._has_answer = True

    def on_end(self, error: str) -> None:
        """Count the call, or the error."""
        tally = self._load.tally
        if error:
            tally.fail(error)
        elif not self._is_right:
            tally.fail("not the answer that was expected" if self._has_answer else "no answer")
        else:
            tally.done += 1
            tally.land(self._since)
        self._load.ended()


class _Unary(DrainedLoad):
    """What both loops share."""

    def __init__(self, connections: Sequence[Connection], request: Request) -> None:
        super().__init__()
        self.request = request
        self._connections = connections
        self._frame = framed(request.message)
        self._timeout = request.timeout
        self._turn = 0

    def issue(self, since: float) -> None:
        """Send one call, on the connections in turn."""
        self._turn += 1
        connection = self._connections[self._turn % len(self._connections)]
        self._drained.begin()
        stream = connection.open(self.request.path, _Rpc(self, since), timeout=self._timeout)
        make = self.request.make
        frame = framed(make(self._turn)) if make else self._frame
        connection.send_data(stream, frame, is_last=True)

    def ended(self) -> None:
        """One call came back."""
        self._drained.end()


class ClosedLoop(_Unary):
    """Keeps `in_flight` calls under way: each that comes back is followed by the next at once."""

    def __init__(
        self, connections: Sequence[Connection], request: Request, *, in_flight: int
    ) -> None:
        super().__init__(connections, request)
        self._in_flight = in_flight

    async def start(self) -> None:
        """Send the first calls."""
        self._is_on = True
        for _ in range(self._in_flight):
            self.issue(time.perf_counter())

    def ended(self) -> None:
        """Follow a call that came back by the next, unless errors run away."""
        super().ended()
        if self._is_on and self._tally.errors <= self._tally.done + self._in_flight:
            self.issue(time.perf_counter())


class OpenLoop(_Unary):
    """Sends at a constant rate, whatever comes back; latency counts from the planned time.

    A load that falls behind sends what is overdue at once: the wait is the server's or ours, and
    the tally's `planned` tells of each call how much of it was ours.
    """

    def __init__(self, connections: Sequence[Connection], request: Request, *, rate: float) -> None:
        super().__init__(connections, request)
        self._interval = 1.0 / rate
        self._tally.offered = rate
        self._planned = 0.0
        self._alarm: Alarm | None = None

    async def start(self) -> None:
        """Begin the schedule."""
        self._is_on = True
        self._alarm = Alarm(self._send_due)
        self._planned = time.perf_counter()
        self._send_due()

    async def stop(self) -> None:
        """Issue nothing more and await what is under way."""
        if self._alarm:
            self._alarm.close()
        await super().stop()

    def _send_due(self) -> None:
        now = time.perf_counter()
        while self._planned <= now:
            self._tally.planned.append((self._planned, time.perf_counter() - self._planned))
            self.issue(self._planned)
            self._planned += self._interval
        if self._alarm:
            self._alarm.set(self._planned)
