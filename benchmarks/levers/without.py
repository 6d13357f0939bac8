"""`python -m benchmarks.levers.without NAME serve ...`: Interlace with one of its levers off.

A lever is put back to what it replaced by a patch of this process alone; the service has no switch
for most of them.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["LEVERS", "main"]


def _no_lever() -> None:
    """Everything as it is served."""


def _aiohttp() -> None:
    """Requests go through aiohttp, which `transport: aiohttp` would choose."""
    from interlaced.connectors.rest.config import Config, Upstream

    Upstream.model_fields["transport"].default = "aiohttp"
    Upstream.model_rebuild(force=True)
    Config.model_rebuild(force=True)


def _asyncio() -> None:
    """The loop is asyncio's own, in Python."""
    import asyncio

    import uvloop

    uvloop.new_event_loop = asyncio.new_event_loop  # type: ignore[assignment]  # that is the patch


def _collected() -> None:
    """The collector looks through what the boot made, with Python's own thresholds."""
    from interlaced import process

    @contextlib.contextmanager
    def as_python_does() -> Iterator[None]:
        gc.enable()
        yield

    process.settled_memory = as_python_does


def _client_instruments() -> None:
    """Counters and histograms are prometheus_client's, bound to their labels ahead."""
    from prometheus_client import Gauge, Histogram

    from interlaced.telemetry import instruments
    from interlaced.telemetry.names import DURATION_BUCKETS

    class Number(instruments.Number):
        """A counter or a gauge."""

        def __init__(self) -> None:
            self._bound = Gauge("one", "One.", ["label"], registry=None).labels("bound")
            self._plain = 0.0
            super().__init__()

        @property
        def value(self) -> float:
            """The sum."""
            return self._plain

        @value.setter
        def value(self, value: float) -> None:
            self._bound.inc(value - self._plain)
            self._plain = value

    class Spread(instruments.Spread):
        """A histogram."""

        def __init__(self) -> None:
            one = Histogram("one", "One.", ["label"], registry=None, buckets=DURATION_BUCKETS)
            self._bound = one.labels("bound")
            super().__init__()

        def observe(self, seconds: float) -> None:
            """Counts one."""
            self._bound.observe(seconds)

    instruments.Number = Number  # type: ignore[misc]  # that is the patch
    instruments.Spread = Spread  # type: ignore[misc]  # that is the patch


def _event_by_event() -> None:
    """A message of a feed holds one event; it is still encoded once for all subscribers."""
    from interlaced.core.feed_settings import HubSettings

    defaults: Any = HubSettings.__init__.__kwdefaults__
    defaults["frame_bytes"] = 1


def _reply_by_reply() -> None:
    """A message of a session holds one reply."""
    from interlaced.rpc.session import Session

    def take(self: Any) -> list[tuple[int | None, bytes]]:
        return [self._ready.popleft()]

    Session._take = take  # type: ignore[method-assign]  # noqa: SLF001  # that is the patch


def _impatient() -> None:
    """gRPC's threads interrupt the loop, as the system's default has it."""
    from interlaced.rpc import server

    vars(server)["patient_threads"] = contextlib.nullcontext


def _leaking() -> None:
    """gRPC's batches lose their memory when nobody waits for them; it is cheaper by a little."""
    from interlaced.rpc import server

    def leave_batches() -> None:
        """What is put in the place of what frees them."""

    vars(server)["finish_batches"] = leave_batches


def _read_twice() -> None:
    """Both readers read every answer; a head with a length is plain for nobody."""
    from interlaced.transport import http_wire

    vars(http_wire)["read_plain"] = _finds_nothing_plain


def _finds_nothing_plain(_: bytes) -> None:
    """Stands for the reader of plain heads."""


def _one_by_one() -> None:
    """RPCs are taken on one after another, as grpc.aio does it."""
    from interlaced.rpc import acceptors

    vars(acceptors)["_is_known"] = _knows_nothing


def _knows_nothing() -> bool:
    """Stands for what knows the inside of grpc.aio."""
    return False


def _in_tasks() -> None:
    """Every call and branch goes the long way, in coroutines, and a branch in a task."""
    from interlaced.resilience import stack

    vars(stack)["beginning"] = _begins_nothing


def _begins_nothing(*_: object, **__: object) -> None:
    """Stands for what would begin a call in flight."""


LEVERS: Mapping[str, Callable[[], None]] = {
    "nothing": _no_lever,
    "lean_transport": _aiohttp,
    "uvloop": _asyncio,
    "flights": _in_tasks,
    "plain_heads": _read_twice,
    "acceptors": _one_by_one,
    "patient_threads": _impatient,
    "finished_batches": _leaking,
    "settled_memory": _collected,
    "own_instruments": _client_instruments,
    "feed_batches": _event_by_event,
    "session_batches": _reply_by_reply,
}
"""Each lever and what takes it away. Taking `nothing` away tells how far two equals differ."""


def main() -> None:
    """Take the lever away that is named first, and run the command with the rest."""
    from interlaced.cli.main import main as run

    LEVERS[sys.argv[1]]()
    run(sys.argv[2:])


if __name__ == "__main__":
    main()
