"""The event loop of a serving process: uvloop, without gRPC's surplus wake-ups."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import uvloop

__all__ = ["ServingLoop"]

_MANY = 4096


class ServingLoop(uvloop.Loop):
    """A uvloop that wakes once for all of gRPC's completions that are there.

    gRPC writes one byte into a socket pair per completion. Its reader takes one byte and then every
    completion, so that each of the other bytes wakes the loop for nothing. Here they are taken
    together, all but the one that the reader wants.
    """

    def add_reader(  # type: ignore[override]  # its stub ties the arguments to the callback's
        self, fd: Any, callback: Callable[..., Any], *args: Any
    ) -> None:
        """Watches a file descriptor; gRPC's own with its surplus bytes taken away."""
        if isinstance(fd, socket.socket) and "PollerCompletionQueue" in repr(callback):
            super().add_reader(fd, _drained(fd, callback), *args)
        else:
            super().add_reader(fd, callback, *args)


def _drained(wakes: socket.socket, callback: Callable[..., Any]) -> Callable[..., Any]:
    def read(*args: Any) -> Any:
        try:
            waiting = len(wakes.recv(_MANY, socket.MSG_PEEK))
            if waiting > 1:
                wakes.recv(waiting - 1)
        except BlockingIOError:
            return None  # another loop of this process was faster
        return callback(*args)

    return read
